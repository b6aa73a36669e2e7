"""Products of matrices in long double by float64 BLAS: error-free splitting.

BLAS has no long double, and NumPy's own loops need a hundred times as long as ``dgemm``. Ozaki, Ogita, Oishi and Rump ("Error-free
transformations of matrix multiplication by using fast routines of matrix multiplication and its applications", Numerical Algorithms 59,
2012) split each operand into slices of so few bits that products of slices are exact in float64.

Every row of A and column of B is scaled by a power of two, so that its entries are at most 1. With w = ``_width`` bits the slices of A are

    A = A_1 + ... + A_P + R,   A_p a multiple of 2^-(p(w+1)-1),   |A_p| <= 2^-(p-1)(w+1),   |R| <= 2^-P(w+1)

(each is what is left, rounded to nearest), and those of B likewise. In units of the last place an entry of A_p B_q is a sum of k
integers of at most 4^w. All A_p B_q with p + q = g + 1 have the same unit, and their sum G_g has at most P k terms: w is chosen so that
P k 4^w <= 2^53, and ``dgemm`` gives G_g without a rounding, whatever its order.

Slices. The result is G_1 + (G_2 + ... + G_P) in long double. What is left out (p + q > P + 1, and R) comes to at most
(P + 1) k 2^-P(w+1) (1 + 2^-w). A sum of leading slices of a is at most 2|a|, and the sizes of all slices add up to at most 3.1|a|; so
each partial sum that is rounded is at most 7.2 |A||B|, and the roundings cost at most 2^-64 (1 + 7.2 (P - 1)) |A||B|. ``_slices`` takes a P
for which the first part is at most 1.01 k 2^-65 |A||B| in every element that is not a sum of zeros. With P <= 6 and k >= 32 the error
is then at most 2k 2^-64 |A||B|: twice what a product in long double is granted, half of what bounds.reference_slack provides.

Two parts. Mostly less will do: A_1 B_1 without an error, and A_1 (B - B_1) + (A - A_1) B by ``dgemm`` from operands that are rounded to
float64. The entries of A - A_1 are at most 2^-(w+1), so all roundings together cost at most (k + 4) 2^-53 2^-(w+1) (1 + 2^-10) times
the sum of |A_1| over a row and |B| over a column. Where this is at most k 2^-65 |A||B|, the error is at most 2k 2^-64 |A||B| again. A few
elements where it is not, small ones in a sparse product, are computed in long double.

Where neither will do, the whole product is computed in long double.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray as Array
from refgrad.quiet import quiet

_BITS = 53  # of float64
_WIDE = np.finfo(np.longdouble).nmant + 1  # of long double, whose leading bit is stored on x86
_MOST = 6  # slices: the roundings of their sums stay below the error that is granted
_TERMS = 1024  # of one product; longer ones are added up in long double
_FEW = 32  # one element in so many may take as long as all of them by BLAS
_WORTH = 32  # rows, terms and columns from which splitting pays
_SMALLEST = 2.0**-500  # relative to the largest entry; products of smaller ones might underflow


def matmul(a: Array, b: Array) -> Array:
    """``np.matmul(a, b)``, of large products in long double by BLAS; shapes, dtype and errors as there."""
    if not worthwhile(a, b):
        return np.matmul(a, b)
    k = a.shape[-1]
    pieces = -(-k // _TERMS)
    cuts = [k * i // pieces for i in range(pieces + 1)]
    parts = []
    for start, stop in itertools.pairwise(cuts):
        part = _product(a[..., start:stop], b[..., start:stop, :])
        if part is None:
            return np.matmul(a, b)
        parts.append(part)
    return functools.reduce(np.add, parts)


def long(*xs: Array) -> bool:
    """Whether any of the arrays is in a long double of 64 bits."""
    return _WIDE == 64 and any(x.dtype == np.longdouble for x in xs)


def worthwhile(a: Array, b: Array) -> bool:
    """Whether the product is one in long double, and large enough for BLAS to pay; shapes that do not fit are NumPy's to refuse."""
    return (
        long(a, b)
        and a.dtype.kind == b.dtype.kind == "f"
        and a.ndim > 1
        and b.ndim > 1
        and min(a.shape[-2:]) >= _WORTH
        and b.shape[-1] >= _WORTH
        and a.shape[-1] == b.shape[-2]
    )


def tensordot(a: Array, b: Array, axes: Any = 2) -> Array:
    """``np.tensordot(a, b, axes)`` by the product above."""
    if not long(a, b) or min(a.size, b.size) < _WORTH * _WORTH:
        return np.tensordot(a, b, axes=axes)
    first, second = _axes(axes, a.ndim)
    first, second = [k % a.ndim for k in first], [k % b.ndim for k in second]
    if [a.shape[k] for k in first] != [b.shape[k] for k in second]:
        return np.tensordot(a, b, axes=axes)  # which says what does not fit
    rows, columns = (
        [k for k in range(a.ndim) if k not in first],
        [k for k in range(b.ndim) if k not in second],
    )
    terms = math.prod(a.shape[k] for k in first)
    left = a.transpose(rows + first).reshape(-1, terms) if terms else a.reshape(-1, terms)
    return matmul(left, b.transpose(second + columns).reshape(terms, -1)).reshape(
        [a.shape[k] for k in rows] + [b.shape[k] for k in columns]
    )


