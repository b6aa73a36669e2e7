"""Elementwise computation on large arrays in blocks of rows: intermediate results stay in the cache and take little memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray

BLOCK = 2**14  # elements at a time


class _Count:
    """Counters of the operations on Balls so far.

    rounded   how many had an inexact result, moves and selections excepted, each once, however many blocks it took
    choices   how many may choose a branch, or one of several derivatives: 0 between two points in time says that none did
    across    how many may take an element of the result from elements at other places: 0 between two points in time says that none did
    """

    rounded = 0
    choices = 0
    across = 0


COUNT = _Count()


def slices(shape: tuple[int, ...]) -> Iterator[slice] | None:
    """The rows of each block of an array of this shape; None where one block is enough."""
    size = math.prod(shape)
    if size < 2 * BLOCK or shape[0] < 2:
        return None
    step = max(1, BLOCK * shape[0] // size)
    return (slice(start, start + step) for start in range(0, shape[0], step))


def rows(x: Any, here: slice, shape: tuple[int, ...]) -> Any:
    """What of x belongs to rows ``here`` of arrays of this shape: these rows, or all of x where it broadcasts or is no array."""
    own: tuple[int, ...] = getattr(x, "shape", ())
    return x[here] if len(own) == len(shape) and own[0] == shape[0] else x


Radii = tuple[Array | None, ...]  # one for each operand, None where it is exact


class Joined:
    """An array of some shape and its radius, put together from blocks of rows. The radius is None as long as each of theirs is."""

    __slots__ = ("radius", "shape", "value")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.value: PlainArray | None = None
        self.radius: PlainArray | None = None

    def put(self, here: slice, value: Array, radius: Array | None) -> None:
        """The rows ``here``."""
        if self.value is None:
            self.value = np.empty(self.shape, value.dtype)
        self.value[here] = value
        if radius is None:
            return
        dtype = np.asarray(radius).dtype
        if self.radius is None:
            self.radius = np.zeros(self.shape, dtype)
        elif self.radius.dtype != dtype:  # which one block needed, and another did not
            self.radius = self.radius.astype(np.result_type(self.radius, dtype), copy=False)
        self.radius[here] = radius


def in_blocks(
    compute: Callable[[tuple[Array, ...], Radii], tuple[Array, Array | None]],
    xs: tuple[Array, ...],
    es: Radii,
) -> tuple[Array, Array | None]:
    """``compute(xs, es)``, a value and a radius (or None), for a computation that is elementwise and broadcasts its operands."""
    shapes = {x.shape for x in xs if x.shape}
    shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    blocks = slices(shape)
    if blocks is None:
        return compute(xs, es)
    whole = Joined(shape)
    for here in blocks:
        whole.put(
            here,
            *compute(tuple([rows(x, here, shape) for x in xs]), tuple([rows(x, here, shape) for x in es])),
        )
    assert whole.value is not None
    return whole.value, whole.radius
