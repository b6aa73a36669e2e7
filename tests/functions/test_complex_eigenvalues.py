"""Complex eigenvalues and eigenvectors: NumPy's numbers, both modes and three orders against differences, and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.functions import complex_eigenvalues
from refgrad.numeric import differences

Array = Any

RNG = np.random.default_rng(1)
REAL = RNG.standard_normal((4, 4))
STACK = RNG.standard_normal((2, 3, 3))
COMPLEX = RNG.standard_normal((3, 3)) + 1j * RNG.standard_normal((3, 3))
EPS = np.finfo(float).eps


def parts(y: Array) -> Array:
    return np.stack([np.real(y), np.imag(y)])


CASES: dict[str, tuple[Callable[[Array], Array], Array]] = {
    "eigenvalues": (lambda a: parts(np.linalg.eigvals(a)), REAL),
    "eigenvectors": (lambda a: parts(np.linalg.eig(a)[1]), REAL),
    "eigenvalues of a stack": (lambda a: parts(np.linalg.eig(a).eigenvalues), STACK),
    "eigenvectors of a stack": (lambda a: parts(np.linalg.eig(a).eigenvectors), STACK),
    "eigenvalues of complex matrices": (lambda a: parts(np.linalg.eigvals(COMPLEX * a[0, 0] + a)), STACK[0]),
    "eigenvectors of complex matrices": (lambda a: parts(np.linalg.eig(COMPLEX * a[0, 0] + a)[1]), STACK[0]),
    "a matrix of one element": (
        lambda a: parts(np.linalg.eig(a * (1 + 2j))[0] + np.linalg.eig(a * (1 + 2j))[1]),
        np.array([[0.7]]),
    ),
    "roots": (lambda c: parts(np.roots(c)), np.array([1.0, 0.5, 2.0, 0.3])),
    "the polynomial of a matrix": (np.poly, REAL),
}


def sensitivity(a: Array) -> float:
    """How much more than by itself a change of a matrix moves its eigenvectors: |V| |V^-1| |A| over the least gap; of coefficients, 10."""
    if a.ndim < 2:
        return 10.0
    w, v = np.linalg.eig(a)
    gap = np.abs(w[..., None, :] - w[..., :, None]) + 1e9 * np.eye(w.shape[-1])
    return float(
        np.max(np.linalg.cond(v) * (1 + np.linalg.norm(a, 2, axis=(-2, -1)) / np.min(gap, axis=(-2, -1))))
    )


def slope(f: Callable[[Array], Array], a: Array, v: Array, order: int) -> tuple[Array, Array]:
    """The third judge's derivative of f, which holds derivatives of order - 1, and what it may err.

    LAPACK's eigenvectors move as those of A + E, |E| <= n eps |A|, do, and each derivative multiplies this by the sensitivity once more.
    """

    def plain(z: Array) -> Array:
        return np.asarray(f(z.astype(float)))

    noise = a.shape[-1] * EPS * sensitivity(a) ** order * max(1.0, float(np.max(np.abs(plain(a)))))
    return differences(plain, (a,), (v,), step=2.0**-8, noise=noise)


def held(got: Array, want: Array, error: Array) -> None:
    assert np.all(np.abs(got - want) <= error)
    assert np.all(error <= 1e-4 * (1 + np.max(np.abs(want)))), "a comparison with digits"


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_three_orders(name: str) -> None:
    f, a = CASES[name]
    rng = np.random.default_rng(7)
    v = rng.standard_normal(a.shape) / 4

    y, y_dot = rg.jvp(f, (a,), (v,))
    off = np.abs(y - f(a))
    assert np.all(off <= (64 * EPS if f is np.poly else 0)), (
        "the values are NumPy's; the products of np.poly are in another order"
    )
    held(y_dot, *slope(f, a, v, 1))
    y_bar = rng.standard_normal(y.shape)
    a_bar = rg.vjp(f, a)[1](y_bar)[0]
    assert np.abs(np.sum(a_bar * v) - np.sum(y_bar * y_dot)) <= 2**10 * EPS * np.sum(np.abs(y_bar * y_dot))

    total = rg.grad(lambda z: np.sum(np.sin(f(z))))
    second, error = slope(total, a, v, 2)
    held(rg.jvp(total, (a,), (v,))[1], second, error)
    held(rg.vjp(total, a)[1](v)[0], second, error)

    def along(z: Array) -> Array:
        return rg.jvp(total, (z,), (v,))[1]

    held(rg.jvp(along, (a,), (v,))[1], *slope(along, a, v, 3))


def test_a_rotation_has_its_closed_form() -> None:
    """Eigenvalues of [[cos t, -sin t], [sin t, cos t]] are exp(+-i t), for every order of derivative."""

    def parted(t: Array) -> Array:
        w = np.linalg.eigvals(np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]))
        return w[np.argmax(np.imag(w))]

    f: Callable[[Array], Array] = lambda t: np.real(parted(t))  # noqa: E731 - cos t
    for order in range(5):
        want = [np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin, np.cos][order](0.7)
        assert np.abs(f(0.7) - want) <= 64 * EPS
        f = rg.grad(f)


def test_steps_grow_with_the_order() -> None:
    counted = []
    for order in range(1, 8):

        def f(t: Array) -> Array:
            counted.append(complex_eigenvalues._steps(t))
            return t * t

        for _ in range(order):
            f = rg.grad(f)
        f(0.5)
    assert counted == [1, 2, 2, 3, 3, 3, 3], "2^k - 1 is no less than the order"


def test_dtypes_and_empty_arrays() -> None:
    for dtype, kind in ((np.float32, np.complex64), (np.float64, np.complex128)):
        a = REAL.astype(dtype)
        y, y_dot = rg.jvp(lambda a: np.linalg.eig(a)[1], (a,), (a,))
        assert y.dtype == y_dot.dtype == kind
        gradient = rg.grad(lambda a: np.sum(np.abs(np.linalg.eigvals(a))))(a)
        assert gradient.dtype == dtype
    empty = np.zeros((0, 2, 2)) + 0j
    assert rg.jvp(lambda a: np.linalg.eig(a)[1], (empty,), (empty,))[1].shape == (0, 2, 2)
    assert rg.jvp(np.linalg.eigvals, (empty,), (empty,))[1].shape == (0, 2)


def test_vectors_have_no_derivative_where_eigenvalues_meet() -> None:
    """diag(1 + i, 1 + i, 2) is its own eigenvectors; the eigenvalues together have a derivative."""
    a = np.diag([1 + 1j, 1 + 1j, 2])
    a_dot = RNG.standard_normal((3, 3)) + 0j
    assert np.isnan(rg.jvp(lambda a: np.linalg.eig(a)[1], (a,), (a_dot,))[1]).any()
    total = rg.jvp(lambda a: np.sum(np.linalg.eigvals(a)), (a,), (a_dot,))[1]
    assert np.abs(total - np.trace(a_dot)) <= 16 * EPS


def test_errors_are_numpys() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        rg.jvp(np.linalg.eigvals, (np.full((2, 2), np.nan),), (np.ones((2, 2)),))
    with pytest.raises((np.linalg.LinAlgError, ValueError)):
        rg.jvp(np.linalg.eigvals, (np.ones((2, 3)),), (np.ones((2, 3)),))
