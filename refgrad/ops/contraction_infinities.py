"""Which elements of a contraction of three or more operands are the same for every order of contraction, with infinities in operands.

An element is a sum of terms, one for each index of the summed labels, and a term is a product of one factor of each operand. An order of
contraction adds up products of some of the operands first. Two kinds of element are the same for all orders:

Without an infinite factor, where the sum of products of max(|x|, 1) is in the range. A partial sum is no larger than that: each of its
products is one of some factors of a term, and what the other factors multiply it by there is 1 or more.

So is one with NaN in a term.

Infinite, where the terms with an infinite factor have no factor 0 and all have one sign. Take a partial sum over some operands in which a
product is infinite. The other factors that it meets do not depend on the labels that it is summed over. So its infinite products have one
sign, for with the same other factors they are terms of one sign. And the other factors, whatever partial sums they form, have nonzero
products of one sign, for each of these times the infinite product is a term. Their sums are nonzero then, unless they underflow, and
have that sign, unless they overflow. So each step multiplies an infinity by a nonzero number of a known sign, or adds infinities of one
sign and finite numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from refgrad import bounds
from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Radius
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet


class Certain(NamedTuple):
    """Elements that no order of contraction changes by more than rounding: finite ones and NaN, and infinite ones with their values."""

    finite: PlainArray
    infinite: PlainArray
    values: PlainArray


def certain(
    fmt: Format,
    sum_of_products: Callable[..., PlainArray],
    xs: Sequence[PlainArray],
    es: Sequence[Radius],
    terms: int,
) -> Certain:
    """The elements of either kind. ``sum_of_products`` contracts operands of float64; each element has ``terms`` terms."""
    with quiet():
        sizes = [np.abs(np.asarray(x, np.float64)) for x in xs]
        spreads = [
            np.broadcast_to(np.asarray(bounds.zero(e), np.float64), s.shape)
            for e, s in zip(es, sizes, strict=True)
        ]
        known = [~np.isnan(s) & np.isfinite(e) for s, e in zip(sizes, spreads, strict=True)]
        ends = [np.isfinite(s) for s in sizes]
        moved = [np.where(f, s + e, 1.0) for s, e, f in zip(sizes, spreads, ends, strict=True)]
        signs = [
            np.where(s > e, np.sign(np.asarray(x, np.float64)), 0.0)
            for x, s, e in zip(xs, sizes, spreads, strict=True)
        ]
        reached = sum_of_products(
            *[np.maximum(np.where(k, m, 1.0), 1.0) for m, k in zip(moved, known, strict=True)]
        )
        in_range = reached * (1 + 2 * (terms + len(xs) + 4) * fmt.u) < fmt.max

        def count(*arrays: PlainArray) -> PlainArray:
            return sum_of_products(*[np.asarray(a, np.float64) for a in arrays])

        all_known = count(*known) == count(*[np.ones(s.shape) for s in sizes])
        with_infinity = count(*known) - count(*ends)
        finite_signs = [np.where(f, s, 0.0) for s, f in zip(signs, ends, strict=True)]
        nonzero = count(*map(np.abs, signs)) - count(*map(np.abs, finite_signs))
        total = count(*signs) - count(*finite_signs)
        least = [
            np.min(s - e, where=f & (s > e), initial=1.0)
            for s, e, f in zip(sizes, spreads, ends, strict=True)
        ]
        held = math.prod(map(float, least)) > 2 * fmt.least_normal
        one_sign = (nonzero == with_infinity) & (np.abs(total) == with_infinity)
        infinite = all_known & in_range & (with_infinity > 0) & one_sign & held
        without_nan = count(*[~np.isnan(s) for s in sizes]) == count(*[np.ones(s.shape) for s in sizes])
        return Certain(
            ~without_nan | (all_known & in_range & (with_infinity == 0)),
            infinite,
            np.where(infinite, np.sign(total) * np.inf, 0.0),
        )


def radius_by_order(certainty: Certain, y: PlainArray, radius: Radius) -> PlainArray:
    """The radius of elements that are certain; of the others infinite, and NaN where y is infinite: no result is defined."""
    open_ones = np.where(np.isinf(y), np.nan, np.inf)
    same = certainty.infinite & (y == certainty.values)
    return np.where(certainty.finite, bounds.zero(radius), np.where(same, 0.0, open_ones))
