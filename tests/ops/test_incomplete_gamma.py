"""How many digits the incomplete gamma functions have, over the whole domain, and that the bound is no smaller than the error.

What refgrad says of itself: P, Q and the slope are off by at most 12 roundings, and those of x - a and a log(x/a). The reference sums the
power series of P (DLMF 8.11.4) or the continued fraction of Q (8.9.2) in 60 digits. From a = 1e7 on it is the uniform expansion with two
terms (8.12.3, 8.12.8 to 8.12.10), whose next term is below a^-2 of the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import special
from refgrad.bounds.formats import FORMATS
from refgrad.ops import incomplete_gamma as ops
from refgrad.tracing.ball import exact, parts

mpmath = pytest.importorskip("mpmath")

Array = Any
UNIT = float(np.finfo(float).eps)
LEAST = float(np.nextafter(0.0, 1.0))
DIGITS = 60
UNIFORM_FROM = 1e7


def scale(a: Any, x: Any) -> Any:
    """x^a exp(-x)/Gamma(a + 1)."""
    return mpmath.exp(a * mpmath.log(x) - x - mpmath.loggamma(a + 1))


def by_series(a: Any, x: Any, digits: int) -> tuple[Any, Any]:
    with mpmath.workdps(digits):
        term = total = mpmath.mpf(1)
        n, least = 0, mpmath.mpf(10) ** -(digits - 15)
        while term > total * least:
            n += 1
            term *= x / (a + n)
            total += term
        p = scale(a, x) * total
        return p, 1 - p


def by_fraction(a: Any, x: Any) -> tuple[Any, Any]:
    """Lentz's algorithm."""
    least = mpmath.mpf(10) ** -3000
    b = x + 1 - a
    c, d = 1 / least, 1 / b
    q, i, factor = d, 0, mpmath.mpf(0)
    while abs(factor - 1) > mpmath.mpf(10) ** -(DIGITS - 15):
        i += 1
        numerator = -i * (i - a)
        b += 2
        d = 1 / (numerator * d + b or least)
        c = b + numerator / c or least
        factor = d * c
        q *= factor
    q *= scale(a, x) * a
    return 1 - q, q


def uniformly(a: Any, x: Any) -> tuple[Any, Any]:
    mu = x / a - 1
    eta = mpmath.sign(mu) * mpmath.sqrt(2 * (mu - mpmath.log(1 + mu)))
    first = 1 / mu - 1 / eta if eta else -mpmath.mpf(1) / 3
    second = 1 / eta**3 - 1 / mu**3 - 1 / mu**2 - 1 / (12 * mu) if eta else -mpmath.mpf(1) / 540
    rest = mpmath.exp(-a * eta**2 / 2) / mpmath.sqrt(2 * mpmath.pi * a) * (first + second / a)
    half = eta * mpmath.sqrt(a / 2)
    return mpmath.erfc(-half) / 2 - rest, mpmath.erfc(half) / 2 + rest


def right(a: float, x: float) -> tuple[Any, Any, Any]:
    """P, Q and the slope."""
    digits = DIGITS + int(np.log10(1 + a + x))  # of the exponent, whose terms cancel
    with mpmath.workdps(digits + (200 if a >= UNIFORM_FROM else 0)):
        a, x = mpmath.mpf(a), mpmath.mpf(x)
        slope = scale(a, x) * a / x
        if a >= UNIFORM_FROM:
            return *uniformly(a, x), slope
        if x > max(a + 1, 5):
            return *by_fraction(a, x), slope
        p, q = by_series(a, x, digits)
        return (p, q, slope) if p < 0.99 else (*by_series(a, x, 420), slope)


def log_uniform(rng: np.random.Generator, low: float, high: float, n: int = 24) -> Array:
    return 10.0 ** rng.uniform(low, high, n)


def places() -> dict[str, tuple[Array, Array]]:
    rng = np.random.default_rng(3)
    near = log_uniform(rng, 1, 6)
    huge = log_uniform(rng, 7, 14)
    far = log_uniform(rng, 1, 6)
    return {
        "large a near x": (near, near * np.abs(1 + 2 * rng.normal(size=24) / np.sqrt(near))),
        "huge a near x": (huge, huge * (1 + 2 * rng.normal(size=24) / np.sqrt(huge))),
        "large a far from x": (far, far * np.exp(rng.uniform(-3, 2, 24))),
        "small a": (log_uniform(rng, -307, -1), log_uniform(rng, -307, 2.5)),
        "subnormal a": (log_uniform(rng, -323, -308), log_uniform(rng, -323, 2.5)),
        "subnormal x": (log_uniform(rng, -3, 2), log_uniform(rng, -323, -308)),
        "both of one size": (rng.uniform(0.5, 30, 24), log_uniform(rng, -5, 2.8)),
        "where the formulas meet": (np.repeat([20.0, np.nextafter(20, 0), 1.0], 8), np.tile(rng.uniform(0.5, 60, 8), 3)),
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", places())
def test_the_error_is_within_what_is_claimed_and_within_the_bound(name: str) -> None:
    a, x = places()[name]
    fmt = FORMATS["float64"]
    balls = exact(a, fmt), exact(x, fmt)
    radii = [
        np.broadcast_to(parts(op(*balls))[1], a.shape) for op in (ops.gammainc, ops.gammaincc, ops.density)
    ]
    slope = rg.vjp(lambda x: special.gammainc(a, x), x)[1](np.ones_like(x))[0]
    found = [special.gammainc(a, x), special.gammaincc(a, x), slope]
    compared = 0
    for k, (order, point) in enumerate(zip(a, x, strict=True)):
        room = (12 + abs(point - order) + order * abs(np.log(point / order))) * UNIT
        for got, due, radius in zip(found, right(order, point), radii, strict=True):
            if due > np.finfo(float).max:
                assert got[k] == np.inf
                continue
            error = abs(mpmath.mpf(float(got[k])) - due)
            assert error <= room * due + 2 * LEAST, (order, point, got[k], float(due))
            assert error <= max(float(radius[k]), LEAST), (order, point, got[k], float(due))
            compared += 1
    assert compared >= 2 * len(a)


def test_the_references_agree_where_they_meet() -> None:
    """The series and the fraction beside mpmath's own function, and the expansion beside the series."""
    for a, x in ((0.3, 0.2), (2.5, 7.0), (40.0, 35.0), (300.0, 330.0)):
        with mpmath.workdps(DIGITS):
            due = mpmath.gammainc(mpmath.mpf(a), 0, mpmath.mpf(x), regularized=True)
            assert abs(right(a, x)[0] / due - 1) < mpmath.mpf(10) ** -40
    with mpmath.workdps(80):
        a, x = mpmath.mpf(UNIFORM_FROM), mpmath.mpf(UNIFORM_FROM) * (1 - mpmath.mpf(1) / 4000)
        assert abs(uniformly(a, x)[0] / by_series(a, x, 70)[0] - 1) < 1e-16
