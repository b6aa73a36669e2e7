"""Elementwise work on large arrays, some rows at a time: what is needed on the way stays in the cache, and takes no memory to speak of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = Any
BLOCK = 2**14  # elements at a time


class _Count:
    """``rounded``: how many operations on Balls were not exact so far, each once, however many blocks it took."""

    rounded = 0


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


def in_blocks(
    compute: Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[Array, Array]],
    xs: tuple[Array, ...],
    es: tuple[Array, ...],
) -> tuple[Array, Array]:
    """``compute(xs, es)``, a value and a radius (or None), for a computation that is elementwise and broadcasts its operands."""
    shapes = {x.shape for x in xs if x.shape}
    shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    blocks = slices(shape)
    if blocks is None:
        return compute(xs, es)
    y: Array = None
    radius: Array = None
    for here in blocks:
        part, e = compute(
            tuple([rows(x, here, shape) for x in xs]), tuple([rows(x, here, shape) for x in es])
        )
        if y is None:
            y = np.empty(shape, part.dtype)
        y[here] = part
        if e is not None:
            dtype = np.asarray(e).dtype
            if radius is None:
                radius = np.zeros(shape, dtype)
            elif radius.dtype != dtype:  # which one block needed, and another did not
                radius = radius.astype(np.result_type(radius, dtype), copy=False)
            radius[here] = e
    return y, radius
