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
    steps = wide(step) / wide(2) ** np.arange(rounds)

    def each(x: Array) -> Array:
        """The steps, along an axis before those of x."""
        return steps.reshape(rounds, *[1] * np.ndim(x))

    def values(points: Sequence[Array]) -> Array:
        return np.array([np.asarray(f(*[x[k] for x in points]), wide) for k in range(rounds)])

    with np.errstate(all="ignore"):
        right, left = ([x + sign * each(x) * v for x, v in zip(xs, vs, strict=True)] for sign in (1, -1))
        ahead, behind = values(right), values(left)
        h = each(ahead[0])
        column = (ahead - behind) / (2 * h)
        astray = [
            np.max(np.abs((a - b) / (2 * each(v) * v) - 1), tuple(range(1, a.ndim)), where=v != 0, initial=0)
            for a, b, v in zip(right, left, vs, strict=True)
            if np.any(v)
        ]
        rounding = (noise + np.finfo(wide).eps * (np.abs(ahead) + np.abs(behind)) / 2) / h
        inexact = np.max(astray, axis=0, initial=0).reshape(h.shape) if astray else 0
        # 2 > prod (4^m + 1)/(4^m - 1): what extrapolation amplifies
        floor = 2 * (rounding + np.abs(column) * inexact)
        shape = (rounds, rounds, *column.shape[1:])
        entries, spreads = np.empty(shape, wide), np.full(shape, np.inf, wide)
        entries[0] = column[0]
        for m in range(1, rounds):  # a column of the tableau; row k has the steps down to h/2^k
            factor = wide(4) ** m
            finer = (factor * column[1:] - column[:-1]) / (factor - 1)
            spread = np.maximum(np.abs(finer - column[1:]), np.abs(finer - column[:-1]))
            entries[m:, m], spreads[m:, m] = finer, spread + floor[m:]
            column = finer
        spreads[np.isnan(spreads)] = np.inf
        rows = (rounds * rounds, *shape[2:])
        entries, spreads = entries.reshape(rows), spreads.reshape(rows)
        place = np.argmin(spreads, axis=0, keepdims=True)
        best, error = (np.take_along_axis(x, place, axis=0)[0] for x in (entries, spreads))
    return np.asarray(best, np.float64), np.asarray(error, np.float64)


def mpmath_diff(f: Callable[..., Any], point: Sequence[float], position: int, digits: int = 50) -> float:
    """Partial derivative of an mpmath function at a point, computed with ``digits`` digits."""
    import mpmath

    with mpmath.workdps(digits):
        order = tuple(int(k == position) for k in range(len(point)))
        return float(mpmath.diff(f, tuple(mpmath.mpf(float(x)) for x in point), order))
