"""Eigenvalues of Hermitian matrices and singular values of complex ones, with their vectors, against differences and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError
from tests.complex_slopes import EPS, derivatives_held, parts

Array = Any

RNG = np.random.default_rng(4)
SQUARE, TALL = (RNG.standard_normal(s) + 1j * RNG.standard_normal(s) for s in ((3, 3), (4, 2)))
STACK = RNG.standard_normal((2, 2, 2)) + 1j * RNG.standard_normal((2, 2, 2))


def _vectors(a: Array) -> Array:
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return parts(np.concatenate([u.ravel(), vh.ravel()]))


def _exponential(a: Array) -> Array:
    """exp of the Hermitian matrix in a's upper triangle."""
    w, v = np.linalg.eigh(a, "U")
    return parts((v * np.exp(w)) @ np.conjugate(v.T))


CASES: dict[str, tuple[Callable[[Array], Array], Array]] = {
    "eigvalsh": (np.linalg.eigvalsh, SQUARE),
    "eigvalsh of the upper triangle": (lambda a: np.linalg.eigvalsh(a, "U"), SQUARE),
    "eigvalsh of a stack": (np.linalg.eigvalsh, STACK),
    "eigh": (lambda a: parts(np.linalg.eigh(a).eigenvectors), SQUARE),
    "eigh of the upper triangle": (lambda a: parts(np.linalg.eigh(a, "U").eigenvectors), SQUARE),
    "eigh of a stack": (lambda a: parts(np.linalg.eigh(a).eigenvectors), STACK),
    "a function of a matrix": (_exponential, SQUARE),
    "svdvals": (np.linalg.svdvals, TALL),
    "svdvals of a wide matrix": (lambda a: np.linalg.svd(a, compute_uv=False), TALL.T),
    "svd": (_vectors, SQUARE),
    "svd of a tall matrix": (_vectors, TALL),
    "svd of a wide matrix": (_vectors, TALL.T),
    "svd of a stack": (_vectors, STACK),
    "svd of a triangle": (lambda a: parts(np.linalg.svd(a, hermitian=True).Vh), SQUARE),
    "norms": (lambda a: np.linalg.norm(a, 2) + np.linalg.norm(a, "nuc") * np.linalg.norm(a, -2), TALL),
    "the condition": (np.linalg.cond, SQUARE),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_three_orders(name: str) -> None:
    derivatives_held(*CASES[name])


def test_a_closed_form() -> None:
    """Eigenvalues of [[0, z^*], [z, 0]] are +-|z|, and singular values of its column are |z| and 0."""
    z = 0.6 - 0.8j
    for f in (
        lambda z: np.linalg.eigvalsh(np.array([[0.0, 0.0], [z, 0.0]]))[1],
        lambda z: np.linalg.svdvals(np.array([[z], [0.0]]))[0],
    ):
        assert np.abs(rg.grad(f)(z) - z) <= 8 * EPS, "the gradient of |z| is z/|z|"
        turned = rg.jvp(rg.grad(f), (z,), (1j * z,))[1]
        assert np.abs(turned - 1j * z) <= 16 * EPS, "which turns with z"


def test_where_values_meet_they_keep_a_derivative_and_vectors_have_none() -> None:
    a, a_dot = np.eye(3) * (1 + 1j), RNG.standard_normal((3, 3)) + 0j
    total = rg.jvp(lambda a: np.sum(np.linalg.eigvalsh(a)), (a.real + 0j,), (a_dot,))[1]
    assert np.abs(total - np.trace(a_dot)) <= 16 * EPS
    sums = rg.jvp(lambda a: np.sum(np.linalg.svdvals(a)), (a,), (a_dot,))[1]
    assert np.abs(sums - np.trace(a_dot) / np.sqrt(2)) <= 64 * EPS, "s is Re(u^H dA v)"
    v, v_dot = rg.jvp(lambda a: np.linalg.eigh(a)[1], (a.real + 0j,), (a_dot,))
    assert np.array_equal(v, np.linalg.eigh(a.real + 0j)[1])
    assert np.isnan(v_dot).any()


def test_further_columns_are_refused_by_name() -> None:
    with pytest.raises(NoRuleError, match="Use full_matrices=False"):
        rg.jvp(np.linalg.svd, (TALL,), (TALL,))


def test_dtypes_and_empty_arrays() -> None:
    def f(a: Array) -> Array:
        return [*np.linalg.eigh(a), np.linalg.eigvalsh(a), *np.linalg.svd(a), np.linalg.svdvals(a)]

    for a in (SQUARE.astype(np.complex64), SQUARE, SQUARE[:0, :0], STACK[:0]):
        ys, y_dots = rg.jvp(f, (a,), (a,))
        for y, y_dot, want in zip(ys, y_dots, f(a), strict=True):
            assert y.dtype == y_dot.dtype == want.dtype
            assert y.shape == y_dot.shape == want.shape
