"""The region of the wrong elements of an array, such as a tail, every second column, or one row."""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import PlainArray

Region = tuple[PlainArray, ...]  # the indices along each axis
_BITS = 6.0  # a region is reported where its probability by chance is below 2^-6


def region(wrong: PlainArray) -> tuple[Region, str] | None:
    """The smallest block that contains all wrong elements, with a description; None where there is no block that chance does not explain.

    wrong   the mask of the wrong elements. At least half of the block must be wrong
    """
    count, total = int(np.count_nonzero(wrong)), wrong.size
    if not wrong.ndim or not 0 < count < total:
        return None
    found: list[PlainArray] = []
    descriptions: list[str] = []
    choices = 0.0
    for axis, n in enumerate(wrong.shape):
        rest = tuple(a for a in range(wrong.ndim) if a != axis)
        indices = np.flatnonzero(wrong.any(axis=rest))
        words, patterns = _words(indices, n)
        if not words:  # no pattern: the whole axis
            indices = np.arange(n)
        elif len(indices) < n:
            descriptions.append(f"{words} of axis {axis}")
            choices += math.log2(patterns)
        found.append(indices)
    inside = math.prod(map(len, found))
    if not descriptions or 2 * count < inside:
        return None
    if _log2_ways(total, count) - _log2_ways(inside, count) - choices < _BITS:
        return None
    return tuple(found), ", ".join(descriptions)


def _words(indices: PlainArray, n: int) -> tuple[str, int]:
    """A description of a pattern of k of n indices, and the number of patterns of its kind; "" where there is no pattern."""
    k = len(indices)
    if k == n:
        return "all", 1
    first, last = int(indices[0]), int(indices[-1])
    if k == 1:
        return f"index {first} of the {n}", n
    if last - first + 1 == k:
        if last == n - 1:
            return f"the last {k} of the {n} indices", 2 * n
        if first == 0:
            return f"the first {k} of the {n} indices", 2 * n
        return f"indices {first} to {last} of the {n}", n * n
    step = int(indices[1]) - first
    if step > 1 and np.array_equal(indices, np.arange(first, n, step)):
        return f"every {_ordinal(step)} of the {n} indices, from {first} on,", n * n
    return "", 1


def _ordinal(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _log2_ways(n: int, k: int) -> float:
    """log2 of the binomial coefficient of n and k."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
