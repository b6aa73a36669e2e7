"""Sets of numbers: unique elements, unions, intersections and differences. Each result is an element of an argument.

Which elements are there, and in what order, is constant wherever the derivative exists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import implements, operand
from refgrad.tracing.differentiable_arguments import plain

NUMPY: Any = np  # of which the plain functions are called with whatever the program gave


@implements(np.unique)
def unique(
    ar: Array,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    **kwargs: Any,
) -> Any:
    _, first, inverse, counts = np.unique(
        plain(ar), return_index=True, return_inverse=True, return_counts=True, **kwargs
    )
    axis = kwargs.get("axis")
    if kwargs.get("sorted", True) is False and axis is None:
        found = np.unique(plain(ar), **kwargs)
        _refuse_hashed(found, "unique(sorted=False)")
        first = first[_ranks(found)]
    y = np.ravel(ar)[first] if axis is None else np.take(ar, first, axis)
    more = [
        x
        for x, wanted in ((first, return_index), (inverse, return_inverse), (counts, return_counts))
        if wanted
    ]
    return (y, *more) if more else y


def _refuse_hashed(found: Array, name: str) -> None:
    """Raises NoRuleError for complex numbers that are not sorted: NumPy hashes them, so a small change of one may change their order."""
    if found.dtype.kind == "c":
        raise NoRuleError(
            f"np.{name} of complex numbers has no rule in refgrad: their order is that of a hash table. Write np.unique(z), which sorts."
        )


def _ranks(found: Array) -> Array:
    """The place of each element in sorted order: NumPy's own order of unique numbers, whatever it is."""
    return np.argsort(np.argsort(found, kind="stable"), kind="stable")


def _named(function: Any) -> Any:
    """np.unique_all and its relatives: a named tuple of the elements and of integers. A NaN equals no other one."""

    def call(x: Array, /) -> Any:
        found = function(plain(x))
        kind, values = (type(found), found[0]) if isinstance(found, tuple) else (None, found)
        if kind is None:
            _refuse_hashed(values, function.__name__)
        _, first = np.unique(plain(x), return_index=True, equal_nan=False)
        y = np.ravel(operand(x))[first[_ranks(values)]]
        return y if kind is None else kind(y, *found[1:])

    call.__name__ = function.__name__
    return call


for _function in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values):
    implements(_function)(_named(_function))


@implements(np.union1d)
def union1d(ar1: Array, ar2: Array) -> Array:
    return unique(np.concatenate([np.ravel(operand(ar1)), np.ravel(operand(ar2))]))


@implements(np.intersect1d)
def intersect1d(ar1: Array, ar2: Array, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The common elements, as those of the first array."""
    found, *places = np.intersect1d(plain(ar1), plain(ar2), assume_unique, return_indices=True)
    y = np.ravel(operand(ar1))[places[0]].astype(found.dtype)
    return (y, *places) if return_indices else y


@implements(np.setdiff1d)
def setdiff1d(ar1: Array, ar2: Array, assume_unique: bool = False) -> Array:
    ar1 = np.ravel(operand(ar1)) if assume_unique else unique(operand(ar1))
    return ar1[np.isin(plain(ar1), plain(ar2), invert=True)]


@implements(np.setxor1d)
def setxor1d(ar1: Array, ar2: Array, assume_unique: bool = False) -> Array:
    parts = [operand(x) if assume_unique else unique(operand(x)) for x in (ar1, ar2)]
    both = np.concatenate([np.ravel(x) for x in parts])
    order = np.argsort(plain(both), kind="stable")
    values = plain(both)[order]
    differs = np.concatenate([[True], values[1:] != values[:-1], [True]])
    return both[order[differs[1:] & differs[:-1]]] if both.size else both


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", *args: Any, **kwargs: Any) -> Any:
    """A part of the array, or of the list, without the zeros at its edges."""
    given, filt = filt, operand(filt)
    values = plain(filt)
    found = NUMPY.trim_zeros(values, trim, *args, **kwargs)  # says the shape, and raises where NumPy does
    places = np.argwhere(values)
    axis = args[0] if args else kwargs.get("axis")
    trimmed = range(filt.ndim) if axis is None else [int(k) % filt.ndim for k in np.atleast_1d(axis)]
    starts = [
        int(places[:, k].min(initial=values.size))
        if k in trimmed and "f" in trim.lower() and len(places)
        else 0
        for k in range(filt.ndim)
    ]
    kept = tuple([slice(start, start + n) for start, n in zip(starts, found.shape, strict=True)])
    return given[kept[0]] if len(kept) == 1 else filt[kept]
