"""np.pad in all its modes, one axis after the other as NumPy pads them: each axis sees what the axes before it have added."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import implements, moved, operand
from refgrad.ops import shape as ops
from refgrad.ops.shape import cast
from refgrad.tracing.differentiable_arguments import holds_traced, plain

NUMPY: Any = np  # of which the plain functions are called with whatever the program gave
STATISTICS: dict[Any, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}
Pair = tuple[int, int]


@implements(np.pad)
def pad(array: Array, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Array:
    array, pad_width = operand(array), plain(pad_width)
    known = ("constant", {}) if callable(mode) else (mode, plain_arguments(kwargs))
    zeros = np.zeros(array.shape, array.dtype)  # a linear function may not look at values
    NUMPY.pad(zeros, pad_width, known[0], **known[1])  # raises where NumPy does
    if array.ndim == 0:
        return array.copy()
    pairs = _pairs(pad_width, array.ndim)
    if callable(mode):
        return _by_function(array, pairs, mode, kwargs)
    if mode == "constant" and not holds_traced(kwargs):
        return ops.pad(array, pad_width=pairs, **kwargs)
    if mode == "empty" or (array.size == 0 and mode != "constant"):
        # NumPy leaves the new elements undefined; or there are none
        return ops.pad(array, pad_width=pairs)
    x = array
    for k, pair in enumerate(pairs):
        if pair != (0, 0):
            added = _added(
                moved(x, k, -1),
                pair,
                mode,
                {name: _of_axis(value, k, x.ndim) for name, value in kwargs.items()},
            )
            x = moved(np.concatenate([cast(part, array.dtype) for part in added], -1), -1, k)
    return x if x is not array else array.copy()


def plain_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments as plain arrays."""
    return {name: plain(value) for name, value in kwargs.items()}


def _pairs(pad_width: Any, ndim: int) -> tuple[Pair, ...]:
    """How many elements come before and after, for each axis."""
    if isinstance(pad_width, dict):
        given = {int(k) % ndim: w for k, w in pad_width.items()}
        pad_width = [given.get(k, 0) for k in range(ndim)]
        return tuple([(int(w), int(w)) if np.ndim(w) == 0 else (int(w[0]), int(w[1])) for w in pad_width])
    return ops.widths(pad_width, ndim)


def _of_axis(value: Any, k: int, ndim: int) -> Any:
    """The two values of an axis, in any of NumPy's short forms; a word or None as it is."""
    if value is None or isinstance(value, str):
        return value
    x = operand(value)
    if x.ndim < 3 and x.size == 1:
        x = x.reshape((1,))
        return x[0], x[0]
    if x.ndim < 3 and x.size == 2 and x.shape != (2, 1):
        x = x.reshape((2,))
        return x[0], x[1]
    pair = np.broadcast_to(x, (ndim, 2))[k]
    return (pair[0], pair[1]) if holds_traced(pair) else tuple(pair.tolist())  # Python numbers, as in NumPy


def _added(x: Array, pair: Pair, mode: str, options: dict[str, Any]) -> list[Array]:
    """What stands along the last axis in the end: x between its new elements."""
    before, after = pair
    if mode in STATISTICS:
        left, right = _statistics(x, STATISTICS[mode], options.get("stat_length"))
    elif mode == "constant":
        left, right = options["constant_values"]
    elif mode == "linear_ramp":
        ends = options.get("end_values", (np.int_(0), np.int_(0)))
        sides = [
            np.linspace(end, edge, width, endpoint=False, dtype=x.dtype, axis=-1)
            for end, edge, width in ((ends[0], x[..., 0], before), (ends[1], x[..., -1], after))
        ]
        return [sides[0], x, np.flip(sides[1], -1)]
    elif options.get("reflect_type") == "odd" and x.shape[-1] > 1:
        return [_turned(x, pair, edge=mode == "symmetric")]
    else:  # elements that are repeated
        return [x[..., np.pad(np.arange(x.shape[-1]), pair, mode=mode)]]  # type: ignore[call-overload]
    lead = x.shape[:-1]
    return [np.broadcast_to(left, (*lead, before)), x, np.broadcast_to(right, (*lead, after))]


def _statistics(x: Array, function: Any, lengths: Any) -> tuple[Array, Array]:
    """A statistic of the first and of the last elements."""
    n = x.shape[-1]
    left, right = [n if m is None else min(int(plain(m)), n) for m in lengths or (None, None)]
    first = function(x[..., :left], axis=-1, keepdims=True)
    return first, first if left == right == n else function(x[..., n - right :], axis=-1, keepdims=True)


def _turned(x: Array, pair: Pair, *, edge: bool) -> Array:
    """x continued by its reflection in the points at its ends, as often as there is room; ``edge``: the end elements are repeated."""
    (left, right), period = pair, x.shape[-1]
    while left > 0 or right > 0:
        n = x.shape[-1]
        length = n // period * period if edge else (n - 1) // (period - 1) * (period - 1)
        first, last = min(length, left), min(length, right)
        skipped = 0 if edge else 1
        before = 2 * x[..., :1] - np.flip(x[..., skipped : skipped + first], -1)
        after = 2 * x[..., -1:] - np.flip(x[..., n - skipped - last : n - skipped], -1)
        x = np.concatenate([before, x, after], -1)
        left, right = left - first, right - last
    return x


def _by_function(array: Array, pairs: tuple[Pair, ...], function: Any, kwargs: dict[str, Any]) -> Array:
    """Padding by a function of the program, which writes into each line of the padded array."""
    padded = ops.pad(array, pad_width=pairs)
    for k, pair in enumerate(pairs):
        lines = moved(padded, k, -1)
        for place in np.ndindex(lines.shape[:-1]):
            function(lines[(*place, Ellipsis)], pair, k, kwargs)
    return padded
