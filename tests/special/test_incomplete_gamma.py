"""The incomplete gamma functions: digits of values and slopes, the ends of their domain, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import special
from refgrad.errors import NoRuleError
from refgrad.numeric import differences
from refgrad.ops import incomplete_gamma_series as series

mpmath = pytest.importorskip("mpmath")

RNG = np.random.default_rng(8)
A = np.concatenate(
    [
        RNG.uniform(0.01, 3, 60),
        RNG.uniform(0, 40, 90),
        10.0 ** RNG.uniform(1, 4, 60),
        10.0 ** RNG.uniform(-100, -1, 20),
    ]
)
FAR = A[150:210] * (1 + RNG.normal(size=60) / np.sqrt(A[150:210]))
X = np.concatenate(
    [RNG.uniform(0, 5, 60), A[60:150] * RNG.uniform(0.3, 2.5, 90), FAR, 10.0 ** RNG.uniform(-8, 1, 20)]
)
UNIT = float(np.finfo(float).eps)


def exactly(a: float, x: float) -> tuple[Any, Any, Any]:
    """P, Q and the slope, by mpmath."""
    with mpmath.workdps(60):
        a, x = mpmath.mpf(a), mpmath.mpf(x)
        lower = mpmath.gammainc(a, 0, x, regularized=True)
        upper = mpmath.gammainc(a, x, mpmath.inf, regularized=True)
        return lower, upper, mpmath.exp((a - 1) * mpmath.log(x) - x - mpmath.loggamma(a))


def test_values_and_slopes_keep_their_digits() -> None:
    """Within 12 roundings, and those of x - a and a log(x/a) in the exponent of the factor in front."""
    lower, upper = special.gammainc(A, X), special.gammaincc(A, X)
    slope = rg.vjp(lambda x: special.gammainc(A, x), X)[1](np.ones_like(X))[0]
    assert np.array_equal(rg.vjp(lambda x: special.gammaincc(A, x), X)[1](np.ones_like(X))[0], -slope)
    met = 0
    for a, x, *found in zip(A, X, lower, upper, slope, strict=True):
        room = (12 + abs(x - a) + a * abs(np.log(x / a))) * UNIT
        for got, right in zip(found, exactly(a, x), strict=True):
            if right > 1e-290:
                assert abs(got - right) <= room * right, (a, x, got, float(right))
                met += 1
    assert met > 600


def test_long_double_has_more_digits() -> None:
    if np.finfo(np.longdouble).eps == UNIT:
        pytest.skip("long double is float64 here")
    wide = special.gammainc(A.astype(np.longdouble), X.astype(np.longdouble))
    for a, x, y in list(zip(A, X, wide, strict=True))[::5]:
        right = exactly(a, x)[0]
        high = float(y)
        if right > 1e-200:
            assert abs((high - right) + float(y - np.longdouble(high))) < UNIT / 8 * right


@pytest.mark.parametrize("f", [special.gammainc, special.gammaincc])
def test_both_modes_and_the_second_order_against_differences(f: Any) -> None:
    a, x, x_dot = A[:120] + 0.5, X[:120] + 0.2, RNG.standard_normal(120)
    roundings = (12 + np.abs(x - a) + a * np.abs(np.log(x / a))) * UNIT

    def of(z: Any) -> Any:
        return f(np.asarray(a, z.dtype), z)

    expected, error = differences(of, (x,), (x_dot,))
    y_dot = rg.jvp(of, (x,), (x_dot,))[1]
    assert np.all(np.abs(y_dot - expected) <= 4 * error + roundings * np.abs(expected))
    assert np.array_equal(rg.vjp(of, x)[1](x_dot)[0], y_dot)

    def slope(z: Any) -> Any:
        return rg.vjp(of, z)[1](np.ones_like(z))[0]

    expected, error = differences(slope, (x,), (x_dot,))
    terms = np.abs(slope(x) * x_dot) * (1 + np.abs(a - 1) / x)
    for found in (rg.jvp(slope, (x,), (x_dot,))[1], rg.vjp(slope, x)[1](x_dot)[0]):
        assert np.all(np.abs(found - expected) <= 4 * error + roundings * terms)


def test_the_ends_of_the_domain() -> None:
    nothing, far = np.nan, np.inf
    a = np.array([0.0, 0.0, 1.0, 1.0, -1.0, far, 1.0, far, nothing])
    x = np.array([0.0, 1.0, 0.0, far, 1.0, 1.0, -1.0, far, 1.0])
    lower = np.array([nothing, 1.0, 0.0, 1.0, nothing, 0.0, nothing, nothing, nothing])
    assert np.array_equal(special.gammainc(a, x), lower, equal_nan=True)
    assert np.array_equal(special.gammaincc(a, x), 1 - lower, equal_nan=True)
    slopes = rg.vjp(lambda z: special.gammainc(np.array([0.5, 1.0, 2.0]), z), np.zeros(3))[1](np.ones(3))[0]
    assert np.array_equal(slopes, [far, 1.0, 0.0])
    assert special.gammainc(2, 1).dtype == np.float64
    assert special.gammaincc(np.float32(2), np.float32(1)).dtype == np.float32
    assert special.gammainc(np.full((2, 1), 2.0), np.ones(3)).shape == (2, 3)


def test_the_uniform_expansion_begins_with_known_coefficients() -> None:
    """-1/3, -1/540 and 25/6048 (DLMF 8.12.13 and Temme)."""
    first = [row[0] for row in series._coefficients(np.dtype(float))[:3]]
    assert np.allclose(first, [-1 / 3, -1 / 540, 25 / 6048], rtol=2 * UNIT, atol=0)


def test_a_traced_order_is_refused_by_name() -> None:
    for name in ("gammainc", "gammaincc"):
        f = getattr(special, name)
        with pytest.raises(NoRuleError, match=rf"{name}: argument input .*stop_gradient"):
            rg.grad(lambda a, f=f: f(a, 2.0))(3.0)
        assert rg.grad(lambda a, f=f: f(rg.stop_gradient(a), 2.0) + a)(3.0) == 1.0
