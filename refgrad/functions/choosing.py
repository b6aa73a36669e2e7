"""Choosing elements: take, diagonals, triangles, sorting, insertion and deletion."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import axis_within, implements, lined_up, moved, operand
from refgrad.ops import indexing as ops
from refgrad.ops import shape, sorting
from refgrad.tracing.differentiable_arguments import encloses, plain


def _along(x: Array, axis: int, index: Any) -> Array:
    return x[(slice(None),) * axis + (index,)]


@implements(np.take)
def take(a: Array, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Array:
    a, axis = lined_up(operand(a), axis)
    numpys: Any = np.take  # says the places, and raises where NumPy does: booleans are the numbers 0 and 1
    return _along(a, axis, np.asarray(numpys(np.arange(a.shape[axis]), plain(indices), mode=mode)))


@implements(np.take_along_axis)
def take_along_axis(arr: Array, indices: Any, axis: int | None = -1) -> Array:
    arr = operand(arr)
    if axis is None:
        arr, axis = arr.reshape((-1,)), 0
    return arr[key_along(arr.shape, plain(indices), axis)]


def key_along(dims: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """The index that reads or writes ``indices`` along an axis of an array of shape ``dims``, and every place along the others."""
    indices, axis = np.asarray(indices), axis_within(axis, len(dims))
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if indices.ndim != len(dims):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    key = [np.arange(n).reshape((-1,) + (1,) * (len(dims) - 1 - k)) for k, n in enumerate(dims)]
    key[axis] = indices
    return tuple(key)


@implements(np.compress)
def compress(condition: Any, a: Array, axis: int | None = None, out: None = None) -> Array:
    condition = np.asarray(plain(condition))
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, np.flatnonzero(condition), axis)


@implements(np.extract)
def extract(condition: Any, arr: Array) -> Array:
    return np.ravel(arr)[np.flatnonzero(plain(condition))]


@implements(np.diagonal)
def diagonal(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    offset = operator.index(offset)
    a = moved(a, (axis1, axis2), (-2, -1))
    *lead, n, m = a.shape
    first, length = max(-offset, 0) * m + max(offset, 0), len(_diagonal(n, m, offset)[0])
    places = slice(first, first + length * (m + 1), m + 1)

    def read(x: Array) -> Array:  # with gaps between its elements, as in NumPy, so that ravel copies it
        return ops.getitem(shape.reshape(x, shape=(*lead, n * m)), key=(..., places))

    return a._view(read(a), read, writeable=False) if hasattr(a, "_view") else read(a)


def _diagonal(n: int, m: int, k: int) -> tuple[Array, Array]:
    length = max(min(n + min(k, 0), m - max(k, 0)), 0)
    start = np.arange(length)
    return start + max(-k, 0), start + max(k, 0)


@implements(np.diag)
def diag(v: Array, k: int = 0) -> Array:
    k = operator.index(k)
    if v.ndim == 1:
        n = v.shape[0] + abs(k)
        return ops.put_add(v, shape=(n, n), key=_diagonal(n, n, k))
    if v.ndim != 2:
        raise ValueError("Input must be 1- or 2-d.")
    return diagonal(v, k)


@implements(np.diagflat)
def diagflat(v: Array, k: int = 0) -> Array:
    return diag(np.ravel(v), k)


@implements(np.trace)
def trace(
    a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Array:
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.tril)
def tril(m: Array, k: int = 0) -> Array:
    m = operand(m)
    return np.where(_below(m.shape, k), m, np.zeros(1, m.dtype))


@implements(np.triu)
def triu(m: Array, k: int = 0) -> Array:
    m = operand(m)
    return np.where(_below(m.shape, k - 1), np.zeros(1, m.dtype), m)


def _below(dims: tuple[int, ...], k: int) -> Array:
    """Where a matrix lies on or below its k-th diagonal; a vector stands for the rows of a square one."""
    rows, columns = dims[-2:] if len(dims) > 1 else dims * 2
    return np.tri(rows, columns, k, bool)


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Array, ...]:
    """np.ix_: each sequence along an axis of its own."""
    numpys: Any = np.ix_
    found = zip(args, numpys(*[plain(x) for x in args]), strict=True)
    return tuple([operand(x).reshape(y.shape) if y.dtype.kind in "fc" else y for x, y in found])


# --- order ------------------------------------------------------------------------------------------------------------


@implements(np.sort)
def sort(
    a: Array,
    axis: int | None = -1,
    kind: str | None = None,
    order: None = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Array:
    a = operand(a)
    if axis is None:
        a, axis = a.reshape((-1,)), 0
    axis = axis_within(axis, a.ndim)
    if a.dtype.kind == "c" and not encloses(a):  # over Balls the order may be open
        options: dict[str, Any] = {"descending": True} if descending else {}
        order_of_all = np.argsort(plain(a), axis, **options)
        return take_along_axis(a, order_of_all, axis)
    return -sorting.sort(-a, axis=axis) if descending else sorting.sort(a, axis=axis)  # NaN is last in both


@implements(np.sort_complex)
def sort_complex(a: Any) -> Array:
    """np.sort_complex: the sorted numbers as complex ones."""
    y: Array = np.sort(operand(a))
    if y.dtype.kind == "c":
        return y
    return y.astype(np.clongdouble if y.dtype == np.longdouble else np.complex128)


@implements(np.partition)
def partition(
    a: Array, kth: Any, axis: int | None = -1, kind: str = "introselect", order: None = None
) -> Array:
    a = operand(a)
    if axis is None:
        a, axis = a.reshape((-1,)), 0
    numpys: Any = np.partition
    found = numpys(plain(a), kth, axis, kind, order)
    # NumPy's own partition says where each element of the sorted array goes.
    ranks = np.argsort(np.argsort(found, axis, kind="stable"), axis, kind="stable")
    return take_along_axis(sort(a, axis), ranks, axis)


# --- insertion and deletion -------------------------------------------------------------------------------------------


@implements(np.delete)
def delete(arr: Array, obj: Any, axis: int | None = None) -> Array:
    arr = operand(arr)
    if axis is None:
        arr, axis = arr.reshape((-1,)), 0
    axis = axis_within(axis, arr.ndim)
    return _along(arr, axis, np.delete(np.arange(arr.shape[axis]), plain(obj)))


@implements(np.insert)
def insert(arr: Array, obj: Any, values: Any, axis: int | None = None) -> Array:
    arr = operand(arr)
    values = operand(values)
    values = values.astype(arr.dtype)  # NumPy keeps the dtype of the array, whatever is inserted
    if axis is None:
        arr, axis = arr.reshape((-1,)), 0
    axis = axis_within(axis, arr.ndim)
    n, lead = arr.shape[axis], arr.shape[:axis]
    one_place = np.ndim(obj) == 0 and not isinstance(obj, slice)
    if one_place and values.ndim:
        values = values.reshape((1,) * (arr.ndim - values.ndim) + values.shape)
        values = np.moveaxis(values, 0, axis)  # for one place NumPy reads a sequence of values along the axis
    m = values.shape[axis] if values.ndim > axis else 1
    if not one_place:
        m = max(m, len(np.insert(np.arange(n), plain(obj), 0)) - n)
    values = np.broadcast_to(values, (*lead, m, *arr.shape[axis + 1 :]))
    places = np.insert(np.arange(n), plain(obj), n + np.arange(m))
    return _along(np.concatenate([arr, values], axis), axis, places)
