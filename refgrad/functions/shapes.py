"""Shapes: reshape and transpose in all their NumPy forms."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import axes_within, axis_within, implements, lined_up, operand
from refgrad.ops import shape as ops

Axis = int | tuple[int, ...] | None


@implements(np.reshape)
def reshape(
    a: Array, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None
) -> Array:
    target = shape if shape is not None else newshape
    target = tuple(target) if isinstance(target, (tuple, list)) else target
    return operand(a).reshape(target, order=order, copy=copy)


@implements(np.ravel)
def ravel(a: Array, order: str = "C") -> Array:
    return operand(a).ravel(order)


@implements(np.transpose, np.permute_dims)
def transpose(a: Array, axes: Any = None) -> Array:
    return operand(a).transpose(axes)


@implements(np.matrix_transpose)
def matrix_transpose(x: Array, /) -> Array:
    return np.swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Array, axis1: int, axis2: int) -> Array:
    axes = list(range(a.ndim))
    (i,), (j,) = axes_within(axis1, a.ndim, "axis1"), axes_within(axis2, a.ndim, "axis2")
    axes[i], axes[j] = axes[j], axes[i]
    return a.transpose(tuple(axes))


@implements(np.moveaxis)
def moveaxis(a: Array, source: Any, destination: Any) -> Array:
    sources, targets = axes_within(source, a.ndim, "source"), axes_within(destination, a.ndim, "destination")
    if len(sources) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [n for n in range(a.ndim) if n not in sources]
    for target, place in sorted(zip(targets, sources, strict=True)):
        order.insert(target, place)
    return a.transpose(tuple(order))


@implements(np.rollaxis)
def rollaxis(a: Array, axis: int, start: int = 0) -> Array:
    axis = axis_within(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    axes = [k for k in range(a.ndim) if k != axis]
    axes.insert(start - (axis < start), axis)
    return a.transpose(tuple(axes))


@implements(np.squeeze)
def squeeze(a: Array, axis: Axis = None) -> Array:
    if axis is None or (a.ndim == 0 and axis in (0, -1)):
        axes: Any = [k for k, n in enumerate(a.shape) if n == 1]
    else:
        axes = axes_within(axis if isinstance(axis, tuple) else operator.index(axis), a.ndim)
        if len(set(axes)) < len(axes):
            raise ValueError("duplicate value in 'axis'")
    if any(a.shape[k] != 1 for k in axes):
        raise ValueError(
            f"cannot select an axis to squeeze out which has size not equal to one: shape {a.shape}, axis {axis}"
        )
    return a.reshape(tuple([n for k, n in enumerate(a.shape) if k not in axes]))


@implements(np.expand_dims)
def expand_dims(a: Array, axis: Any) -> Array:
    n = a.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    axes = axes_within(axis, n)
    if len(set(axes)) != len(axes):
        raise ValueError(f"repeated axis: {axis}")
    rest = iter(a.shape)
    return a.reshape(tuple([1 if k in axes else next(rest) for k in range(n)]))


@implements(np.atleast_1d)
def atleast_1d(*arys: Array) -> Any:
    return _each(lambda x: x if x.ndim else x.reshape((1,)), arys)


@implements(np.atleast_2d)
def atleast_2d(*arys: Array) -> Any:
    return _each(lambda x: x if x.ndim >= 2 else x.reshape((1, *x.shape) if x.ndim else (1, 1)), arys)


@implements(np.atleast_3d)
def atleast_3d(*arys: Array) -> Any:
    def lifted(x: Array) -> Array:
        return x if x.ndim >= 3 else x.reshape([(1, 1, 1), (1, *x.shape, 1), (*x.shape, 1)][x.ndim])

    return _each(lifted, arys)


def _each(f: Any, arys: tuple[Array, ...]) -> Any:
    results = tuple([f(operand(x)) for x in arys])
    return results[0] if len(results) == 1 else results


@implements(np.broadcast_to)
def broadcast_to(array: Array, shape: Any, subok: bool = False) -> Array:
    dims = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    y = ops.broadcast_to(array, shape=dims)
    if not hasattr(array, "_view"):
        return y
    return array._view(y, lambda x: ops.broadcast_to(x, shape=dims), writeable=False)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Array, subok: bool = False) -> tuple[Array, ...]:
    # Of numbers NumPy makes arrays.
    given: list[Any] = [operand(x) for x in args]
    arrays = [x if isinstance(x, np.ndarray) else x[...] for x in given]
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return tuple([x if x.shape == shape else np.broadcast_to(x, shape) for x in arrays])


@implements(np.fliplr)
def fliplr(m: Array) -> Array:
    return np.flip(m, 1)


@implements(np.flipud)
def flipud(m: Array) -> Array:
    return np.flip(m, 0)


@implements(np.rot90)
def rot90(m: Array, k: int = 1, axes: Any = (0, 1)) -> Array:
    i, j = axes_within(tuple(axes), m.ndim, "axes")
    if i == j:
        raise ValueError("Axes must be different.")
    if k != int(k):
        raise NoRuleError(f"np.rot90: argument k is {k}; a whole number of quarter turns is expected")
    if k % 4 == 0:
        return m[...]
    if k % 4 == 2:
        return np.flip(m, (i, j))
    return np.swapaxes(np.flip(m, j), i, j) if k % 4 == 1 else np.flip(np.swapaxes(m, i, j), j)


@implements(np.tile)
def tile(A: Array, reps: Any) -> Array:
    A, reps = operand(A), tuple([int(n) for n in np.atleast_1d(reps)])
    n = max(A.ndim, len(reps))
    dims, reps = (1,) * (n - A.ndim) + A.shape, (1,) * (n - len(reps)) + reps
    spread = np.broadcast_to(A.reshape(_interleaved((1,) * n, dims)), _interleaved(reps, dims))
    return spread.reshape(tuple([r * d for r, d in zip(reps, dims, strict=True)]))


def _interleaved(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for pair in zip(a, b, strict=True) for n in pair])


@implements(np.repeat)
def repeat(a: Array, repeats: Any, axis: int | None = None) -> Array:
    a, axis = lined_up(operand(a), axis)
    repeats = np.asarray(repeats)
    if repeats.ndim == 0 or repeats.size == 1:
        k, (lead, tail) = int(repeats.reshape(())), (a.shape[: axis + 1], a.shape[axis + 1 :])
        spread = np.broadcast_to(a.reshape((*lead, 1, *tail)), (*lead, k, *tail))
        return spread.reshape((*lead[:-1], lead[-1] * k, *tail))
    return a[(slice(None),) * axis + (np.repeat(np.arange(a.shape[axis]), repeats),)]


@implements(np.resize)
def resize(a: Array, new_shape: Any) -> Array:
    new_shape = tuple(map(operator.index, new_shape if np.iterable(new_shape) else (new_shape,)))
    flat = np.ravel(operand(a))
    return flat[np.arange(math.prod(new_shape)) % max(flat.size, 1)].reshape(new_shape)


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return x.astype(dtype)


if hasattr(np, "astype"):  # NumPy 2.1
    implements(np.astype)(astype)


@implements(np.copy)
def copy(a: Array, order: str = "K", subok: bool = False) -> Array:
    y: Array = operand(a).copy(order)
    return y if y.shape else y[...]  # of a number a 0-d array, which can be written to
