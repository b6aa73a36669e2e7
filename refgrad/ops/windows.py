"""Windows that slide over the last axes of an array, and the sum of windows at their places: each is the other's transpose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.domain import sampled
from refgrad.op import Op, register

Numbers = tuple[int, ...]


def reach(size: Numbers, stride: Numbers, dilation: Numbers, places: Numbers) -> Numbers:
    """How far all windows reach along each axis: s (places - 1) + d (size - 1) + 1."""
    return tuple(
        [s * (p - 1) + d * (k - 1) + 1 for k, s, d, p in zip(size, stride, dilation, places, strict=True)]
    )


def slid(x: PlainArray, size: Numbers, stride: Numbers, dilation: Numbers) -> PlainArray:
    """A read-only view: shapes (..., n1, n2, ...) to (..., p1, p2, ..., k1, k2, ...)."""
    count = len(size)
    spans = tuple([d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)])
    y = np.lib.stride_tricks.sliding_window_view(x, spans, tuple(range(x.ndim - count, x.ndim)))
    key: Any = (..., *[slice(None, None, s) for s in (*stride, *dilation)])
    return y[key]


def _windows(
    x: PlainArray, size: Numbers = (1,), stride: Numbers = (1,), dilation: Numbers = (1,)
) -> PlainArray:
    return slid(x, size, stride, dilation)


def overlapped(x: PlainArray, shape: Numbers, stride: Numbers, dilation: Numbers) -> PlainArray:
    """The transpose of ``slid``: element (p, k) of x is added at s p + d k. ``shape`` is that of the summed axes.

    One addition of arrays for each offset in a window or for each window, whichever are fewer.
    """
    count = len(shape)
    places, size = x.shape[-2 * count : -count], x.shape[-count:]
    y = np.zeros((*x.shape[: x.ndim - 2 * count], *shape), x.dtype)
    if 0 in x.shape:
        return y
    by_window = math.prod(places) < math.prod(size)
    outer, inner = (places, size) if by_window else (size, places)
    starts, steps = (stride, dilation) if by_window else (dilation, stride)
    for at in np.ndindex(*outer):
        cut = [
            slice(a * k, a * k + b * (n - 1) + 1, b)
            for k, a, b, n in zip(at, starts, steps, inner, strict=True)
        ]
        key: Any = (..., *cut)
        y[key] += x[(..., *at, *[slice(None)] * count)] if by_window else x[(..., *at)]
    return y


def _overlap_add(
    x: PlainArray, shape: Numbers = (1,), stride: Numbers = (1,), dilation: Numbers = (1,)
) -> PlainArray:
    return overlapped(x, shape, stride, dilation)


def overlaps(shape: Numbers, places: Numbers, size: Numbers, stride: Numbers, dilation: Numbers) -> int:
    """The largest number of elements that ``overlapped`` adds up at one place."""
    most = 1
    for n, p, k, s, d in zip(shape, places, size, stride, dilation, strict=True):
        at = (s * np.arange(p)[:, None] + d * np.arange(k)).ravel()
        most *= int(np.max(np.bincount(at, minlength=n), initial=0))
    return most


def _geometry(rng: np.random.Generator) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Sizes, strides, dilations and places of windows over one or two axes."""
    axes = int(rng.integers(1, 3))
    drawn = rng.integers([[1], [1], [1], [1]], [[4], [4], [3], [4]], (4, axes))
    size, stride, dilation, places = [tuple([int(n) for n in row]) for row in drawn]
    return size, stride, dilation, places


def _draw_windows(rng: np.random.Generator) -> Any:
    size, stride, dilation, places = _geometry(rng)
    rest = tuple([int(n) for n in rng.integers(0, stride)])
    shape = [n + r for n, r in zip(reach(size, stride, dilation, places), rest, strict=True)]
    lead = [(), (2,), (0,)][int(rng.choice(3, p=[0.45, 0.45, 0.1]))]
    return (rng.uniform(-2.5, 2.5, (*lead, *shape)),), {"size": size, "stride": stride, "dilation": dilation}


def _draw_overlap_add(rng: np.random.Generator) -> Any:
    size, stride, dilation, places = _geometry(rng)
    rest = tuple([int(n) for n in rng.integers(0, stride)])
    shape = tuple([n + r for n, r in zip(reach(size, stride, dilation, places), rest, strict=True)])
    lead = [(), (2,), (0,)][int(rng.choice(3, p=[0.45, 0.45, 0.1]))]
    x = rng.uniform(-2.5, 2.5, (*lead, *places, *size))
    return (x,), {"shape": shape, "stride": stride, "dilation": dilation}


def _torch_windows(torch: Any, x: Any, size: Numbers, stride: Numbers, dilation: Numbers) -> Any:
    first = x.ndim - len(size)
    for axis, (k, s, d) in enumerate(zip(size, stride, dilation, strict=True), first):
        x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
    return x


windows: Op = register(
    "windows",
    _windows,
    jvp=lambda x_dot, size, stride, dilation: windows(x_dot, size=size, stride=stride, dilation=dilation),
    vjp=lambda y_bar, x_shape, size, stride, dilation: overlap_add(
        y_bar, shape=tuple(x_shape[len(x_shape) - len(size) :]), stride=stride, dilation=dilation
    ),
    rounding=bounds.moved,
    torch=_torch_windows,
    domain=sampled(_draw_windows),
    view=True,
    branch_free=True,
)


def _read(y_bar: Array, x_shape: Numbers, shape: Numbers, stride: Numbers, dilation: Numbers) -> Array:
    """The windows that were added; y may reach further than they do."""
    count = len(shape)
    places, size = x_shape[-2 * count : -count], x_shape[-count:]
    if 0 in x_shape:
        return np.zeros(x_shape, y_bar.dtype)
    within = tuple([slice(0, n) for n in reach(size, stride, dilation, places)])
    return windows(y_bar[(..., *within)], size=size, stride=stride, dilation=dilation)


overlap_add: Op = register(
    "overlap_add",
    _overlap_add,
    jvp=lambda x_dot, shape, stride, dilation: overlap_add(
        x_dot, shape=shape, stride=stride, dilation=dilation
    ),
    vjp=_read,
    rounding=bounds.scattered,
    domain=sampled(_draw_overlap_add),
    branch_free=True,
    helper=True,
)
