"""Imprecise or wrong: which elements out of bounds the rounding of another right formula explains.

A bound is that of one formula. A right kernel that uses another one may leave it where its own intermediate results are large and
its result is small: s(1 - s) for the slope of the sigmoid loses, far out, the digits that exp(-x)/(1 + exp(-x))^2 keeps. Such a
number has fewer correct digits than the format allows, and is no wrong derivative.

**The formula is named** in the record of the op (``usual``). Then the error has to lie within the bound of that formula, and the number
needs a correct bit: what is off by half of its own size or more (a doubled or negated element) is wrong, unless it is 0, which is
what a cancellation leaves in the end, or unless the record's own bound leaves no bit either.

**The formula is hidden**, as in a kernel of which nothing is known but what it returns. Intermediate results for a whole gradient are about
as large as the largest elements of that gradient, so rounding errors are about as large as those of the largest elements. These are
known without the formula: the typical element loses the relative share r = median of bound/|expected|, so rounding moves the largest
element by r max|expected|. The median is over the elements that are not zero; a single ill-conditioned one does not move it. Where half
of the elements are blind (r >= 1), rounding could explain anything, and explains nothing here.

A formula of m rounded operations, on intermediate results no larger than the largest elements, errs by at most m u of these. How many a
hidden one has is not known. It computes what the reference computes, so it is granted as many operations as the reference takes for the
value and the derivative together, or as many as the framework was seen to run, if these are more. So r is at least m u: (x - 1)(x + 1) has
three roundings where x^2 - 1 may have one.

A cotangent with a few elements shows a few elements of a gradient, and these may be small ones. The formula computes them from the same
intermediate results as before, so the scale is that of an ordinary gradient of the same array, by cotangents as large. The share r is the
smaller of the two: where few terms are summed, less is lost.

An error planted into a whole array moves its largest elements as well, and a gross one by more than r: it stays wrong. What is off by half
of the largest element, or more, has no correct bit beside it: no rounding explains that.

A single number says nothing of what it was computed from. There an element is imprecise where a run on slightly other numbers gives it: all
inputs and cotangents within one rounding of their own. (Such a formula is backward stable; Higham, ch. 1.) So it is where a formula starts
from the rounded value of an elementwise function, y(1 - y) for the slope of a sigmoid. As for a formula with a name, the number needs a
correct bit, or is 0.

Node by node the scale is not granted. There every op is known, its formulas can be named, and with the scale a few errors of structure in
small elements (a forgotten term of a softmax in bfloat16) passed for lost digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.quiet import quiet

Array = Any


def with_digits(got: Array, error: Array, bound: Array, size: Array) -> Array:
    """Which elements have a correct bit, or nothing left (0), or a bound that leaves none: a mask of their shape."""
    return (2 * error < size) | (got == 0) | (bound >= size)


@dataclass(frozen=True, slots=True)
class Hidden:
    """What is known of the formula of a kernel, where it is not the formula itself.

    loss      m u, where operations could be counted
    typical   the relative share that the typical element of an ordinary gradient of the same array loses
    largest   the magnitude of the largest element of such a gradient, by cotangents as large as those of this one
    """

    loss: float = 0.0
    typical: float = math.inf
    largest: float = 0.0


def typical_and_largest(bound: Array, size: Array) -> tuple[float, float]:
    """Of one array: the relative share that the typical element loses by rounding, and the magnitude of the largest element; 0 for none."""
    usual = np.isfinite(size) & (size > 0) & np.isfinite(bound)
    if not np.count_nonzero(usual):
        return 0.0, 0.0
    with quiet():
        return float(np.median(bound[usual] / size[usual])), float(np.max(size[usual]))


def explained(
    error: Array,
    bound: Array,
    size: Array,
    hidden: Hidden = Hidden(),
    usual: tuple[float, float] | None = None,
) -> Array:
    """Which elements of one array are out of bounds by no more than the rounding of some formula: a mask of their shape.

    error, bound, size   of each element: |got - expected|, how large the error may be, |expected|; arrays of one shape
    usual                their share, where they are a part of an array alone
    """
    typical, largest = usual or typical_and_largest(bound, size)
    typical = min(typical, hidden.typical)
    loss = hidden.loss if hidden.loss < 0.5 else 0.0
    if typical >= 1 or max(typical, loss) == 0:
        return np.zeros(np.shape(size), bool)
    with quiet():
        scale = max(largest, hidden.largest)
        return (error > bound) & (error <= max(typical, loss) * scale) & (2 * error < scale)
