"""Cholesky's factor: NumPy's values, the derivative of the triangle that NumPy reads, a bound that holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError
from refgrad.numeric import differences
from refgrad.tracing.ball import exact

Array = Any


def positive(n: int, *batch: int) -> Array:
    a = np.random.default_rng(n).standard_normal((*batch, n, n))
    return a @ np.swapaxes(a, -1, -2) + 0.5 * np.eye(n)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", [(1,), (2,), (4,), (3, 2), (3, 0)], ids=str)
def test_value_and_derivatives(shape: tuple[int, ...], upper: bool) -> None:
    a = positive(*shape)
    rng = np.random.default_rng(1)
    a_dot = rng.standard_normal(a.shape)

    def f(x: Array) -> Array:
        return np.linalg.cholesky(x, upper=upper)

    y, y_dot = rg.jvp(f, (a,), (a_dot,))
    assert y.shape == a.shape
    assert np.allclose(y, f(a), rtol=1e-12)
    expected, _ = differences(lambda z: rg.vjp(f, z)[0], (a,), (a_dot,))
    assert np.allclose(y_dot, expected, rtol=1e-8, atol=1e-8)
    y_bar = rng.standard_normal(a.shape)
    a_bar = rg.vjp(f, a)[1](y_bar)[0]
    assert np.isclose(np.sum(a_bar * a_dot), np.sum(y_bar * y_dot))
    other = np.tril(a_bar, -1) if upper else np.triu(a_bar, 1)  # the triangle that NumPy does not read
    assert not other.any()


def test_the_product_with_its_transpose_is_the_matrix() -> None:
    a, w = positive(3), np.random.default_rng(2).standard_normal((3, 3))

    def f(x: Array) -> Array:
        low = np.linalg.cholesky(x)
        return np.sum(w * (low @ low.T))

    # L L^T is A with its lower triangle mirrored.
    assert np.allclose(rg.grad(f)(a), np.tril(w + w.T) - np.diag(np.diag(w)))
    second = rg.hessian(f)(a)
    assert np.allclose(second, 0.0, atol=1e-10)


def test_errors() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        rg.grad(lambda x: np.sum(np.linalg.cholesky(x)))(-np.eye(2))
    with pytest.raises(ArgumentError, match=r"\(2, 3\)"):
        rg.grad(lambda x: np.sum(np.linalg.cholesky(x)))(np.ones((2, 3)))


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_covers_lapack(seed: int) -> None:
    n = 2 + seed % 5
    a = positive(n).astype(np.float32) * np.float32(0.3 + seed)
    ball = np.linalg.cholesky(exact(a, FORMATS["float32"]))
    told = np.linalg.cholesky(a)
    assert np.all(np.abs(told - ball.value) <= ball.radius)
    assert np.max(ball.radius) < 1e-3 * np.max(np.abs(told))
