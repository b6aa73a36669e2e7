"""Infinite derivatives that arrive at a node: what a program makes of them may depend on the order of its steps.

x_dot (1 - y²) and x_dot - x_dot y² are one function and as exact as each other. Where x_dot is infinite the first is infinite, the
second NaN, and so is the first where 1 - y² rounds to 0. So where infinity is due because infinity arrived, a program that multiplies
and adds may say NaN; and either infinity, where the derivative it multiplies by may have either sign.

A derivative is linear in what arrives. Asked again with s and with -s in place of an infinity, it differs by 2s times the slope, and
the two bounds tell three cases apart. Infinite with_numbers: infinity is due from elsewhere, from a pole or from rules that never looked at
what arrived, so it has to be met. Without any bound: the number is copied, as infinity has to be, too. Finite, with a bound: the
program rounds on the way, so its steps are free. A finite answer is wrong in all three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, parts

Array = Any
WithNumbers = Callable[
    [float], Any
]  # the expected derivative, by the sign of the number in place of infinity


def in_numbers(arriving: Array, sign: float, fmt: Format) -> Array:
    """What arrives, with a number of the format for infinity: one with all its digits, so that no product with it is exact by chance."""
    return np.where(np.isinf(arriving), np.copysign(2 - 2 * fmt.u, sign * arriving), arriving)


def undecidable(got: Array, expected: Any, with_numbers: WithNumbers) -> Array:
    """Where ``got`` is not finite, infinity is expected, and neither decides anything: a mask of their shape."""
    value, _ = parts(expected)
    if np.shape(got) != value.shape:
        return np.zeros(value.shape, bool)
    (above, above_radius), (below, below_radius) = parts(with_numbers(1.0)), parts(with_numbers(-1.0))
    with quiet():
        slope, bound = np.abs(above - below), above_radius + below_radius
        free = np.isinf(value) & np.isfinite(slope) & (bound > 0)
        return free & (np.isnan(got) | (got == -value) & (slope <= bound))


def without(expected: Any, places: Array, fmt: Format) -> Any:
    """What is expected, with nothing defined at some places."""
    value, radius = parts(expected)
    return Ball(np.where(places, np.nan, value), radius, fmt)
