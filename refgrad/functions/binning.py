"""Sums over bins: bincount and histogram.

Which bin an element falls into is constant wherever the derivative exists. The sum of a bin is linear in the weights, and the edges of bins
follow the smallest and the largest element where they are not given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import implements, operand
from refgrad.ops import indexing as ops
from refgrad.tracing.differentiable_arguments import plain


@implements(np.bincount)
def bincount(x: Array, /, weights: Any = None, minlength: int = 0) -> Array:
    x = plain(x)
    counts = np.bincount(x, None, minlength)
    if weights is None or not np.size(x):
        return counts
    weights, x = operand(weights), np.asarray(x)
    if weights.shape != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    return _summed(weights, x.astype(np.intp), len(counts))


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
