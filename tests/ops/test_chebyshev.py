"""The tables of Chebyshev coefficients are those of their functions, and formats take as many terms as they can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath")

from refgrad.ops import scaled_error_function  # noqa: E402
from refgrad.ops.chebyshev import Series  # noqa: E402

POINTS = 64


def coefficients(f: Callable[[Any], Any], count: int) -> list[Any]:
    """The first Chebyshev coefficients of f by interpolation at more points."""
    angles = [mpmath.pi * (2 * j + 1) / (2 * POINTS) for j in range(POINTS)]
    values = [f(mpmath.cos(a)) for a in angles]
    return [
        (2 if k else 1) * sum(v * mpmath.cos(k * a) for v, a in zip(values, angles, strict=True)) / POINTS
        for k in range(count)
    ]


def moment(x: Any, order: int) -> Any:
    """2/sqrt(pi) times the integral of s^n exp(-s^2 - 2 s x) over s > 0, by integration by parts."""
    with mpmath.workdps(160):
        before, y = mpmath.mpf(0), mpmath.exp(x * x) * mpmath.erfc(x)
        for n in range(1, order + 1):
            step = 1 / mpmath.sqrt(mpmath.pi) if n == 1 else (n - 1) * before / 2
            y, before = step - x * y, y
        return y


@pytest.mark.parametrize("order", range(4))
def test_the_tables_of_the_scaled_error_function(order: int) -> None:
    def smooth(t: Any) -> Any:
        x = 4 * (1 + t) / (1 - t)
        return (1 + 2 * x) ** (order + 1) * moment(x, order)

    with mpmath.workdps(60):
        table = scaled_error_function.SERIES[order].digits
        found = coefficients(smooth, len(table))
        off = max(abs(mpmath.mpf(c) - d) for c, d in zip(table, found, strict=True))
    assert off < 1e-23


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_the_sum_is_that_of_the_polynomials(dtype: type) -> None:
    digits = ["0.5", "-0.25", "0.125", "1e-3"]
    t = np.linspace(-1, 1, 41).astype(dtype)
    due = np.polynomial.chebyshev.chebval(t, np.array(digits, dtype))
    got = Series(" ".join(digits))(t)
    assert got.dtype == dtype
    assert np.all(np.abs(got - due) <= 8 * np.finfo(dtype).eps)


def test_a_format_takes_the_terms_that_it_can_tell() -> None:
    series = scaled_error_function.SERIES[0]
    short, long = (len(series.coefficients(np.dtype(d))) for d in (np.float64, np.longdouble))
    assert short <= long <= len(series.digits)
    if np.finfo(np.longdouble).nmant > 52:
        assert short < long
