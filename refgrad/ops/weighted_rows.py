"""Rows of numbers that softmax and its kin weight by exponentials: their shift, their length, and which of them are exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.exactness import VANISHING


def shift(x: Array, axis: Any) -> Array:
    """The maximum along axis; 0 where it is infinite or the axis is empty."""
    m = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(m), m, 0).astype(x.dtype)


def tamed(x: Array, axis: Any) -> PlainArray:
    """The same weights from finite elements and -inf: elements +inf share alike, and a row of -inf is one of zeros."""
    top = x == np.inf
    row = np.any(top, axis=axis, keepdims=True)
    x = np.where(row, np.where(top, 0.0, -np.inf), x)
    return np.where(np.all(x == -np.inf, axis=axis, keepdims=True), 0.0, x)


def count(x: Array, axis: Any) -> int:
    """How many elements are normalised together."""
    axes = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    return int(np.prod([x.shape[a] for a in axes]))


def tops(x: Array, e: Any, axis: Any) -> Array | None:
    """How many elements of each row are the largest, where the other weights vanish and the row is exact; else 0. None where all are 0.

    The shift of such a row leaves zeros, and numbers whose exponential is 0 in every judged format. exp(0) is 1 and log(1) is 0 in every
    library (C, annex F), so their sum is the number of zeros. ``e`` is the radius of x.
    """
    if e is not None and np.count_nonzero(e):
        return None
    t = x - shift(x, axis)
    zeros = np.add.reduce(t == 0, axis=axis, keepdims=True, dtype=np.int64)
    vanishing = np.add.reduce(t < VANISHING, axis=axis, keepdims=True, dtype=np.int64)
    found = np.where(zeros + vanishing == count(x, axis), zeros, 0)
    return found if np.count_nonzero(found) else None
