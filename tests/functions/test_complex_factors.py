"""Q and R, inverses and determinants of complex matrices: NumPy's numbers, both modes and three orders against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError
from tests.complex_slopes import EPS, derivatives_held, parts

Array = Any

RNG = np.random.default_rng(3)
SQUARE, TALL = (RNG.standard_normal(s) + 1j * RNG.standard_normal(s) for s in ((3, 3), (4, 2)))
STACK = RNG.standard_normal((2, 3, 3)) + 1j * RNG.standard_normal((2, 3, 3))
SIDE = RNG.standard_normal(4) + 1j * RNG.standard_normal(4)


def _least_squares(a: Array) -> Array:
    x, residuals, _, s = np.linalg.lstsq(a, SIDE)
    return np.concatenate([parts(x).ravel(), residuals, s])


CASES: dict[str, tuple[Callable[[Array], Array], Array]] = {
    "q": (lambda a: parts(np.linalg.qr(a).Q), SQUARE),
    "r": (lambda a: parts(np.linalg.qr(a).R), TALL),
    "q and r of a wide matrix": (lambda a: parts(np.linalg.qr(a).Q @ np.abs(np.linalg.qr(a).R)), TALL.T),
    "r of a stack": (lambda a: parts(np.linalg.qr(a, mode="r")), STACK),
    "pinv": (lambda a: parts(np.linalg.pinv(a)), TALL),
    "pinv of a wide matrix": (lambda a: parts(np.linalg.pinv(a)), TALL.T),
    "pinv of a stack": (lambda a: parts(np.linalg.pinv(a)), STACK),
    "pinv of one triangle": (lambda a: parts(np.linalg.pinv(a, hermitian=True)), SQUARE),
    "pinv at a fixed rank": (lambda a: parts(np.linalg.pinv(np.outer(a[0], np.conjugate(a[1])))), SQUARE),
    "lstsq": (_least_squares, TALL),
    "log|det|": (lambda a: np.linalg.slogdet(a).logabsdet, SQUARE),
    "the sign of det": (lambda a: parts(np.linalg.slogdet(a).sign), STACK),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_three_orders(name: str) -> None:
    derivatives_held(*CASES[name])


def test_a_determinant_may_leave_the_range() -> None:
    """log|det| of 1e200 A moves as that of A."""
    f = rg.grad(lambda a: np.linalg.slogdet(a).logabsdet)
    off = np.abs(f(1e200 * STACK[0]) * 1e200 - f(STACK[0]))
    inverse = np.abs(np.linalg.inv(STACK[0])).T
    assert np.all(off <= 64 * EPS * np.linalg.cond(STACK[0]) * np.max(inverse))


def test_a_singular_matrix_has_numpys_values_and_no_derivative() -> None:
    a = np.stack([np.ones((2, 2)), np.eye(2)]) + 0j
    for f in (lambda a: np.linalg.slogdet(a)[0], lambda a: np.linalg.slogdet(a)[1]):
        y, y_dot = rg.jvp(f, (a,), (1j * a,))
        assert np.array_equal(y, f(a))
        assert np.isnan(y_dot).tolist() == [True, False]
    q, q_dot = rg.jvp(lambda a: np.linalg.qr(a).Q, (a,), (a,))
    assert np.array_equal(q, np.linalg.qr(a).Q)
    assert np.isnan(q_dot).all((-2, -1)).tolist() == [True, False]


def test_dtypes_and_empty_arrays() -> None:
    def f(a: Array) -> Array:
        return [*np.linalg.qr(a), np.linalg.pinv(a), *np.linalg.slogdet(a)]

    for a in (SQUARE.astype(np.complex64), SQUARE, SQUARE[:0, :0], STACK[:0]):
        ys, y_dots = rg.jvp(f, (a,), (a,))
        for y, y_dot, want in zip(ys, y_dots, f(a), strict=True):
            assert y.dtype == y_dot.dtype == want.dtype
            assert y.shape == y_dot.shape == want.shape


def test_a_judge_has_no_bounds() -> None:
    gradcheck = pytest.importorskip("refgrad.torch").gradcheck
    torch = pytest.importorskip("torch")
    z = torch.eye(2, dtype=torch.complex128, requires_grad=True)
    with pytest.raises(
        NoRuleError, match=r"np\.linalg\.slogdet of complex matrices has derivatives, and no bound"
    ):
        gradcheck(
            lambda z: torch.linalg.slogdet(z)[1], (z,), reference=lambda z: np.linalg.slogdet(z).logabsdet
        )
