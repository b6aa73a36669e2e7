"""The Hurwitz zeta function: digits of values and derivatives, the ends of its domain, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import special
from refgrad.errors import NoRuleError
from refgrad.numeric import differences

mpmath = pytest.importorskip("mpmath")

RNG = np.random.default_rng(5)
S = np.concatenate(
    [RNG.uniform(1.01, 6, 40), 10.0 ** RNG.uniform(0.1, 2.3, 40), 1 + 10.0 ** RNG.uniform(-10, -1, 20)]
)
Q = np.concatenate([RNG.uniform(0.1, 5, 30), 10.0 ** RNG.uniform(-3, 4, 70)])


def exactly(s: float, q: float, order: int) -> Any:
    """60 terms and 29 of the series of Euler and Maclaurin with 60 digits: mpmath's own function loses digits for large s and q."""
    with mpmath.workdps(60):
        top, q, last = mpmath.mpf(s) + order, mpmath.mpf(q), mpmath.mpf(q) + 60
        total = (
            mpmath.fsum((q + k) ** -top for k in range(60)) + last ** (1 - top) / (top - 1) + last**-top / 2
        )
        for k in range(1, 30):
            factor = mpmath.bernoulli(2 * k) / mpmath.factorial(2 * k) * mpmath.rf(top, 2 * k - 1)
            total += factor * last ** (1 - top - 2 * k)
        return (-1) ** order * mpmath.rf(mpmath.mpf(s), order) * total


def test_the_exact_function_is_the_zeta_function_of_riemann() -> None:
    assert abs(exactly(2.0, 1.0, 0) - mpmath.pi**2 / 6) < 1e-14
    assert abs(exactly(3.0, 1.0, 0) - mpmath.zeta(3)) < 1e-14


def _slope(f: Any, order: int) -> Any:
    """The derivative of that order."""
    return f if order == 0 else _slope(lambda q: rg.vjp(f, q)[1](np.ones_like(q))[0], order - 1)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_values_and_derivatives_keep_their_digits(dtype: type, order: int) -> None:
    f = _slope(lambda q: special.zeta(S.astype(dtype), q), order)
    met = 0
    for s, q, y in zip(S, Q, f(Q.astype(dtype)), strict=True):
        right = exactly(s, q, order)
        if 1e-290 < abs(right) < 1e290:
            high = float(y)
            off = abs((high - right) + float(y - dtype(high))) / abs(right)
            assert off < 4 * float(np.finfo(dtype).eps), (s, q, y)
            met += 1
    assert met > 80


def test_both_modes_against_differences() -> None:
    s, q, q_dot = S[:30], Q[:30], RNG.standard_normal(30)
    expected, error = differences(lambda z: special.zeta(np.asarray(s, z.dtype), z), (q,), (q_dot,))
    y_dot = rg.jvp(lambda z: special.zeta(s, z), (q,), (q_dot,))[1]
    q_bar = rg.vjp(lambda z: special.zeta(s, z), q)[1](q_dot)[0]
    assert np.all(np.abs(y_dot - expected) <= 4 * error + 1e-14 * np.abs(expected))
    assert np.array_equal(q_bar, y_dot)


def test_the_ends_of_the_domain() -> None:
    s, q = np.array([1.0, 2.0, 0.5, 2.0, 2.0, np.inf]), np.array([2.0, 0.0, 1.0, -1.5, np.inf, 2.0])
    assert np.array_equal(special.zeta(s, q), [np.inf, np.inf, np.nan, np.nan, 0.0, 0.0], equal_nan=True)
    assert special.zeta(2, 1).dtype == np.float64
    assert special.zeta(np.float32(2), np.float32(1)).dtype == np.float32
    assert special.zeta(np.full((2, 1), 2.0), np.ones(3)).shape == (2, 3)


def test_a_traced_exponent_is_refused_by_name() -> None:
    with pytest.raises(NoRuleError, match=r"zeta: argument input .*stop_gradient"):
        rg.grad(lambda s: special.zeta(s, 2.0))(3.0)
    assert rg.grad(lambda s: special.zeta(rg.stop_gradient(s), 2.0) + s)(3.0) == 1.0
