"""Where in an array the wrong elements lie: a ragged tail, every second column, one row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any
Region = tuple[Array, ...]  # the indices along each axis
_BITS = 6.0  # how unlikely it is, as a power of 1/2, that so many elements lie in such a region by chance


def region(wrong: Array) -> tuple[Region, str] | None:
    """The smallest block that holds all wrong elements, with its words; None where they lie all over the array, or by chance as they do.

    wrong   a mask. At least half of the block is wrong.
    """
    count, total = int(np.count_nonzero(wrong)), wrong.size
    if not wrong.ndim or not 0 < count < total:
        return None
    found: list[Array] = []
    said: list[str] = []
    choices = 0.0
    for axis, n in enumerate(wrong.shape):
        rest = tuple(a for a in range(wrong.ndim) if a != axis)
        here = np.flatnonzero(wrong.any(axis=rest))
        words, ways = _words(here, n)
        if not words:  # no pattern: the whole axis
            here = np.arange(n)
        elif len(here) < n:
            said.append(f"{words} of axis {axis}")
            choices += math.log2(ways)
        found.append(here)
    inside = math.prod(map(len, found))
    if not said or 2 * count < inside:
        return None
    if _log2_ways(total, count) - _log2_ways(inside, count) - choices < _BITS:
        return None
    return tuple(found), ", ".join(said)


def _words(here: Array, n: int) -> tuple[str, int]:
    """The pattern of some of n indices, and how many patterns of its kind there are; no words where there is none."""
    k = len(here)
    if k == n:
        return "all", 1
    first, last = int(here[0]), int(here[-1])
    if k == 1:
        return f"index {first} of the {n}", n
    if last - first + 1 == k:
        if last == n - 1:
            return f"the last {k} of the {n} indices", 2 * n
        if first == 0:
            return f"the first {k} of the {n} indices", 2 * n
        return f"indices {first} to {last} of the {n}", n * n
    step = int(here[1]) - first
    if step > 1 and np.array_equal(here, np.arange(first, n, step)):
        return f"every {_ordinal(step)} of the {n} indices, from {first} on,", n * n
    return "", 1


def _ordinal(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _log2_ways(n: int, k: int) -> float:
    """log2 of the number of ways to choose k of n."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
