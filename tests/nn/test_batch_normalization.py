"""Normalization by a batch, an instance or neighbouring channels: values by definition, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError
from refgrad.tracing.ball import exact, parts
from tests.nn.derivative_checks import check_derivatives

MEAN, VAR = np.array([0.5, -0.25, 1.0]), np.array([0.5, 2.0, 1.0])
CLOSE = {"rtol": 64 * np.finfo(float).eps, "atol": 64 * np.finfo(float).eps}


def drawn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def by_definition(x, axes, eps):
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


def test_values_are_those_of_the_definition():
    x, w, b = drawn(4, 3, 5), drawn(3), drawn(3)[:, np.newaxis]
    assert np.allclose(nn.batch_norm(x, None, None, training=True), by_definition(x, (0, 2), 1e-5), **CLOSE)
    scaled = by_definition(x, (0, 2), 0.5) * w[:, np.newaxis] + b
    assert np.allclose(nn.batch_norm(x, None, None, w, b[:, 0], training=True, eps=0.5), scaled, **CLOSE)
    running = (x - MEAN[:, np.newaxis]) / np.sqrt(VAR + 1e-5)[:, np.newaxis]
    assert np.allclose(nn.batch_norm(x, MEAN, VAR), running, **CLOSE)
    assert np.allclose(nn.instance_norm(x, weight=w), by_definition(x, 2, 1e-5) * w[:, np.newaxis], **CLOSE)
    assert np.allclose(nn.instance_norm(x, MEAN, VAR, use_input_stats=False), running, **CLOSE)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_channel_is_divided_by_its_neighbours(size):
    x = drawn(2, 5, 3)
    expected = np.empty_like(x)
    for i in range(5):
        near = x[:, max(i - size // 2, 0) : i + (size - 1) // 2 + 1]
        expected[:, i] = x[:, i] / (2.0 + 0.5 * np.sum(near**2, axis=1) / size) ** 0.75
    assert np.allclose(nn.local_response_norm(x, size, alpha=0.5, k=2.0), expected, **CLOSE)


FUNCTIONS = {
    "in training": lambda x, w, b: nn.batch_norm(x, None, None, w, b, training=True),
    "with running statistics": lambda x, w, b: nn.batch_norm(
        x, MEAN.astype(x.dtype), VAR.astype(x.dtype), w, b
    ),
    "by instance": lambda x, w, b: nn.instance_norm(x, weight=w, bias=b),
    "by neighbours": lambda x, w, b: nn.local_response_norm(x, 2, alpha=0.5) * np.sum(w * b),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_the_third_judge(name):
    assert check_derivatives(FUNCTIONS[name], drawn(4, 3, 5), drawn(3), drawn(1, 3)[0])


def test_running_statistics_may_be_differentiated():
    x = drawn(4, 3, 2)
    assert check_derivatives(lambda m, v: nn.batch_norm(x.astype(m.dtype), m, v), MEAN, VAR)


def test_running_statistics_round_in_the_format_of_the_input():
    """Given in float32, they are used as numbers of the input's dtype; given to a Ball, the root of the variance has a radius."""
    x = drawn(4, 3)
    var = np.array([0.1, 0.2, 0.3], np.float32)
    expected = (x - MEAN) / np.sqrt(var.astype(float) + 1e-5)
    assert np.allclose(nn.batch_norm(x, MEAN.astype(np.float32), var), expected, **CLOSE)
    ball = nn.batch_norm(exact(np.ones((4, 3)), FORMATS["float32"]), np.zeros(3, np.float32), var)
    value, radius = parts(ball)
    assert np.all(radius >= 2 * FORMATS["float32"].u * value)  # the root and the quotient


def test_running_statistics_after_a_batch():
    x = drawn(4, 3, 5)
    mean, var = nn.running_statistics(x, MEAN, VAR, momentum=0.25)
    assert np.allclose(mean, 0.75 * MEAN + 0.25 * x.mean(axis=(0, 2)), **CLOSE)
    assert np.allclose(var, 0.75 * VAR + 0.25 * x.var(axis=(0, 2), ddof=1), **CLOSE)

    def f(x):
        found = nn.running_statistics(x, MEAN, VAR)
        assert all(type(s) is np.ndarray for s in found)
        return np.sum(x)

    assert np.array_equal(rg.grad(f)(x), np.ones(x.shape))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    x = drawn(4, 3, 5).astype(dtype)
    assert nn.batch_norm(x, None, None, training=True).dtype == dtype
    assert nn.batch_norm(x, MEAN, VAR).dtype == np.result_type(dtype, float)
    assert nn.batch_norm(x, MEAN.astype(dtype), VAR.astype(dtype)).dtype == dtype
    assert nn.instance_norm(x).dtype == dtype
    assert nn.local_response_norm(x, 3).dtype == dtype


def test_an_empty_batch():
    x = np.zeros((0, 3, 4))
    assert nn.batch_norm(x, MEAN, VAR).shape == x.shape
    assert nn.instance_norm(x).shape == x.shape
    assert nn.local_response_norm(x, 3).shape == x.shape


X = np.ones((4, 3, 5))
REFUSED = {
    "one dimension": (
        lambda: nn.batch_norm(np.ones(3), MEAN, VAR),
        r"\(n, c, ...\) is expected, got shape \(3,\)",
    ),
    "no spatial axis": (
        lambda: nn.instance_norm(np.ones((4, 3))),
        r"\(n, c, d1, ...\) is expected, got shape \(4, 3\)",
    ),
    "no statistics": (lambda: nn.batch_norm(X, None, None), "running_mean and running_var are needed"),
    "a mean": (lambda: nn.batch_norm(X, np.ones(4), VAR), r"running_mean must have shape \(3,\), got \(4,\)"),
    "a weight": (
        lambda: nn.batch_norm(X, MEAN, VAR, np.ones((3, 1))),
        r"weight must have shape \(3,\), got \(3, 1\)",
    ),
    "a bias": (lambda: nn.instance_norm(X, bias=np.ones(5)), r"bias must have shape \(3,\), got \(5,\)"),
    "one element": (
        lambda: nn.batch_norm(np.ones((1, 3)), None, None, training=True),
        "more than one element for each channel",
    ),
    "one spatial element": (lambda: nn.instance_norm(np.ones((2, 3, 1))), "more than one spatial element"),
    "one element to count": (
        lambda: nn.running_statistics(np.ones((1, 3)), MEAN, VAR),
        "more than one element for each channel",
    ),
    "no momentum": (lambda: nn.batch_norm(X, MEAN, VAR, momentum=None), "a number from 0 to 1, got None"),
    "no neighbours": (lambda: nn.local_response_norm(X, 0), "size must be an integer of at least 1, got 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()
