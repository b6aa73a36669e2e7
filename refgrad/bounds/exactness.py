"""Results that no kernel rounds: elements whose radius is zero.

The rules look for them in a format with ``on_grid`` (formats.py), in which the operands of a case lie on a grid: small integers times a
power of two. All operands are exact there, and a result counts as exact in two cases.

One operation. A sum or a product of two numbers, or a quotient by a power of two, that is a number of the format is what correct rounding
returns (IEEE 754). The reference rounds the same result to its wide format. If that is a number y of the format, the result lies within
half a unit of the wide format of y, so it rounds to y in the format, too. The wide format has at least two bits more, and y is zero or a
normal number: neither gradual underflow nor a device that flushes to zero changes it.

Many operations. Let all terms of a sum be multiples of g = 2^k, and let the sum of their magnitudes be at most 2^p g, with p bits in the
format. Then each partial sum is a multiple of g of at most 2^p units: a number of the format. No order rounds, whether partial sums are
kept in the format or in a wider one, rounded or truncated, with fused multiply-add or without. The same holds for a sum of products where
g is the product of the units of the operands. g is a normal number, so nothing underflows. The sum of magnitudes is within the range, so
nothing overflows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet

_DOUBLE = 53  # significand bits of float64
_LONGER = (
    np.finfo(np.longdouble).nmant + 1 > _DOUBLE + 1
)  # whether long double has two bits more than float64


def fits(fmt: Format, y: PlainArray) -> PlainArray:
    """A mask of the elements of y, an array in the wide format, that are zero or normal numbers of the format.

    False everywhere where the wide format of float64 is float64 itself: every rounded result is a number of the format there.
    """
    if y.dtype == np.float64:
        if fmt.bits >= _DOUBLE:
            return np.zeros(y.shape, bool)
        found = y.view(np.int64) & ((1 << (_DOUBLE - fmt.bits)) - 1) == 0
    else:
        with quiet():
            found = y.astype(np.float64) == y
        if fmt.bits < _DOUBLE or not _LONGER:
            return np.zeros(y.shape, bool)
    size = np.abs(y)
    fitting: PlainArray = found & (size <= fmt.max) & ((size >= fmt.least_normal) | (size == 0))
    return fitting


def operation(fmt: Format, y: PlainArray, *es: Any) -> PlainArray | None:
    """A mask of the elements at which one operation on exact operands is exact; ``es`` are the radii of the operands.

    None where there is none, and in a format without ``on_grid``.
    """
    if not fmt.on_grid:
        return None
    found = fits(fmt, y)
    for e in es:
        if e is not None:
            found = found & (e == 0)
    return found if np.count_nonzero(found) else None


def unit(x: Array) -> float:
    """The largest power of two of which all elements of x are multiples: infinity where all are zero, 0 where an element is not finite.

    0 as well where float64 does not hold an element.
    """
    with quiet():
        near = np.asarray(x).astype(np.float64)
    if not np.all(np.isfinite(near)) or not np.array_equal(near, x):
        return 0.0
    mantissa, exponent = np.frexp(near[near != 0])
    if not mantissa.size:
        return math.inf
    digits = (mantissa * 2.0**_DOUBLE).astype(np.int64)
    lowest = (
        np.frexp((digits & -digits).astype(np.float64))[1] + exponent
    )  # of the last digit that is not zero
    return math.ldexp(1.0, int(lowest.min()) - 1 - _DOUBLE)


def total(fmt: Format, size: Array, g: float, *es: Any) -> PlainArray | None:
    """A mask of the sums that are exact in any order: sums of multiples of g whose magnitudes add up to ``size``, of exact terms.

    None where there is none, and in a format without ``on_grid``. ``es`` are the radii of the operands.
    """
    if not fmt.on_grid or not g >= fmt.least_normal or any(e is not None and np.count_nonzero(e) for e in es):
        return None
    found = np.asarray(size <= min(math.ldexp(g, fmt.bits) if g < math.inf else g, fmt.max))
    return found if found.any() else None


def products(fmt: Format, size: Array, xs: Any, es: Any) -> PlainArray | None:
    """``total`` of a sum of products, each with a factor of every operand in ``xs``; ``size`` is the sum of their magnitudes.

    Partial products of some of the operands are exact as well. Operands that a matrix product shortens have to keep all their digits.
    """
    if not fmt.on_grid:
        return None
    units = [unit(x) for x in xs]
    if (
        math.prod(min(g, 1.0) for g in units) < fmt.least_normal
    ):  # a product of the smallest factors may underflow
        return None
    shortened = fmt.u_operand / 2
    if shortened and any(
        float(np.max(np.abs(x), initial=0.0)) * shortened > g for x, g in zip(xs, units, strict=True)
    ):
        return None
    return total(fmt, size, math.prod(units), *es)


def terms(fmt: Format, size: Array, xs: Any, es: Any) -> PlainArray | None:
    """``total`` of a sum of the operands ``xs``, element by element, each on the coarsest grid on which its sum is exact."""
    if not fmt.on_grid:
        return None
    exponent = np.frexp(size)[1] - fmt.bits  # size < 2^p g with g = 2^exponent
    found = (np.ldexp(1.0, exponent) >= fmt.least_normal) & (size <= fmt.max) | (size == 0)
    for x, e in zip(xs, es, strict=True):
        scaled = np.ldexp(x, -exponent)
        found = found & (scaled == np.rint(scaled))
        if e is not None:
            found = found & (e == 0)
    return found if np.count_nonzero(found) else None


def without(radius: Any, exact: PlainArray | None) -> Any:
    """The radius, zero at the exact elements; None where all are exact."""
    if exact is None:
        return radius
    return None if exact.all() else np.where(exact, 0.0, radius)
