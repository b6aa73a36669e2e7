"""Sums over bins: bincount and histogram.

Which bin an element falls into is constant wherever the derivative exists. The sum of a bin is linear in the weights, and the edges of bins
follow the smallest and the largest element where they are not given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import DtypeError, NoRuleError
from refgrad.functions.registry import implements, operand
from refgrad.ops import indexing as ops
from refgrad.tracing.differentiable_arguments import plain


@implements(np.bincount)
def bincount(x: Array, /, weights: Any = None, minlength: int = 0) -> Array:
    x = plain(x)
    if np.size(x) and np.asarray(x).dtype.kind not in "iub":
        raise DtypeError(
            f"np.bincount: argument x has dtype {np.asarray(x).dtype}, which NumPy does not cast to integers by the rule 'safe'. A place "
            "has no derivative: pass integers, such as np.array(x).astype(int)"
        )
    counts = np.bincount(x, None, minlength)
    if weights is None or not np.size(x):
        return counts
    weights, x = operand(weights), np.asarray(x)
    if weights.shape != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    _refuse_complex(weights)
    return _summed(weights, x.astype(np.intp), len(counts))


def _refuse_complex(weights: Array) -> None:
    """Raises NumPy's error for complex weights."""
    if weights.dtype.kind == "c":
        np.bincount(np.zeros(1, np.intp), np.zeros(1, weights.dtype))


def _summed(weights: Array, bins: Array, n: int) -> Array:
    """The sum of the weights of each of n bins, in float64 as NumPy forms it, or in long double where weights are wider."""
    return ops.put_add(weights.astype(np.result_type(np.float64, weights.dtype)), shape=(n,), key=bins)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Array, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:  # noqa: A002 - NumPy's name
    a, found = (
        np.ravel(operand(a)),
        np.histogram_bin_edges(plain(a), plain(bins), plain(range), plain(weights)),
    )
    if not isinstance(bins, str) and np.ndim(plain(bins)):
        return operand(bins)
    if range is not None:
        low, high = range
    elif a.size:
        low, high = np.min(a), np.max(a)
    else:
        return found
    if plain(low) == plain(high):  # NumPy puts the edges half a unit to either side
        low, high = low - 0.5, high + 0.5
    n = len(found) - 1
    low, high = operand(low).astype(found.dtype), operand(high).astype(found.dtype)
    return np.append(low + (high - low) / n * np.arange(n, dtype=found.dtype), high)


@implements(np.histogram)
def histogram(
    a: Array,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Array, Array]:
    if np.asarray(plain(a)).dtype.kind == "c":
        raise NoRuleError(
            "np.histogram of complex numbers has no rule: they have no order of size. Write z.real or np.abs(z)."
        )
    edges = histogram_bin_edges(a, bins, range, weights)
    limits = (plain(a), plain(bins), plain(range))
    counts: Array
    counts, steps = np.histogram(*limits)
    if weights is not None:
        weights, values = np.ravel(operand(weights)), np.ravel(plain(operand(a)))
        if weights.shape != values.shape:
            raise ValueError("weights should have the same shape as a.")
        inside = (values >= steps[0]) & (values <= steps[-1])
        places = np.minimum(np.searchsorted(steps, values[inside], "right") - 1, len(counts) - 1)
        counts = _summed(weights[inside], places, len(counts)).astype(weights.dtype)
    if density:
        return counts / np.diff(edges).astype(float) / np.sum(counts), edges
    return counts, edges


@implements(np.histogramdd)
def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Array, Any]:
    values = plain(sample)
    counts: Array
    counts, found = np.histogramdd(values, plain(bins), plain(range), False, None)  # raises where NumPy does
    columns = (
        np.atleast_2d(operand(sample)).T
        if np.ndim(values) != 2 or not hasattr(sample, "shape")
        else operand(sample)
    )
    dims = len(found)
    bins = list(bins) if isinstance(bins, (list, tuple)) or np.ndim(bins) else [bins] * dims
    limits = [None] * dims if range is None else list(range)
    edges = [
        operand(bins[k])
        if np.ndim(plain(bins[k]))
        else _even_edges(columns[:, k], len(found[k]) - 1, limits[k], found[k])
        for k in np.arange(dims).tolist()
    ]
    if weights is not None:
        weights = operand(weights)
        _refuse_complex(weights)
        numbers = plain(columns)
        if weights.shape != numbers.shape[:1]:
            raise ValueError("The weights and list don't have the same length.")
        places, inside = [], np.ones(len(numbers), bool)
        for k, steps in enumerate(found):
            inside &= (numbers[:, k] >= steps[0]) & (numbers[:, k] <= steps[-1])
            places.append(np.minimum(np.searchsorted(steps, numbers[:, k], "right") - 1, len(steps) - 2))
        flat = np.ravel_multi_index(tuple([p[inside] for p in places]), counts.shape)
        counts = _summed(weights[inside], flat, counts.size).reshape(counts.shape)
    if density:
        total = np.sum(counts)
        for k in np.arange(dims).tolist():
            counts = counts / np.diff(edges[k]).reshape(tuple([-1 if j == k else 1 for j in np.arange(dims)]))
        counts = counts / total
    return counts, edges if isinstance(found, list) else tuple(edges)


def _even_edges(x: Array, n: int, limits: Any, found: Array) -> Array:
    """n + 1 edges from the smallest to the largest element, or between two limits."""
    if limits is None and not x.size:
        return found
    low, high = limits if limits is not None else (np.min(x), np.max(x))
    if plain(low) == plain(high):  # NumPy puts the edges half a unit to either side
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, n + 1)


@implements(np.histogram2d)
def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Array, Array, Array]:
    np.histogram2d(plain(x), plain(y), plain(bins), plain(range))  # raises where NumPy does
    if np.ndim(plain(bins)) if not isinstance(bins, (list, tuple)) else len(bins) not in (1, 2):
        bins = [operand(bins)] * 2
    counts, edges = histogramdd([operand(x), operand(y)], bins, range, density, weights)
    return counts, edges[0], edges[1]
