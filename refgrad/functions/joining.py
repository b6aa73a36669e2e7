"""Joining and splitting: concatenate, stack, block, split and related functions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import axis_within, implements, operand
from refgrad.ops import shape as ops


@implements(np.concatenate)
def concatenate(
    arrays: Sequence[Array],
    axis: int | None = 0,
    out: None = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Array:
    parts = [operand(x) for x in arrays]
    if axis is None:
        parts, axis = [x.reshape((-1,)) for x in parts], 0
    if dtype is not None:
        parts = [x.astype(dtype) for x in parts]
    return ops.concatenate(*parts, axis=int(axis))


@implements(np.stack)
def stack(
    arrays: Sequence[Array], axis: int = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Array:
    parts = [operand(x) for x in arrays]
    if not parts:
        raise ValueError("need at least one array to stack")
    if len({x.shape for x in parts}) != 1:
        raise ValueError(f"all input arrays must have the same shape, got {[x.shape for x in parts]}")
    axis = axis_within(axis, parts[0].ndim + 1)
    dims = parts[0].shape
    return concatenate([x.reshape((*dims[:axis], 1, *dims[axis:])) for x in parts], axis, dtype=dtype)


@implements(np.vstack)
def vstack(tup: Sequence[Array], *, dtype: Any = None, casting: str = "same_kind") -> Array:
    return concatenate([np.atleast_2d(operand(x)) for x in tup], 0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Sequence[Array], *, dtype: Any = None, casting: str = "same_kind") -> Array:
    parts = [np.atleast_1d(operand(x)) for x in tup]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup: Sequence[Array]) -> Array:
    return concatenate([np.atleast_3d(operand(x)) for x in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Sequence[Array]) -> Array:
    parts = [operand(x) for x in tup]
    return concatenate([x if x.ndim >= 2 else x.reshape((-1, 1)) for x in parts], 1)


@implements(np.append)
def append(arr: Array, values: Array, axis: int | None = None) -> Array:
    return concatenate((arr, values), axis)


@implements(np.block)
def block(arrays: Any) -> Array:
    depth, ndim = _nesting(arrays), _deepest(arrays)
    n = max(depth, ndim)
    return _blocks(arrays, depth, n)


def _nesting(arrays: Any) -> int:
    return 1 + max(_nesting(x) for x in arrays) if isinstance(arrays, list) else 0


def _deepest(arrays: Any) -> int:
    return max(_deepest(x) for x in arrays) if isinstance(arrays, list) else operand(arrays).ndim


def _blocks(arrays: Any, depth: int, n: int) -> Array:
    if not isinstance(arrays, list):
        x = operand(arrays)
        return x.reshape((1,) * (n - x.ndim) + x.shape)
    return concatenate([_blocks(x, depth - 1, n) for x in arrays], n - depth)


@implements(np.array_split)
def array_split(ary: Array, indices_or_sections: Any, axis: int = 0) -> Any:
    axis = axis_within(axis, ary.ndim)
    n = ary.shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [0, *[int(k) for k in indices_or_sections], n]
    else:
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        size, extra = divmod(n, sections)
        cuts = [k * size + min(k, extra) for k in range(sections + 1)]
    lead = (slice(None),) * axis
    return [ary[(*lead, slice(start, stop))] for start, stop in itertools.pairwise(cuts)]


@implements(np.split)
def split(ary: Array, indices_or_sections: Any, axis: int = 0) -> Any:
    if not np.ndim(indices_or_sections) and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary: Array, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@implements(np.vsplit)
def vsplit(ary: Array, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Array, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 2)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    axis = axis_within(axis, x.ndim)
    return tuple([x[(slice(None),) * axis + (k,)] for k in range(x.shape[axis])])


if hasattr(np, "unstack"):  # NumPy 2.1
    implements(np.unstack)(unstack)


@implements(np.meshgrid)
def meshgrid(*xi: Array, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Array, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    places = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [
        operand(x).reshape(tuple([-1 if k == place else 1 for k in range(n)]))
        for x, place in zip(xi, places, strict=True)
    ]
    return tuple(grids) if sparse else tuple(np.broadcast_arrays(*grids))
