"""Imprecise or wrong: decides which elements out of bounds the rounding of another correct formula explains.

An error bound belongs to one formula. A correct kernel that uses another formula may exceed it where its intermediate results are large and
its result is small. For example, s(1 - s) for the slope of the sigmoid loses digits at large x that exp(-x)/(1 + exp(-x))^2 keeps. Such a
number has fewer correct digits than the format allows, but it is no wrong derivative.

**The formula is named** in the record of the op (``usual``). Then the error has to lie within the bound of that formula, and the number
needs a correct bit: an error of half of the expected magnitude or more (a doubled or negated element) is wrong. Three cases are excepted:
the number is 0, the result of complete cancellation; the bound of the record itself leaves no correct bit; or the number is off by at most
one unit of the subnormal numbers, the smallest error that a result there can have.

**The formula is hidden**, as in a kernel that shows only its results. The intermediate results for a gradient are about as large as the
largest elements of the gradient, so rounding errors are about as large as those of the largest elements. These are known without the
formula: the typical element has the relative bound r = median of bound/|expected|, so rounding changes the largest element by r
max|expected|. The median is taken over the nonzero elements; a single ill-conditioned one does not change it. Where half of the elements
are blind (r >= 1), rounding could explain any error, so it is not accepted as an explanation.

A formula of m rounded operations, on intermediate results no larger than the largest elements, has an error of at most m u times these.
The m of a hidden formula is not known. It is taken as the number of operations of the reference that round, or as the number that the
framework was seen to run if that is larger. The reference computes value and derivative together: a kernel may add up a value in the judged
format, and then rounds more often than the reference does for the value alone. Moves and selections of elements do not round. So r is at
least m u. For example, (x - 1)(x + 1) has three roundings where x^2 - 1 may have one.

A cotangent with few nonzero elements gives few elements of a gradient, and these may be small. The formula computes them from the same
intermediate results, so the scale is that of an ordinary gradient of the same array, for cotangents of the same size. The ratio r is the
smaller of the two, because a sum of fewer terms loses less.

An error planted into all elements of an array changes its largest elements, too, and a gross one by more than r: it stays wrong. An error
of half of the largest element or more is wrong, because no rounding explains it.

A single number gives no scale of its intermediate results. It is imprecise where a run on perturbed data gives it: all inputs and
cotangents changed by at most one rounding. (Such a formula is backward stable; Higham, ch. 1.) An example is a formula that starts from
the rounded value of an elementwise function, as y(1 - y) for the slope of a sigmoid. As for a named formula, the number needs a correct
bit, or is 0.

A function all of whose ops are elementwise, such as a Bessel function, computes each element by itself (``alone``). No intermediate
result belongs to another element, so the largest element says nothing about them, and the scale is the element itself.

Node-by-node judgement does not use the scale for ops. There every op is known, and its record can name its formulas. With the scale some
structural errors in small elements (a forgotten term of a softmax in bfloat16) would count as imprecise. It uses the scale for a function
(refgrad.op.function): the framework computes it by one kernel, whose intermediate results are hidden.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.quiet import quiet


def with_digits(
    got: PlainArray, error: PlainArray, bound: PlainArray, size: PlainArray, least: float
) -> PlainArray:
    """A mask of the elements that have a correct bit, are 0, have a bound that leaves no correct bit, or an error of at most ``least``."""
    return (2 * error < size) | (got == 0) | (bound >= size) | (error <= least)


@dataclass(frozen=True, slots=True)
class Hidden:
    """What is known about the hidden formula of a kernel.

    loss      m u, where operations could be counted
    typical   the typical relative bound of an ordinary gradient of the same array
    largest   the magnitude of the largest element of such a gradient, for cotangents of the same size
    finite    whether its results are numbers wherever those of the reference are in range: NaN and infinity are wrong there
    alone     whether it computes each element of a result by itself: no intermediate result is of another element
    """

    loss: float = 0.0
    typical: float = math.inf
    largest: float = 0.0
    finite: bool = True
    alone: bool = False


def typical_and_largest(bound: PlainArray, size: PlainArray) -> tuple[float, float]:
    """The median of bound/size and the largest size, over the nonzero elements with finite bounds; zeros where there are none."""
    usual = np.isfinite(size) & (size > 0) & np.isfinite(bound)
    if not np.count_nonzero(usual):
        return 0.0, 0.0
    with quiet():
        return float(np.median(bound[usual] / size[usual])), float(np.max(size[usual]))


def explained(
    error: PlainArray,
    bound: PlainArray,
    size: PlainArray,
    hidden: Hidden = Hidden(),
    usual: tuple[float, float] | None = None,
) -> PlainArray:
    """A mask of the elements of one array that are out of bounds by no more than the rounding of some formula.

    error, bound, size   of each element: |got - expected|, the error bound, |expected|; arrays of one shape
    usual                ``typical_and_largest`` of the whole array, where the elements are a part of it
    """
    if hidden.alone:
        with quiet():
            return (error > bound) & (error <= hidden.loss * size) & (2 * error < size)
    typical, largest = usual or typical_and_largest(bound, size)
    typical = min(typical, hidden.typical)
    loss = hidden.loss if hidden.loss < 0.5 else 0.0
    if typical >= 1 or max(typical, loss) == 0:
        return np.zeros(np.shape(size), bool)
    with quiet():
        scale = max(largest, hidden.largest)
        return (error > bound) & (error <= max(typical, loss) * scale) & (2 * error < scale)
