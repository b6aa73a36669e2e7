"""Infinite derivatives that arrive at a node: the result of a program may depend on the order of its operations.

x_dot (1 - y²) and x_dot - x_dot y² are the same function, computed with the same accuracy. For an infinite x_dot the first is infinite
and the second is NaN. The first is NaN as well where 1 - y² rounds to 0. So where the expected derivative is infinite because an infinity
arrived, a program that multiplies and adds may give NaN. It may give either infinity where the factor may have either sign.

A derivative is linear in the arriving derivative. With the numbers s and -s in place of an infinity, the two expected results differ by
2s times the slope. Three cases are told apart. If a result is infinite, the infinity has another source (a pole, or a rule that does not
read the arriving derivative), and it has to be met. If the radius is zero, the number is copied, and so is an infinity. If the results
are finite with a nonzero radius, the program rounds, and the order of its operations is free. A finite answer is wrong in all three
cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, parts

# From the sign of the number in place of infinity to the expected derivative.
WithNumbers = Callable[[float], Any]


def in_numbers(arriving: PlainArray, sign: float, fmt: Format) -> PlainArray:
    """The arriving derivative with a number for each infinity. It uses all digits of ``fmt``, so that products with it round."""
    return np.where(np.isinf(arriving), np.copysign(2 - 2 * fmt.u, sign * arriving), arriving)


def undecidable(got: PlainArray, expected: Ball | PlainArray, with_numbers: WithNumbers) -> PlainArray:
    """A mask of the elements where infinity is expected, ``got`` is not finite, and the order of operations decides between them."""
    value, _ = parts(expected)
    if np.shape(got) != value.shape:
        return np.zeros(value.shape, bool)
    (above, above_radius), (below, below_radius) = parts(with_numbers(1.0)), parts(with_numbers(-1.0))
    with quiet():
        slope, bound = np.abs(above - below), above_radius + below_radius
        free = np.isinf(value) & np.isfinite(slope) & (bound > 0)
        return free & (np.isnan(got) | (got == -value) & (slope <= bound))


def without(expected: Ball | PlainArray, places: PlainArray, fmt: Format) -> Any:
    """The expected values, undefined (NaN) where the mask ``places`` is true."""
    value, radius = parts(expected)
    return Ball(np.where(places, np.nan, value), radius, fmt)
