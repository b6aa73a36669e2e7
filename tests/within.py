"""Comparison of an array with a reference and its derived error bound, in place of a tolerance typed by hand."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.numeric import differences
from refgrad.tracing.ball import exact, parts


def balls_of(arrays, dtype):
    """The arrays as exact Balls of the format of ``dtype``; long double is held to the bound of float64, which is wider."""
    fmt = FORMATS.get(str(dtype), FORMATS["float64"])
    return tuple([exact(x, fmt) for x in arrays])


def slopes(f, primals, tangents, noise=0.0):
    """The third judge's derivative of f along tangents, and what it may err: its own estimate, and its rounding to float64."""
    expected, error = differences(f, primals, tangents, noise=noise)
    return expected, error + FORMATS["float64"].u * np.abs(expected)


def lost_in(f, xs, y_ball):
    """What the plain function loses of long double: float64's rounding where it casts to that dtype on its way, else nothing."""
    at_work = np.asarray(f(*[x.astype(np.longdouble) for x in xs]))
    if at_work.dtype == np.longdouble and np.array_equal(at_work, parts(y_ball)[0], equal_nan=True):
        return 0.0
    return np.finfo(float).eps * np.max(np.abs(at_work), initial=1.0)


def assert_within(got, expected, what="", error=0.0) -> int:
    """Each element of ``got`` lies within the radius of the Ball ``expected``, widened by what the reference itself may err.

    ``error`` is the estimate that comes with ``got`` where that is a difference quotient. A value that is no Ball is exact.
    Returns how many elements have a finite bound.
    """
    value, radius = parts(expected)
    got = np.asarray(got)
    assert got.shape == np.shape(value), (what, got.shape, np.shape(value))
    fmt = getattr(expected, "fmt", FORMATS["float64"])
    with np.errstate(invalid="ignore"):
        gap = np.abs(got.astype(fmt.wide) - value)
        same = (got == value) | (np.isnan(got) & np.isnan(value))
    outside = ~(same | (gap <= radius * reference_slack(fmt) + error))
    if outside.any():
        k = tuple(np.argwhere(outside)[0])
        bound = np.broadcast_to(radius + np.zeros(got.shape), got.shape)[k]
        raise AssertionError(
            f"{what}{[int(i) for i in k]}: {got[k]!r}, expected {np.asarray(value)[k]!r} ± {bound!r}"
        )
    return int(np.count_nonzero(np.isfinite(np.broadcast_to(radius, got.shape))))
