"""A pool of memory for copies: the first write to fresh pages costs ten times as much as the copying.

Each thread has a pool of its own. An array is lent, and returns to the pool when its reference count shows no other owner.
"""

from __future__ import annotations

import mmap
import sys
import threading
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray

_LEAST, _MOST = 2**16, 2**25  # bytes: below, the allocator keeps memory itself; above, pages are large
_TOTAL = 2**25  # bytes that a thread keeps


class _Store(threading.local):
    def __init__(self) -> None:
        self.free: dict[int, list[mmap.mmap]] = {}
        self.total = 0


_STORE = _Store()


def copied(x: PlainArray, lent: list[Any]) -> PlainArray:
    """A copy of x in the order of its elements in memory. Spare memory that it takes is noted in ``lent``. Not to be handed out."""
    flags = x.flags
    if not (_LEAST <= x.nbytes <= _MOST and (flags.c_contiguous or flags.f_contiguous)):
        return x.copy("K")
    free = _STORE.free.get(x.nbytes)
    if free:
        memory = free.pop()
        _STORE.total -= x.nbytes
    else:
        # Apart from the heap, where it would lie between arrays of the program.
        memory = mmap.mmap(-1, x.nbytes)
    lent.append(memory)
    copy = np.ndarray(x.shape, x.dtype, memory, order="C" if flags.c_contiguous else "F")
    copy[...] = x
    return copy


def unchanged(x: PlainArray, copy: PlainArray) -> bool:
    """Whether an array still has the bytes, the shape and the dtype of an earlier copy; False where that cannot be told."""
    if x.shape != copy.shape or x.dtype != copy.dtype:
        return False
    word = _WORDS.get(x.itemsize)
    if x.nbytes <= _SHORT or word is None:
        return bool(x.tobytes() == copy.tobytes())
    return np.array_equal(x.view(word), copy.view(word))


_SHORT = 4096  # bytes up to which views cost more than a copy of the bytes
_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class Sums:
    """Sums of the words of a large array, to tell whether it has been written to. They cost half of what a copy does.

    A row of an odd number of words has a sum: a change of any one word shows, so does a change of all signs, and so does another order
    of the elements unless every one of them stays within its row.
    """

    __slots__ = ("rest", "rows")

    def __init__(self, x: PlainArray) -> None:
        flat = (x if x.flags.c_contiguous else x.T).reshape(-1).view(np.uint8)
        whole = len(flat) // (8 * _ROW) * (8 * _ROW)
        self.rows = np.add.reduce(flat[:whole].view(np.uint64).reshape(-1, _ROW), axis=1)
        self.rest = flat[whole:].tobytes()

    def of(self, x: PlainArray) -> bool:
        """Whether they are those of x."""
        now = Sums(x)
        return self.rest == now.rest and np.array_equal(self.rows, now.rows)


_ROW = 509  # words


def summable(x: Any) -> bool:
    """Whether x is an array so large that sums pay, in one piece of memory."""
    return type(x) is np.ndarray and x.nbytes >= _LEAST and (x.flags.c_contiguous or x.flags.f_contiguous)


def give_back(lent: list[Any]) -> None:
    """Take back what was lent, but for what somebody still holds."""
    for k in range(len(lent)):
        memory, alone = taken(lent, k)
        if alone:
            if _STORE.total + len(memory) > _TOTAL:
                _STORE.free.clear()
                _STORE.total = 0
            _STORE.free.setdefault(len(memory), []).append(memory)
            _STORE.total += len(memory)
    lent.clear()


def taken(xs: list[Any], k: int, holders: int = 0) -> tuple[Any, bool]:
    """xs[k], which leaves the list, and whether only so many ``holders`` are left: whoever has a view of an array holds it."""
    x, count = _counted(xs, k)
    return x, count == _ALONE + holders


def _counted(xs: list[Any], k: int) -> tuple[Any, int]:
    x = xs[k]
    xs[k] = None
    return x, sys.getrefcount(x) if _COUNTS else -1


_COUNTS = sys.implementation.name == "cpython"
# The count of an object that nobody else holds, in the place where it is asked: it differs between versions of Python.
_ALONE = _counted([np.empty(1)], 0)[1] if _COUNTS else 0
