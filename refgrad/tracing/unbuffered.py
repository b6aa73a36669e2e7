"""``np.add.at(a, index, b)`` and ``at`` of other ufuncs: an array is written to in place, once for each occurrence of an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.errors import NoRuleError, TracingError
from refgrad.op import Traced
from refgrad.ops import indexing
from refgrad.tracing.assembling import assembled
from refgrad.tracing.differentiable_arguments import INTO_PLAIN, holds_traced, plain


def at(ufunc: np.ufunc, a: Any, indices: Any, *operands: Any) -> None:
    """``ufunc.at(a, indices, *operands)`` for a traced array a.

    Sums are added in one step. Other functions are applied to the first occurrences of all indices, then to the second ones, and so on:
    every element receives its numbers in the order of the indices.

    Raises TracingError for a plain array a, NoRuleError where NumPy's result is not what it documents.
    """
    if not isinstance(a, Traced):
        raise TracingError(f"np.{ufunc.__name__}.at would write to a plain array: {INTO_PLAIN}")
    target: Any = a
    if ufunc.nin != len(operands) + 1 or ufunc.nout != 1 or target._scalar:
        ufunc.at(np.array(plain(a))[()], plain(indices), *map(plain, operands))  # NumPy's error
    key = indexing.clean(plain(indices))
    places = np.arange(target.size).reshape(target.shape)[key]
    given = [_array(x) for x in operands]
    for x in given:
        _refuse_partial(ufunc, target.shape, key, x.shape, places.shape)
    values = [np.broadcast_to(x, places.shape) for x in given]
    if ufunc in (np.add, np.subtract) and values[0].dtype == target.dtype:
        value = values[0] if ufunc is np.add else -values[0]
        target._receive(indexing.add_at(target, value, key=key), f"np.{ufunc.__name__}.at")
        return
    flat, values = np.ravel(places), [np.reshape(x, (-1,)) for x in values]
    for chosen in _occurrences(flat):
        index = np.unravel_index(flat[chosen], target.shape) if target.shape else ()
        numbers = [x[chosen] if target.shape else x[chosen][0] for x in values]
        target[index] = ufunc(target[index], *numbers)


def _refuse_partial(ufunc: np.ufunc, dims: Any, key: Any, given: Any, places: Any) -> None:
    """Raises NoRuleError where NumPy does not broadcast values of shape ``given`` to the shape of the index, as its documentation says.

    Some releases take what lies behind the values in memory for further values, where the index has two axes and the array has one. Behind
    the values of the trial lie numbers that show it.
    """
    if given in (places, ()):
        return
    count = int(np.prod(given))
    for behind in (50.0, -50.0):
        row = np.append(np.arange(1.0, 1.0 + count), np.full(int(np.prod(places)), behind))
        numbers = row[:count].reshape(given)
        found, due = np.ones(dims), np.ones(dims)
        ufunc.at(found, key, numbers)
        ufunc.at(due, key, np.broadcast_to(numbers, places))
        if not np.array_equal(found, due, equal_nan=True):
            raise NoRuleError(
                f"np.{ufunc.__name__}.at: NumPy does not broadcast values of shape {given} to the shape {places} of the index, though it "
                "says so. Write np.broadcast_to(values, index.shape)."
            )


def _array(x: Any) -> Any:
    if isinstance(x, Traced):
        return x
    return assembled(x) if holds_traced(x) else np.asarray(x)


def _occurrences(places: Any) -> list[Any]:
    """Where in ``places`` each number stands for the first time, for the second time, ..."""
    order = np.argsort(places, kind="stable")
    sorted_places = places[order]
    first = np.searchsorted(sorted_places, sorted_places)  # where the run of equal numbers begins
    turn = np.arange(places.size) - first
    return [np.sort(order[turn == k]) for k in range(int(np.max(turn, initial=-1)) + 1)]
