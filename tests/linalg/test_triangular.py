"""The functions of refgrad.linalg: values by np.linalg, derivatives by differences, closed forms, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError, DtypeError
from refgrad.numeric import differences
from tests.within import assert_within, balls_of

Array = Any
RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3, 3)) + 2 * np.eye(3), RNG.standard_normal((3, 2))
LOW = np.linalg.cholesky(np.matmul(A, np.swapaxes(A, -1, -2)))


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("unitriangular", [True, False])
def test_triangular_systems(upper: bool, unitriangular: bool, left: bool) -> None:
    t = np.triu(A) if upper else np.tril(A)
    if unitriangular:
        t = t - t * np.eye(3) + np.eye(3)
    b = B if left else B.T

    def f(a: Array, b: Array) -> Array:
        return rg.linalg.solve_triangular(a, b, upper=upper, left=left, unitriangular=unitriangular)

    x = f(A, b)
    assert np.allclose(t @ x if left else x @ t, b, rtol=1e-13)
    dots = (RNG.standard_normal(A.shape), RNG.standard_normal(b.shape))
    expected, error = differences(f, (A, b), dots)
    got = rg.jvp(f, balls_of([A, b], "float64"), balls_of(dots, "float64"))[1]
    assert assert_within(expected, got, "tangent", error + 2.0**-52 * np.abs(expected)) == x.size
    bars = rg.vjp(f, A, b)[1](np.ones(x.shape))
    assert np.isclose(sum(np.sum(bar * dot) for bar, dot in zip(bars, dots, strict=True)), np.sum(expected))


@pytest.mark.parametrize("upper", [True, False])
def test_cholesky_solves(upper: bool) -> None:
    factor = np.swapaxes(LOW, -1, -2) if upper else LOW
    matrix = np.matmul(LOW, np.swapaxes(LOW, -1, -2))
    assert np.allclose(
        matrix @ rg.linalg.cholesky_solve(B, factor, upper=upper), np.broadcast_to(B, (2, 3, 2))
    )
    assert np.allclose(matrix @ rg.linalg.cholesky_inverse(factor, upper=upper), np.eye(3))
    slope = rg.grad(lambda x: np.sum(rg.linalg.cholesky_solve(B, np.linalg.cholesky(x))))(matrix)
    full = rg.grad(lambda x: np.sum(np.linalg.solve(x, B)))(matrix)
    assert np.allclose(slope, np.tril(full) + np.tril(np.swapaxes(full, -1, -2), -1), rtol=1e-9)


def test_the_exponential_of_a_rotation_generator() -> None:
    """exp(t J) is the rotation by t, and its derivative J exp(t J)."""
    j = np.array([[0.0, -1.0], [1.0, 0.0]])
    y, y_dot = rg.jvp(lambda t: rg.linalg.matrix_exp(t * j), (np.array(0.7),), (np.array(1.0),))
    assert np.allclose(y, [[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]], rtol=1e-14)
    assert np.allclose(y_dot, j @ y, rtol=1e-14)


def test_the_exponential_of_a_nilpotent_matrix() -> None:
    n = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, -3.0], [0.0, 0.0, 0.0]])
    assert np.allclose(rg.linalg.matrix_exp(n), np.eye(3) + n + n @ n / 2, rtol=1e-15)


def test_the_exponential_of_large_and_infinite_matrices() -> None:
    assert np.array_equal(rg.linalg.matrix_exp(np.diag([-1e300, 0.0])), np.diag([0.0, 1.0]))
    assert rg.linalg.matrix_exp(np.array([[-np.inf]])) == 0
    assert np.isnan(rg.linalg.matrix_exp(np.diag([np.inf, 0.0]))).all()
    assert rg.linalg.matrix_exp(np.zeros((0, 0))).shape == (0, 0)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"solve_triangular: square matrices.*\(3, 2\)"):
        rg.linalg.solve_triangular(B, B, upper=True)
    with pytest.raises(ArgumentError, match=r"left=False"):
        rg.linalg.solve_triangular(A, B, upper=True, left=False)
    with pytest.raises(ArgumentError, match=r"cholesky_solve: matrices.*\(3,\)"):
        rg.linalg.cholesky_solve(np.ones(3), LOW)
    with pytest.raises(DtypeError, match="complex128"):
        rg.linalg.matrix_exp(np.eye(2) * 1j)
