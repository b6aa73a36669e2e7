"""The third judge: derivatives that come from neither forward nor reverse mode.

complex_step    exact to the last digits, for code that NumPy can run on complex numbers (analytic functions)
differences     Richardson-extrapolated central differences in long double, with an estimate of their own error
mpmath_diff     arbitrary precision at a point, for functions of the special kind (needs mpmath)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array


def complex_step(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], h: float = 1e-100
) -> Array:
    """Derivative of f along tangents as Im f(x + i h v)/h: no difference is formed, so nothing cancels.

    f must be analytic code on plain arrays (no abs, max, comparisons of differentiated values).
    Squire and Trapp, SIAM Review 40 (1998).
    """
    moved = [np.asarray(x) + 1j * h * np.asarray(v) for x, v in zip(primals, tangents, strict=True)]
    return np.imag(f(*moved)) / h


def differences(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    step: float = 2.0**-5,
    rounds: int = 8,
    noise: Array | float = 0.0,
) -> tuple[Array, Array]:
    """Derivative of f along tangents and an estimate of its error, both float64.

    Central differences at steps h, h/2, h/4, ... in long double, extrapolated to h = 0 (Richardson; the tableau of
    Ridders, Advances in Engineering Software 4, 1982): the entry of the smallest error is taken. An entry's error is how far
    it lies from its neighbours, and what its smallest step makes of rounding: of f's values, and of x + hv. ``noise`` is how far
    long double may take f's values astray where that is more than their own last rounding (cancellation inside f).
    """
    wide = np.longdouble
    xs = [np.asarray(x).astype(wide) for x in primals]
    vs = [np.asarray(v).astype(wide) for v in tangents]

    def central(h: Any) -> tuple[Array, Array]:
        right, left = (
            [x + h * v for x, v in zip(xs, vs, strict=True)],
            [x - h * v for x, v in zip(xs, vs, strict=True)],
        )
        ahead, behind = np.asarray(f(*right), wide), np.asarray(f(*left), wide)
        slope = (ahead - behind) / (2 * h)
        astray = [
            np.max(np.abs((a - b) / (2 * h * v) - 1), where=v != 0, initial=0)
            for a, b, v in zip(right, left, vs, strict=True)
        ]
        rounding = (noise + np.finfo(wide).eps * (np.abs(ahead) + np.abs(behind)) / 2) / h
        return slope, 2 * (
            rounding + np.abs(slope) * max(astray, default=0)
        )  # 2 > prod (4^m + 1)/(4^m - 1): what extrapolation amplifies

    with np.errstate(all="ignore"):
        previous = [central(wide(step))[0]]
        best, error = previous[0], np.full(np.shape(previous[0]), np.inf, wide)
        for k in range(1, rounds):
            slope, floor = central(wide(step) / wide(2) ** k)
            row = [slope]
            for m in range(1, k + 1):
                factor = wide(4) ** m
                row.append((factor * row[m - 1] - previous[m - 1]) / (factor - 1))
                spread = np.maximum(np.abs(row[m] - row[m - 1]), np.abs(row[m] - previous[m - 1])) + floor
                better = spread < error
                best, error = np.where(better, row[m], best), np.where(better, spread, error)
            previous = row
    return np.asarray(best, np.float64), np.asarray(error, np.float64)


def mpmath_diff(f: Callable[..., Any], point: Sequence[float], position: int, digits: int = 50) -> float:
    """Partial derivative of an mpmath function at a point, computed with ``digits`` digits."""
    import mpmath

    with mpmath.workdps(digits):
        order = tuple(int(k == position) for k in range(len(point)))
        return float(mpmath.diff(f, tuple(mpmath.mpf(float(x)) for x in point), order))
