"""Longer operands of a single op: an axis of hundreds of elements, and for elementwise ops arrays of tens of thousands.

A kernel of a reduction, a softmax or a scan has another body for a long axis. One that acts on each element has it for a large array: it
computes a whole vector at a time, and shares the elements out among threads from a certain number on. Such lengths are drawn after all
else, so that a failing case that does not need them shrinks to the case without them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refgrad.arrays import Params, PlainArray
from refgrad.op import Op
from refgrad.testing.cases.source import Source, rarely

from .wide import LENGTHS, length

LONG = 40_003  # elements: more than the 32,768 that one thread of torch computes, and an odd tail
SHARE_OF_LONG = 128  # of the cases of elementwise ops one in so many is long
_MOST = 513  # elements along a long axis: a case of this family is judged in all modes


def long_arrays(source: Source, operands: Sequence[PlainArray]) -> list[PlainArray] | None:
    """The operands of an elementwise op, repeated along their longest axis to at least LONG elements in all; None where none is drawn."""
    if not rarely(source, SHARE_OF_LONG):
        return None
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    count = int(np.prod(shape))
    if not shape or not count:
        return None
    axis = int(np.argmax(shape)) - len(shape)
    places = np.arange(-(-LONG * shape[axis] // count)) % shape[axis]
    return [np.take(x, places, axis) if _has(x, axis, shape[axis]) else x for x in operands]


def long_axis(
    source: Source, op: Op, operands: Sequence[PlainArray], params: Params
) -> list[PlainArray] | None:
    """Operands of an op with axes, one of which is long: random numbers, and conditions and places repeated.

    None where none is drawn, and where the op has no such axis. The axes of a matrix that is factorised stay.
    """
    n, rank = length(source, most=_MOST), max((x.ndim for x in operands), default=0)
    axes = range(-rank, -2 if op.singular is not None else 0)
    first = source.integer(0, max(0, len(axes) - 1))
    if not n or not all(x.size for x in operands):
        return None
    for axis in (*axes[first:], *axes[:first]):
        size = max(x.shape[axis] for x in operands if x.ndim >= -axis)
        longest = max(x.size for x in operands)
        if size and longest // size * n <= LENGTHS[-1]:
            made = [_stretched(source, op, k, x, axis, size, n) for k, x in enumerate(operands)]
            if _taken(op, made, params):
                return made
    return None


def _has(x: PlainArray, axis: int, size: int) -> bool:
    """Whether the array has so many elements along an axis, counted from the end."""
    return x.ndim >= -axis and x.shape[axis] == size


def _stretched(
    source: Source, op: Op, position: int, x: PlainArray, axis: int, size: int, n: int
) -> PlainArray:
    """The operand at a position with n elements along the axis, where it has ``size``. Elements of matrices to factorise are repeated."""
    if not _has(x, axis, size):
        return x
    longer = np.take(x, np.arange(n) % size, axis)
    if x.dtype.kind != "f" or op.singular is not None:
        return longer
    return np.asarray(op.domain.interval(position).draw(source.rng, longer.shape))


def _taken(op: Op, operands: Sequence[PlainArray], params: Params) -> bool:
    """Whether the op takes the operands."""
    try:
        with np.errstate(all="ignore"):
            op.forward(*operands, **params)
    except (ValueError, IndexError, np.linalg.LinAlgError):
        return False
    return True
