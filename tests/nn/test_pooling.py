"""Means and norms over windows: values by definition, derivatives by the third judge, errors by name."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rounding import nearest
from refgrad.errors import ArgumentError
from refgrad.op import FUNCTIONS
from refgrad.tracing.ball import exact, parts
from tests.nn.derivative_checks import check_derivatives

AVERAGES = {1: nn.avg_pool1d, 2: nn.avg_pool2d, 3: nn.avg_pool3d}
ADAPTIVE = {1: nn.adaptive_avg_pool1d, 2: nn.adaptive_avg_pool2d, 3: nn.adaptive_avg_pool3d}
GEOMETRIES = {
    "plain": ((2, 3, 7), {"kernel_size": 3}),
    "a kernel of 1": ((2, 3, 5), {"kernel_size": 1, "stride": 2}),
    "a stride above the kernel": ((2, 3, 9), {"kernel_size": 2, "stride": 4}),
    "padded": ((2, 3, 7), {"kernel_size": 4, "stride": 1, "padding": 2}),
    "over the end": ((2, 3, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "nothing over the end": ((2, 3, 3), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
    "without padding": (
        (2, 3, 8),
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    ),
    "two axes": ((2, 2, 5, 6), {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    "another divisor": ((2, 2, 5, 6), {"kernel_size": (2, 3), "divisor_override": 4}),
    "three axes": (
        (1, 2, 4, 3, 4),
        {"kernel_size": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    ),
    "no batch axis": ((3, 8), {"kernel_size": 2}),
    "an empty batch": ((0, 3, 8), {"kernel_size": 2}),
}


def drawn(shape):
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape) / 4.0


def axes_of(shape):
    return max(len(shape) - 2, 1)


def window_of(n, k, s, a, ceil):
    """Start and end of each window along one axis, in the padded axis."""
    start, found = 0, []
    while start + k <= n + 2 * a or (ceil and start < n + a and start - s + k < n + 2 * a):
        found.append((start, min(start + k, n + 2 * a)))
        start += s
    return found


def by_definition(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    axes = axes_of(x.shape)
    size, step, around = [
        (v,) * axes if isinstance(v, int) else v for v in (kernel_size, stride or kernel_size, padding)
    ]
    shape = x.shape[-axes:]
    spans = [window_of(n, k, s, a, ceil_mode) for n, k, s, a in zip(shape, size, step, around, strict=True)]
    still = [(0, 0)] * (x.ndim - axes)
    padded = np.pad(x, [*still, *[(a, a) for a in around]])
    real = np.pad(np.ones(shape), [(a, a) for a in around])
    y = np.zeros((*x.shape[:-axes], *map(len, spans)))
    for at in itertools.product(*map(enumerate, spans)):
        cut = tuple([slice(*span) for _, span in at])
        number = real[cut].size if count_include_pad else real[cut].sum()
        total = padded[(..., *cut)].sum(axis=tuple(range(-axes, 0)))
        y[(..., *[k for k, _ in at])] = total / (divisor_override or number)
    return y


@pytest.mark.parametrize("name", GEOMETRIES)
def test_means(name):
    shape, params = GEOMETRIES[name]
    x = drawn(shape)
    f = AVERAGES[axes_of(shape)]
    assert np.array_equal(f(x, **params), by_definition(x, **params))
    if x.size:
        assert check_derivatives(lambda x: f(x, **params), x)


@pytest.mark.parametrize(
    ("shape", "output"),
    [
        ((2, 3, 8), 3),
        ((3, 4), 6),
        ((2, 3, 6), 3),
        ((2, 2, 5, 6), (3, 4)),
        ((1, 2, 4, 5, 3), (2, None, 2)),
        ((2, 2, 5, 6), None),
    ],
)
def test_adaptive_means(shape, output):
    x = drawn(shape)
    axes = axes_of(shape)
    sizes = [
        n if e is None else e
        for n, e in zip(
            shape[-axes:], (output,) * axes if isinstance(output, int | None) else output, strict=True
        )
    ]
    expected = np.zeros((*shape[:-axes], *sizes))
    for at in np.ndindex(*sizes):
        cut = [
            slice(math.floor(i * n / e), math.ceil((i + 1) * n / e))
            for i, n, e in zip(at, shape[-axes:], sizes, strict=True)
        ]
        expected[(..., *at)] = np.mean(x[(..., *cut)], axis=tuple(range(-axes, 0)))
    found = ADAPTIVE[axes](x, output)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=8 * np.finfo(float).eps, atol=0)
    assert check_derivatives(lambda x: ADAPTIVE[axes](x, output), x)


def test_norms():
    x = drawn((2, 3, 7))
    expected = np.sqrt(3 * nn.avg_pool1d(x**2, 3, 2))
    assert np.allclose(nn.lp_pool1d(x, 2, 3, 2), expected, rtol=4 * np.finfo(float).eps, atol=0)
    assert np.array_equal(nn.lp_pool1d(x, 1, 3), 3 * nn.avg_pool1d(x, 3))
    positive = np.abs(x) + 0.5
    assert check_derivatives(lambda x: nn.lp_pool1d(x, 3, 3, 2, ceil_mode=True), positive)
    assert check_derivatives(lambda x: nn.lp_pool2d(x, 2, 2), positive)
    assert check_derivatives(lambda x: nn.lp_pool3d(x, 1.5, 2), np.abs(drawn((1, 2, 4, 2, 3))) + 0.5)


X = np.ones((2, 3, 6))
REFUSED = {
    "five dimensions": (
        lambda: nn.avg_pool1d(np.ones((2, 3, 4, 4)), 2),
        r"\(n, c, d1\) or \(c, d1\) is expected, got shape \(2, 3, 4, 4\)",
    ),
    "no channels": (lambda: nn.avg_pool1d(np.ones((2, 0, 4)), 2), "only the batch may be empty"),
    "a kernel of 0": (lambda: nn.avg_pool1d(X, 0), "kernel_size must be an integer of at least 1, got 0"),
    "too much padding": (lambda: nn.avg_pool1d(X, 3, padding=2), "at most half"),
    "too long a window": (
        lambda: nn.avg_pool1d(X, 7),
        r"shape \(2, 3, 6\).*shorter than a window of kernel_size=\(7,\)",
    ),
    "a divisor of 0": (
        lambda: nn.avg_pool2d(np.ones((1, 1, 4, 4)), 2, divisor_override=0),
        "divisor_override must be an integer of at least 1",
    ),
    "no output": (
        lambda: nn.adaptive_avg_pool1d(X, 0),
        "output_size must be an integer of at least 1, got 0",
    ),
    "three outputs": (lambda: nn.adaptive_avg_pool2d(np.ones((1, 1, 4, 4)), (1, 2, 3)), "or 2 of them"),
    "a negative power": (
        lambda: nn.lp_pool1d(X, -1.0, 2),
        "norm_type must be a finite positive number, got -1.0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    x = drawn((2, 3, 8)).astype(dtype)
    assert nn.avg_pool1d(x, 3, padding=1, count_include_pad=False).dtype == dtype
    assert nn.adaptive_avg_pool1d(x, 3).dtype == dtype
    assert nn.lp_pool1d(x, 2, 3).dtype == dtype


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_quotients_may_be_added_up(axes: int) -> None:
    """torch's double backward of a mean over one window adds rounded quotients, which cancel here."""
    fmt = FORMATS["bfloat16"]
    x = np.array([2.25, -1.0, -1.0]).reshape(1, 1, 3, *[1] * (axes - 1))
    function = FUNCTIONS[f"nn.adaptive_avg_pool{axes}d"]
    kernel = nearest(np.sum(nearest(x / 3, fmt)), fmt)
    value, radius = parts(function.forward(exact(x, fmt), output_size=1))
    assert np.all(np.abs(kernel - value) > radius), "the sum is taken first"
    [formula] = function.of_whole
    value, radius = parts(formula.of(function)(exact(x, fmt), output_size=1))
    assert np.all(np.abs(kernel - value) <= radius)
