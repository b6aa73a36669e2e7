"""Functions that write into their first argument: copyto, put, place, putmask, fill_diagonal, put_along_axis.

A traced array gets a new value (see tracing/views.py). A plain array cannot hold a traced number, so the call raises TracingError.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import TracingError
from refgrad.functions.choosing import key_along
from refgrad.functions.registry import implements, operand
from refgrad.op import Traced
from refgrad.tracing.differentiable_arguments import INTO_PLAIN


def writes(function: Any) -> Callable[[Any], Any]:
    """Register what ``function`` means where its first argument is traced."""

    def register(composition: Any) -> Any:
        def call(target: Array, /, *args: Any, **kwargs: Any) -> None:
            if not isinstance(target, Traced):
                raise TracingError(f"np.{function.__name__} would write to a plain array: {INTO_PLAIN}")
            composition(target, *args, **kwargs)

        call.__signature__ = inspect.signature(composition)  # type: ignore[attr-defined]
        implements(function)(call)
        return composition

    return register


@writes(np.copyto)
def copyto(dst: Array, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if np.asarray(where).dtype.kind != "b":
        raise TypeError(f"where= has dtype {np.asarray(where).dtype}; a boolean array is expected")
    dst[...] = src if where is True else np.where(where, operand(src), dst)


@writes(np.put)
def put(a: Array, ind: Any, v: Any, mode: str = "raise") -> None:
    ind = np.ravel(np.asarray(ind)).astype(np.intp)
    places = np.arange(a.size)[ind] if mode == "raise" else ind
    places = np.clip(places, 0, a.size - 1) if mode == "clip" else places % max(a.size, 1)
    _put(a, places, v)


@writes(np.place)
def place(arr: Array, mask: Any, vals: Any) -> None:
    _put(arr, np.flatnonzero(_fitting(mask, arr)), vals)


@writes(np.putmask)
def putmask(a: Array, mask: Any, values: Any) -> None:
    chosen, given = _fitting(mask, a), operand(values)
    if np.size(given) > 0:  # NumPy writes nothing where there are no values
        a[...] = np.where(chosen, np.resize(given, a.shape), a)


@writes(np.fill_diagonal)
def fill_diagonal(a: Array, val: Any, wrap: bool = False) -> None:
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    step = 1 + sum(int(np.prod(a.shape[k + 1 :])) for k in range(a.ndim - 1))
    end = a.shape[1] ** 2 if a.ndim == 2 and not wrap else a.size
    _put(a, np.arange(0, min(end, a.size), step), val)


@writes(np.put_along_axis)
def put_along_axis(arr: Array, indices: Any, values: Any, axis: int | None) -> None:
    if axis is None:
        (places,) = key_along((arr.size,), indices, 0)
        arr[np.unravel_index(np.arange(arr.size)[places], arr.shape)] = values
    else:
        arr[key_along(arr.shape, indices, axis)] = values


def _put(x: Array, places: Array, values: Any) -> None:
    """Write to places in C order; values are taken again from the start where there are too few."""
    if places.size:
        given = np.resize(operand(values), (places.size,))
        if x.shape:
            x[np.unravel_index(places, x.shape)] = given
        else:
            x[...] = given[-1]


def _fitting(mask: Any, x: Array) -> Array:
    mask = np.asarray(mask, bool)
    if mask.size != x.size:
        raise ValueError(f"mask and array must have the same size, got shapes {mask.shape} and {x.shape}")
    return mask.reshape(x.shape)
