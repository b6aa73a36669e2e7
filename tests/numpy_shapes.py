"""Calls of NumPy's functions on arrays of each rank, empty ones and 0-d among them, along each axis: what a program may write."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.numpy_walk import Call

Array = Any
Function = Callable[..., Any]

SHAPES = ((), (0,), (1,), (4,), (0, 3), (2, 0), (2, 3), (3, 3), (2, 1, 3))
AXES: tuple[Any, ...] = (None, 0, -1, 1, -2, 2, (0,), (0, 1), (-1, 0), ())
REDUCTIONS = (
    np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.ptp, np.median, np.average, np.nansum, np.nanprod, np.nanmax, np.nanmin,
    np.nanmean, np.nanvar, np.nanstd, np.linalg.norm, np.linalg.vector_norm, np.all, np.count_nonzero,
)  # fmt: skip
ALONG = (
    np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.sort, np.argsort, np.argmax, np.flip, np.squeeze, np.diff, np.trapezoid,
    np.unique, np.expand_dims, *[getattr(np, n) for n in ("cumulative_sum", "cumulative_prod") if hasattr(np, n)],
)  # fmt: skip
WITH_ARGUMENTS: tuple[tuple[Function, tuple[Any, ...]], ...] = (
    (np.take, (0,)), (np.take, ([0, -1],)), (np.take, (np.zeros((2, 2), int),)), (np.repeat, (2,)), (np.repeat, ([1, 2, 1],)),
    (np.repeat, ([2],)), (np.roll, (1,)), (np.roll, ((1, 2),)), (np.partition, (0,)), (np.partition, ([0, 1],)), (np.quantile, (0.3,)),
    (np.quantile, ([0.2, 0.9],)), (np.percentile, (35,)), (np.delete, (0,)), (np.delete, ([0, 1],)), (np.delete, (slice(0, 2),)),
    (np.insert, (0, 7.0)), (np.insert, ([0, 1], [7.0, 8.0])), (np.append, (2.5,)), (np.split, (1,)), (np.split, (3,)),
    (np.array_split, (2,)), (np.array_split, ([1, 2],)),
)  # fmt: skip
WHOLE = (
    np.ravel, np.transpose, np.matrix_transpose, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.fliplr, np.flipud, np.rot90, np.diag,
    np.diagflat, np.diagonal, np.trace, np.tril, np.triu, np.ediff1d, np.nan_to_num, np.round, np.real, np.vstack, np.hstack, np.dstack,
    np.column_stack, np.block, np.meshgrid, np.broadcast_arrays, np.linalg.det, np.linalg.inv, np.linalg.slogdet, np.linalg.matrix_norm,
    np.histogram, np.nonzero, np.argwhere, np.zeros_like, np.shape, np.where, np.modf, np.frexp,
)  # fmt: skip
OF_TWO = (
    np.dot, np.inner, np.outer, np.vdot, np.kron, np.matmul, np.cross, np.linalg.solve, np.tensordot, np.linalg.matmul, np.linalg.outer,
    np.linalg.vecdot, np.add, np.hypot, np.append, np.maximum, np.searchsorted, np.compress, np.extract, np.add.outer, np.ediff1d,
    *[getattr(np, n) for n in ("vecdot", "matvec", "vecmat") if hasattr(np, n)],
)  # fmt: skip


def made(shape: tuple[int, ...], start: int = 0, order: str = "C") -> Array:
    """Different numbers of both signs, away from each other, from integers and from powers of two."""
    count = math.prod(shape)
    places = (start + 7 * np.arange(count)) % 29
    values = (0.29 + 0.137 * places) * np.where(places % 3 == 0, -1.0, 1.0)
    return np.asarray(values.reshape(shape), order=order)


def on(function: Function, *args: Any, **kwargs: Any) -> Call:
    named = "linalg" in (getattr(function, "__module__", None) or "")
    return Call(("linalg." if named else "") + function.__name__, function, args, kwargs)


def along_axes(shape: tuple[int, ...], order: str = "C") -> Iterator[Call]:
    """Functions along an axis."""
    x = made(shape, order=order)
    given: list[dict[str, Any]] = [{}, *[{"axis": a} for a in AXES]]
    for axis in given:
        yield from [on(f, x, **axis) for f in (*REDUCTIONS, *ALONG)]
        yield from [on(f, x, keepdims=True, **axis) for f in REDUCTIONS]
        yield from [on(f, x, *more, **axis) for f, more in WITH_ARGUMENTS]
        yield from [on(f, seq, **axis) for seq in ([x, x + 5], [x]) for f in (np.concatenate, np.stack)]
        yield from [
            on(np.compress, [True, False], x, **axis),
            on(np.var, x, ddof=1, **axis),
            on(np.append, x, x + 5, **axis),
        ]
        yield from [
            on(np.diff, x, n=2, **axis),
            on(np.diff, x, prepend=0.5, **axis),
            on(np.diff, x, n=0, **axis),
        ]
        yield on(np.average, x, weights=np.abs(x) + 0.1, **axis)
        masked = {"where": x > 0, **axis}
        yield from [on(f, x, **masked) for f in (np.sum, np.mean, np.var, np.nanmean)]
        yield from [on(f, x, initial=-9.0, **masked) for f in (np.max, np.nanmax)]
        if axis:
            for ufunc in (np.add, np.multiply, np.maximum, np.logaddexp):
                yield from [on(ufunc.reduce, x, **axis), on(ufunc.accumulate, x, **axis)]
                yield on(ufunc.reduce, x, axis["axis"], None, None, True)
            yield from [on(np.add.reduceat, x, [0], **axis), on(np.add.reduceat, x, [1, 0, 1], **axis)]


def whole(shape: tuple[int, ...], order: str = "C") -> Iterator[Call]:
    """Functions of a whole array, and of a new shape."""
    x = made(shape, order=order)
    yield from [on(f, x) for f in WHOLE]
    for k in (1, -1, 5):
        yield from [
            on(f, x, k) for f in (np.tril, np.triu, np.diag, np.diagflat, np.diagonal, np.trace, np.rot90)
        ]
    for new in ((-1,), (1, -1), -1, (2, -1), shape[::-1], [1, -1]):
        yield on(np.reshape, x, new)
    for reps in (2, (2, 1), (1, 2, 3), 0):
        yield from [on(f, x, reps) for f in (np.tile, np.resize, np.pad)]
    for mode in ("edge", "wrap", "reflect", "symmetric", "constant"):
        yield from [on(np.pad, x, width, mode) for width in (0, 1, 2, (1, 2))]
    yield from [on(np.full_like, x, 1.5), on(np.full_like, x, x + 1), on(np.full_like, 1.5, x)]
    yield from [on(np.moveaxis, x, a, b) for a in (0, -1, [0, 1]) for b in (0, [1, 0])]
    yield from [on(np.rollaxis, x, a, b) for a in (0, -1) for b in (0, 1)]
    yield from [on(np.linalg.matrix_power, x, n) for n in (0, 1, 3, -1)]
    for order_ in (None, "fro", "nuc", 0, 1, -1, 2, 3, 0.5, np.inf, -np.inf):
        yield from [
            on(np.linalg.norm, x, order_),
            on(np.linalg.vector_norm, x, ord=order_),
            on(np.linalg.matrix_norm, x, ord=order_),
        ]


def of_two(shape: tuple[int, ...], other: tuple[int, ...]) -> Iterator[Call]:
    """Functions of two arrays."""
    x, y = made(shape), made(other, 3)
    yield from [on(f, x, y) for f in OF_TWO]
    yield from [
        on(np.where, x > 0, x, y),
        on(np.clip, x, y, 9.0),
        on(np.trapezoid, x, y),
        on(np.select, [x > 0], [y], 0.5),
    ]
    yield from [on(np.insert, x, 0, y), on(np.insert, x, 0, y, axis=0), on(np.insert, x, [0, 0], y, axis=-1)]
    yield from [
        on(np.tensordot, x, y, 1),
        on(np.tensordot, x, y, 0),
        on(np.einsum, "...,...", x, y),
        on(np.diff, x, prepend=y),
    ]
    yield from [
        on(f, [x, y])
        for f in (np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.stack, np.linalg.multi_dot)
    ]
    yield from [on(np.meshgrid, x, y), on(np.concatenate, [x, y], -1), on(np.broadcast_arrays, x, y)]
    yield on(np.bincount, np.zeros(other, int), y)
