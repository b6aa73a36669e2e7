"""Functions that call functions of the program on parts of an array, and those that put parts together by a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.choosing import take_along_axis
from refgrad.functions.registry import axis_within, implements, moved, operand
from refgrad.ops import indexing as ops
from refgrad.ops.shape import cast
from refgrad.tracing.differentiable_arguments import plain

Function = Callable[..., Any]


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Function, axis: int, arr: Array, *args: Any, **kwargs: Any) -> Array:
    arr = operand(arr)
    place = axis_within(axis, arr.ndim)
    rows = moved(arr, place, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    found = np.stack([operand(func1d(rows[k], *args, **kwargs)) for k in np.ndindex(*lead)])
    inner = found.ndim - 1
    y = found.reshape(lead + found.shape[1:])
    return np.moveaxis(y, tuple(range(len(lead), y.ndim)), tuple(range(place, place + inner)))


@implements(np.apply_over_axes)
def apply_over_axes(func: Function, a: Array, axes: Any) -> Array:
    y = operand(a)
    n = y.ndim
    for axis in np.atleast_1d(axes).tolist():
        place = axis_within(axis, n)
        found = operand(func(y, place))
        y = found if found.ndim == y.ndim else np.expand_dims(found, place)
        if y.ndim != n:
            raise ValueError("function is not returning an array of the correct shape")
    return y


@implements(np.piecewise)
def piecewise(x: Array, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Array:
    x = operand(x)
    conditions = plain(condlist)
    if np.isscalar(conditions) or (not isinstance(conditions[0], (list, np.ndarray)) and x.ndim != 0):
        conditions = [conditions]
    masks = list(np.asarray(conditions, bool))
    if len(funclist) == len(masks) + 1:
        masks.append(~np.any(masks, axis=0))
    elif len(funclist) != len(masks):
        raise ValueError(
            f"with {len(masks)} condition(s), either {len(masks)} or {len(masks) + 1} functions are expected"
        )
    y = np.zeros_like(plain(x))
    for mask, func in zip(masks, funclist, strict=True):
        chosen = x[mask]
        if callable(func):  # which NumPy does not call on nothing
            func = func(chosen, *args, **kw) if chosen.size else plain(chosen)
        value = np.broadcast_to(operand(func), chosen.shape)
        y = ops.setitem(y, value if value.dtype == x.dtype else cast(value, x.dtype), key=mask)
    return y


@implements(np.choose)
def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Array:
    index = np.asarray(plain(a))
    numpys: Any = np.choose
    numpys(index, [np.zeros(np.shape(c)) for c in choices], mode=mode)  # raises where NumPy does
    dtype = np.result_type(
        *[c if isinstance(c, (int, float, complex)) else operand(c).dtype for c in choices]
    )
    parts = [operand(c).astype(dtype) for c in choices]
    dims = np.broadcast_shapes(index.shape, *[c.shape for c in parts])
    stacked = np.stack([np.broadcast_to(c, dims) for c in parts])
    n = len(parts)
    index = np.clip(index, 0, n - 1) if mode == "clip" else index % n
    return take_along_axis(stacked, np.broadcast_to(index, dims)[None], 0)[0]
