"""Normalization layers: values by their definition, derivatives by differences, arguments that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError
from refgrad.nn import group_norm, layer_norm, rms_norm
from refgrad.tracing.ball import Ball
from tests.within import assert_within, balls_of, slopes

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((2, 4, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal((4, 3))
V, C = RNG.standard_normal(4), RNG.standard_normal(4)


def of_rows(rows: Any, eps: float) -> Any:
    """The rows by the definition, an element at a time in long double."""
    rows = np.asarray(rows, np.longdouble)
    found = np.empty_like(rows)
    for k, row in enumerate(rows):
        mean = sum(row) / len(row)
        variance = sum((x - mean) ** 2 for x in row) / len(row)
        found[k] = [(x - mean) / (variance + eps) ** 0.5 for x in row]
    return found


def test_layer_norm_is_its_definition() -> None:
    rows = of_rows(X.reshape(2, 12), 1e-5).reshape(X.shape)
    x, w, b = balls_of((X, W, B), "float64")
    assert assert_within(rows * W + B, layer_norm(x, (4, 3), w, b)) == X.size
    assert assert_within(of_rows(X.reshape(8, 3), 1e-5).reshape(X.shape), layer_norm(x, 3)) == X.size


def test_group_norm_is_its_definition() -> None:
    rows = of_rows(X.reshape(4, 6), 0.5).reshape(X.shape)
    x, v, c, flat = balls_of((X, V, C, X[:, :, 0]), "float64")
    assert assert_within(rows * V[:, None] + C[:, None], group_norm(x, 2, v, c, 0.5)) == X.size
    assert assert_within(of_rows(X[:, :, 0], 1e-5), group_norm(flat, 1)) == flat.size


def test_rms_norm_is_its_definition() -> None:
    rows = np.array(
        [row / (sum(x**2 for x in row) / 3 + 0.1) ** 0.5 for row in X.reshape(8, 3).astype(np.longdouble)]
    )
    x, w = balls_of((X, W[0]), "float64")
    assert assert_within(rows.reshape(X.shape) * W[0], rms_norm(x, (3,), w, eps=0.1)) == X.size


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_dtype_is_kept_and_decides_the_default_of_eps(dtype: Any) -> None:
    for f in (lambda x: layer_norm(x, (3,)), lambda x: group_norm(x, 2), lambda x: rms_norm(x, (3,))):
        assert f(X.astype(dtype)).dtype == dtype
    tiny = np.full(1, 2.0**-12, dtype)
    eps = np.finfo(np.promote_types(dtype, np.float32)).eps
    assert rms_norm(tiny, (1,)) == rms_norm(tiny, (1,), eps=float(eps))
    assert rms_norm(np.ones(1, dtype), (1,), eps=1.0) < 1


CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "layer_norm": (lambda x, w, b: layer_norm(x, (4, 3), w, b, 0.1), (X, W, B)),
    "group_norm": (lambda x, w, b: group_norm(x, 2, w, b, 0.1), (X, V, C)),
    "rms_norm": (lambda x, w: rms_norm(x, (4, 3), w), (X, W)),
}


@pytest.mark.parametrize("name", CALLS)
def test_derivatives_of_both_orders_are_those_of_differences(name: str) -> None:
    f, xs = CALLS[name]
    x_dots = tuple(RNG.standard_normal(x.shape) for x in xs)
    y_bar = RNG.standard_normal(np.shape(f(*xs)))
    balls, dots, (bar,) = balls_of(xs, "float64"), balls_of(x_dots, "float64"), balls_of([y_bar], "float64")

    def gradients(*given: Any) -> Any:
        return rg.vjp(f, *given)[1](bar if isinstance(given[0], Ball) else y_bar.astype(given[0].dtype))

    expected, error = slopes(f, xs, x_dots)
    assert assert_within(expected, rg.jvp(f, balls, dots)[1], name, error) == expected.size
    x_bars = gradients(*xs)
    paired, pair_error = slopes(lambda *given: np.sum(y_bar * f(*given)), xs, x_dots)
    pairing = sum(np.sum(a * b) for a, b in zip(gradients(*balls), dots, strict=True))
    assert assert_within(paired, pairing, name, pair_error) == 1
    for k, second in enumerate(rg.jvp(gradients, balls, dots)[1]):
        expected, error = slopes(lambda *given, k=k: gradients(*given)[k], xs, x_dots)
        assert assert_within(expected, second, name, error) == x_bars[k].size


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: layer_norm(X, (3, 4)), r"layer_norm: normalized_shape \(3, 4\) .* has shape \(2, 4, 3\)"),
        (lambda: layer_norm(X, ()), "layer_norm: normalized_shape"),
        (lambda: layer_norm(X, 3, W), r"layer_norm: weight of shape \(3,\) is expected, got \(4, 3\)"),
        (lambda: rms_norm(X, 4), "rms_norm: normalized_shape 4"),
        (lambda: group_norm(X, 3), "num_groups=3 must be positive and divide the 4 channels"),
        (lambda: group_norm(X, 0), "num_groups=0"),
        (lambda: group_norm(V, 2), r"\(samples, channels, ...\) is expected, got \(4,\)"),
        (lambda: group_norm(X, 2, V, B), r"group_norm: bias of shape \(4,\) is expected"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        call()
