"""Results that no kernel rounds: elements whose radius is zero.

The rules look for them in a format with ``on_grid`` (formats.py), in which the operands of a case lie on a grid: small integers times a
power of two. All operands are exact there, and a result counts as exact in two cases.

One operation. A sum or a product of two numbers, or a quotient by a power of two, that is a number of the format is what correct rounding
returns (IEEE 754). The reference computes it in a wide format. For formats of at most 24 bits that is float64, in which a product is exact;
a sum is exact, or rounds to a number of the format that both of them round to. For float64 the error of the operation itself is
computed (error-free transformations: Dekker, Numerische Mathematik 18, 1971; Knuth, The Art of Computer Programming 2, 4.2.2). The result
is zero or a normal number: neither gradual underflow nor a device that flushes to zero changes it.

Many operations. Let all terms of a sum be multiples of g = 2^k, and let the sum of their magnitudes be below 2^p g, with p bits in the
format. Then each partial sum is a multiple of g of less than 2^p units: a number of the format. No order rounds, whether partial sums are
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
from refgrad.bounds.small_arrays import every
from refgrad.quiet import quiet

VANISHING = -800.0  # exponentials of smaller numbers are 0 in float64, and in all formats that are judged
_DOUBLE = 53  # significand bits of float64
_SPLIT = 2.0**27 + 1  # which splits a number of float64 into halves
_RESIDUAL = 2.0**-900  # a product from which its error is a number of float64


def fits(fmt: Format, y: PlainArray) -> PlainArray:
    """A mask of the elements of y, an array in the wide format, that are zero or normal numbers of the format."""
    size = np.abs(y)
    ranged = (size <= fmt.max) & ((size >= fmt.least_normal) | (size == 0))
    if y.dtype != np.float64:
        with quiet():
            near = y.astype(np.float64)
        ranged, y = ranged & (near == y), near
    mask = (1 << (_DOUBLE - fmt.bits)) - 1
    fitting: PlainArray = ranged & (y.view(np.int64) & mask == 0) if mask else ranged
    return fitting


def sums(fmt: Format, y: PlainArray, xs: Any, es: Any) -> PlainArray | None:
    """A mask of the elements at which the sum y of two operands is exact; None where it is nowhere, and in a format without ``on_grid``.

    ``xs`` are the operands and ``es`` their radii. A difference is such a sum as well.
    """
    return _operation(fmt, y, xs, es, _error_of_sum)


def product(fmt: Format, y: PlainArray, xs: Any, es: Any) -> PlainArray | None:
    """As ``sums``, of a product."""
    return _operation(fmt, y, xs, es, _error_of_product)


def quotient(fmt: Format, y: PlainArray, xs: Any, es: Any) -> PlainArray | None:
    """As ``sums``, of a quotient: the divisor has to be a power of two that is a normal number, as is its reciprocal.

    Kernels may multiply by the reciprocal, so other divisors do not count.
    """
    found = _operation(fmt, y, xs, es, None)
    if found is None:
        return None
    size = np.abs(xs[1])
    found = found & (np.frexp(size)[0] == 0.5) & (size >= fmt.least_normal) & (size * fmt.least_normal <= 1)
    return found if np.count_nonzero(found) else None


def _operation(fmt: Format, y: PlainArray, xs: Any, es: Any, error: Any) -> PlainArray | None:
    if not fmt.on_grid:
        return None
    found = fits(fmt, y)
    for e in es:
        if e is not None:
            found = found & (e == 0)
    if fmt.bits == _DOUBLE and error is not None and np.count_nonzero(found):
        with quiet():
            found = found & (error(*[np.asarray(x, np.float64) for x in xs], np.asarray(y, np.float64)) == 0)
    return found if np.count_nonzero(found) else None


def _error_of_sum(a: PlainArray, b: PlainArray, y: PlainArray) -> PlainArray:
    """a + b - y or a - b - y, exactly: y is the sum or the difference, rounded to float64."""
    b = np.where(a + b == y, b, -b)
    step = y - a
    return (a - (y - step)) + (b - step)


def _error_of_product(a: PlainArray, b: PlainArray, y: PlainArray) -> PlainArray:
    """a b - y, exactly; NaN where it may be no number of float64. y is the product, rounded to float64."""
    (high1, low1), (high2, low2) = _halves(a), _halves(b)
    error = low1 * low2 - (((y - high1 * high2) - low1 * high2) - high1 * low2)
    return np.where((np.abs(y) >= _RESIDUAL) | (y == 0), error, np.nan)


def _halves(x: PlainArray) -> tuple[PlainArray, PlainArray]:
    """Two numbers of 26 bits whose sum is x."""
    wide = _SPLIT * x
    high = wide - (wide - x)
    return high, x - high


def exponential(fmt: Format, x: PlainArray, y: PlainArray, e: Any) -> PlainArray | None:
    """A mask of the exponentials y of x that every library returns: exp(0) is 1 (C, annex F), and exp(x) is 0 far below the range.

    None where there is none, and in a format without ``on_grid``. ``e`` is the radius of x.
    """
    if not fmt.on_grid or (e is not None and np.count_nonzero(e)):
        return None
    found = (x == 0) | (x < VANISHING) & (y == 0)
    return found if np.count_nonzero(found) else None


def unit(x: Array) -> float:
    """The largest power of two of which all elements of x are multiples: infinity where all are zero, 0 where an element is not finite.

    0 as well where float64 does not hold an element.
    """
    with quiet():
        near = np.asarray(x).astype(np.float64)
    if not every(np.isfinite(near)) or not every(near == x):
        return 0.0
    mantissa, exponent = np.frexp(near[near != 0])
    if not mantissa.size:
        return math.inf
    digits = (mantissa * 2.0**_DOUBLE).astype(np.int64)
    lowest = np.frexp((digits & -digits).astype(np.float64))[1] + exponent  # of the last nonzero digit
    return math.ldexp(1.0, int(lowest.min()) - 1 - _DOUBLE)


def total(fmt: Format, size: Array, g: float, *es: Any) -> PlainArray | None:
    """A mask of the sums that are exact in any order: sums of multiples of g whose magnitudes add up to ``size``, of exact terms.

    None where there is none, and in a format without ``on_grid``. ``es`` are the radii of the operands.
    """
    if not fmt.on_grid or not g >= fmt.least_normal or any(e is not None and np.count_nonzero(e) for e in es):
        return None
    found = np.asarray(size < min(math.ldexp(g, fmt.bits) if g < math.inf else g, fmt.max))
    return found if np.count_nonzero(found) else None


def products(fmt: Format, size: Array, xs: Any, es: Any) -> PlainArray | None:
    """``total`` of a sum of products, each with a factor of every operand in ``xs``; ``size`` is the sum of their magnitudes.

    Partial products of some of the operands are exact as well. Operands that a matrix product shortens have to keep all their digits.
    """
    if not fmt.on_grid:
        return None
    units = [unit(x) for x in xs]
    if math.prod(min(g, 1.0) for g in units) < fmt.least_normal:
        # a product of the smallest factors may underflow
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
    return None if every(exact) else np.where(exact, 0.0, radius)