def _axes(axes: Any, ndim: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, np.integer)):
        return list(range(ndim - int(axes), ndim)), list(range(int(axes)))
    first, second = [[int(k)] if isinstance(k, (int, np.integer)) else [int(j) for j in k] for k in axes]
    return first, second


def _product(a: Array, b: Array) -> Array | None:
    """The product of matrices, or stacks of them, by slices; None where slices do not do."""
    with quiet():
        left, right = _scaled(a, -1), _scaled(b, -2)
        if left is None or right is None:
            return None
        size = np.matmul(np.abs(left[1]), np.abs(right[1]))
        total = _two_parts(left, right, size)
        if total is None:
            plan = _slices(size, a.shape[-1])
            if plan is None:
                return None
            count, width = plan
            total = _sum_of_products(_split(*left[:2], count, width), _split(*right[:2], count, width), count)
        total *= left[2]
        total *= right[2]
        return total


def _two_parts(left: Any, right: Any, size: Array) -> Array | None:
    """A_1 B_1 + (A_1 (B - B_1) + (A - A_1) B); None where that is not near enough. ``size`` is |A||B|."""
    (x, near_x, _), (y, near_y, _) = left, right
    terms = x.shape[-1]
    width = _width(1, terms)
    (a,), (b,) = _split(x, near_x, 1, width), _split(y, near_y, 1, width)
    sums = np.sum(np.abs(a), axis=-1, keepdims=True) + np.sum(np.abs(near_y), axis=-2, keepdims=True)
    # Twice 2^-53 2^-(w+1) in units of 2^-65: (k + 4)/k is below 1.2.
    sums *= 2.0 ** (_WIDE - _BITS + 2 - (width + 1))
    poor = (size < sums) & (size > 0)
    few = np.count_nonzero(poor)
    if few * _FEW > size.size or (few and size.ndim > 2):
        return None
    rest = np.matmul(a, (y - b).astype(np.float64))
    rest += np.matmul((x - a).astype(np.float64), near_y)
    total = rest + np.matmul(a, b).astype(np.longdouble)
    if few:
        _by_element(x, y, total, poor)
    return total


def _by_element(x: Array, y: Array, total: Array, where: Array) -> None:
    """Enter single elements of the product, computed in long double."""
    rows, columns = np.nonzero(where)
    turned = y.T
    for start in range(0, len(rows), _TERMS):
        i, j = rows[start : start + _TERMS], columns[start : start + _TERMS]
        total[i, j] = np.einsum("nk,nk->n", x[i], turned[j])


def _scaled(x: Array, axis: int) -> tuple[Array, Array, Array] | None:
    """Entries of at most 1 in each line along ``axis``, the same in float64, and the power of two that was taken out.

    None where an entry is beyond float64's range, or so small beside the largest one that products of such entries might underflow.
    """
    top = np.max(np.abs(x.astype(np.float64)), axis=axis, keepdims=True)
    if not np.all(np.isfinite(top)):
        return None
    exponent = np.frexp(top)[1]
    scaled = x * np.ldexp(np.longdouble(1), -exponent)
    near = scaled.astype(np.float64)
    if np.count_nonzero(np.abs(near) >= _SMALLEST) != np.count_nonzero(x):
        return None
    return scaled, near, np.ldexp(np.longdouble(1), exponent)


def _width(count: int, terms: int) -> int:
    """The most bits w of a slice with count * terms * 4^w <= 2^53."""
    return (_BITS - math.ceil(math.log2(count * terms))) // 2


def _slices(size: Array, terms: int) -> tuple[int, int] | None:
    """How many slices the smallest element of |A||B| asks for that is not zero, and how wide they are."""
    least = np.min(size, where=size > 0, initial=np.inf)
    for count in range(3, _MOST + 1):
        width = _width(count, terms)
        if least >= (count + 1) * 2.0 ** (_WIDE + 1 - count * (width + 1)):
            return count, width
    return None


def _split(rest: Array, near: Array, count: int, width: int) -> list[Array]:
    """The slices of ``rest`` in float64, which are exact; those at the end that are zero are left out. ``near`` is rest in float64."""
    slices: list[Array] = []
    for p in range(1, count + 1):
        # Beside 1.5 * 2^52 units float64 holds whole units, so the sum is rounded to one. That the rest was rounded to float64 before
        # makes a slice larger by less than 2^-53 of it, and the integer that the next one holds is at most 2^w all the same.
        shift = 1.5 * 2.0 ** (_BITS - p * (width + 1))
        piece = near + shift
        piece -= shift
        slices.append(piece)
        if p < count:
            rest = rest - piece
            near = rest.astype(np.float64)
    while len(slices) > 1 and not np.any(slices[-1]):
        slices.pop()
    return slices


def _sum_of_products(xs: list[Array], ys: list[Array], count: int) -> Array:
    """G_1 + (G_2 + ... + G_count): slices side by side, so that each G_g is one product of two runs of slices."""
    k = xs[0].shape[-1]
    x, y = np.concatenate(xs, axis=-1), np.concatenate(ys[::-1], axis=-2)
    total: Any = None
    for g in range(min(count, len(xs) + len(ys) - 1), 0, -1):
        first, last = max(0, g - len(ys)), min(len(xs), g)  # of the slices of x
        skipped = len(ys) - g
        group = np.matmul(
            x[..., first * k : last * k], y[..., (first + skipped) * k : (last + skipped) * k, :]
        )
        total = group.astype(np.longdouble) if total is None else np.add(total, group, out=total)
    return total
