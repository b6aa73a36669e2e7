"""Means and norms over windows, with torch's parameters."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.errors import ArgumentError
from refgrad.formula import Formula
from refgrad.nn import layer_draws, window_draws
from refgrad.nn.padding import pad
from refgrad.nn.spatial import Numbers, batched, numbers, places, unbatched
from refgrad.op import twin
from refgrad.ops import windows


def _adaptive(who: str, axes: int, input: Any, output_size: Any, *, divided_first: bool = False) -> Array:
    """Kernels divide by the length of a window along one axis after another; or each element, before they are added up."""
    x, single = batched(input, axes, who, least=1)
    found, lengths = adaptive_windows(x, output_sizes(output_size, x.shape[2:], who), 0.0)
    y = found if divided_first else np.sum(found, axis=_last(axes))
    for k, number in enumerate(lengths):
        behind = y.ndim - 3 - k  # axes behind that of the windows
        y = y / np.reshape(number, (-1,) + (1,) * behind).astype(x.dtype)
    return unbatched(np.sum(y, axis=_last(axes)) if divided_first else y, single)


def _divided_first(axes: int) -> tuple[Formula]:
    """The formula of a mean whose backward is transposed: its gradient holds the quotients."""
    return (
        Formula(
            "each element divided by the length of the window, and their sum (torch, the transpose of the gradient of one window)",
            functools.partial(_adaptive, f"adaptive_avg_pool{axes}d", axes, divided_first=True),
        ),
    )


@twin(
    torch=lambda torch, x, kernel_size, stride, padding, ceil_mode, count_include_pad: (
        torch.nn.functional.avg_pool1d(x, kernel_size, stride, padding, ceil_mode, count_include_pad)
    ),
    draw=layer_draws.average_pooling(1),
)
def avg_pool1d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The means over windows along one axis: (n, c, d) or (c, d) to (n, c, e) or (c, e). ``stride`` is the kernel size unless given.

    e = (d + 2 padding - k) // stride + 1. ``ceil_mode`` adds a window that reaches over the end, if it starts before the padding
    there. ``count_include_pad`` says whether zeros of the padding count as elements.

    Raises ArgumentError where parameters do not fit, for a padding above half of the kernel size, or for no window.
    """
    return _averaged("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@twin(
    torch=lambda torch, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: (
        torch.nn.functional.avg_pool2d(
            x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    ),
    draw=layer_draws.average_pooling(2),
)
def avg_pool2d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """avg_pool1d along two axes; ``divisor_override`` is what sums are divided by instead of the number of elements."""
    return _averaged(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@twin(
    torch=lambda torch, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: (
        torch.nn.functional.avg_pool3d(
            x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    ),
    draw=layer_draws.average_pooling(3),
)
def avg_pool3d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """avg_pool1d along three axes; ``divisor_override`` is what sums are divided by instead of the number of elements."""
    return _averaged(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@twin(
    torch=lambda torch, x, output_size: torch.nn.functional.adaptive_avg_pool1d(x, output_size),
    draw=layer_draws.adaptive_pooling(1),
    usual=_divided_first(1),
)
def adaptive_avg_pool1d(input: Array, output_size: Any) -> Array:
    """Means over ``output_size`` windows that cover the axis: (n, c, d) or (c, d) to (n, c, e) or (c, e).

    Window i reaches from floor(i d/e) to ceil((i + 1) d/e). Raises ArgumentError for another shape or size.
    """
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


@twin(
    torch=lambda torch, x, output_size: torch.nn.functional.adaptive_avg_pool2d(x, output_size),
    draw=layer_draws.adaptive_pooling(2),
    usual=_divided_first(2),
)
def adaptive_avg_pool2d(input: Array, output_size: Any) -> Array:
    """adaptive_avg_pool1d along two axes. In ``output_size``, None stands for the input's size."""
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)


@twin(
    torch=lambda torch, x, output_size: torch.nn.functional.adaptive_avg_pool3d(x, output_size),
    draw=layer_draws.adaptive_pooling(3),
    usual=_divided_first(3),
)
def adaptive_avg_pool3d(input: Array, output_size: Any) -> Array:
    """adaptive_avg_pool1d along three axes. In ``output_size``, None stands for the input's size."""
    return _adaptive("adaptive_avg_pool3d", 3, input, output_size)


@twin(
    torch=lambda torch, x, norm_type, kernel_size, stride, ceil_mode: torch.nn.functional.lp_pool1d(
        x, norm_type, kernel_size, stride, ceil_mode
    ),
    draw=window_draws.powers(1),
)
def lp_pool1d(
    input: Array, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Array:
    """(sum of x^p over each window)^(1/p) with p = ``norm_type``: (n, c, d) or (c, d) to (n, c, e) or (c, e).

    As in torch the powers keep the sign of x for an odd p, and a window that reaches over the end counts for a whole one.
    Raises ArgumentError where parameters do not fit.
    """
    return _powered("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@twin(
    torch=lambda torch, x, norm_type, kernel_size, stride, ceil_mode: torch.nn.functional.lp_pool2d(
        x, norm_type, kernel_size, stride, ceil_mode
    ),
    draw=window_draws.powers(2),
)
def lp_pool2d(
    input: Array, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Array:
    """lp_pool1d along two axes."""
    return _powered("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@twin(
    torch=lambda torch, x, norm_type, kernel_size, stride, ceil_mode: torch.nn.functional.lp_pool3d(
        x, norm_type, kernel_size, stride, ceil_mode
    ),
    draw=window_draws.powers(3),
)
def lp_pool3d(
    input: Array, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Array:
    """lp_pool1d along three axes."""
    return _powered("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def pool_windows(
    who: str, axes: int, x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
    """Sizes, strides, padding, dilation and numbers of windows. Raises ArgumentError where they do not fit."""
    size = numbers(kernel_size, axes, 1, who, "kernel_size")
    steps = size if stride is None else numbers(stride, axes, 1, who, "stride")
    around = numbers(padding, axes, 0, who, "padding")
    dilations = numbers(dilation, axes, 1, who, "dilation")
    if any(a > (d * (k - 1) + 1) // 2 for a, k, d in zip(around, size, dilations, strict=True)):
        raise ArgumentError(
            f"{who}: padding must be at most half of what a window spans, got padding={around} for kernel_size={size} and "
            f"dilation={dilations}"
        )
    counts = places(x.shape[2:], size, steps, around, dilations, ceil)
    if min(counts) < 1:
        raise ArgumentError(
            f"{who}: an input of shape {x.shape} with padding {around} is shorter than a window of kernel_size={size} and "
            f"dilation={dilations}"
        )
    return size, steps, around, dilations, counts


def slid(
    x: Array,
    size: Numbers,
    stride: Numbers,
    around: Numbers,
    dilation: Numbers,
    counts: Numbers,
    value: float,
) -> Array:
    """The windows of x with ``value`` around it, as far as they reach: shape (n, c, e..., k...)."""
    whole = windows.reach(size, stride, dilation, counts)
    widths = [(a, m - n - a) for a, m, n in zip(around, whole, x.shape[2:], strict=True)]
    x = pad(x, [n for pair in widths[::-1] for n in pair], value=value)
    return windows.windows(x, size=size, stride=stride, dilation=dilation)


def _last(axes: int) -> tuple[int, ...]:
    return tuple(range(-axes, 0))


def _averaged(
    who: str,
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Array:
    x, single = batched(input, axes, who, least=1)
    size, steps, around, ones, counts = pool_windows(
        who, axes, x, kernel_size, stride, padding, (1,) * axes, ceil
    )
    if divisor is not None:
        (divisor,) = numbers(divisor, 1, 1, who, "divisor_override")
    y = np.sum(slid(x, size, steps, around, ones, counts, 0.0), axis=_last(axes))
    number = (
        divisor
        if divisor is not None
        else _elements(x.shape[2:], size, steps, around, counts, count_include_pad)
    )
    return unbatched(y / (number if isinstance(number, int) else number.astype(x.dtype)), single)


def _elements(
    shape: Numbers, size: Numbers, stride: Numbers, around: Numbers, counts: Numbers, with_padding: bool
) -> PlainArray | int:
    """How many elements each window takes together: one number where all are alike."""
    number: PlainArray = np.ones((), int)
    for n, k, s, a, e in zip(shape, size, stride, around, counts, strict=True):
        start = s * np.arange(e) - a
        end = np.minimum(start + k, n + a)
        if not with_padding:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        number = number[..., np.newaxis] * (end - start)
    return int(number.flat[0]) if np.all(number == number.flat[0]) else number


def adaptive_windows(x: Array, output: Numbers, value: float) -> tuple[Array, list[PlainArray]]:
    """Windows that cover the axes, with ``value`` beyond their ends: (n, c, e..., k...), and their lengths along each axis."""
    shape = x.shape[2:]
    axes = len(output)
    if not any(n % e for n, e in zip(shape, output, strict=True)):
        size = tuple([n // e for n, e in zip(shape, output, strict=True)])
        found = windows.windows(x, size=size, stride=size, dilation=(1,) * axes)
        return found, [np.full(e, k) for e, k in zip(output, size, strict=True)]
    key, inside, lengths = [], np.ones((), bool), []
    for k, (n, e) in enumerate(zip(shape, output, strict=True)):
        start, end = np.arange(e) * n // e, -(-np.arange(1, e + 1) * n // e)
        index = start[:, np.newaxis] + np.arange(np.max(end - start))
        dims = [1] * (2 * axes)
        dims[k], dims[axes + k] = index.shape
        key.append(np.reshape(np.minimum(index, n - 1), dims))
        inside = inside & np.reshape(index < end[:, np.newaxis], dims)
        lengths.append(end - start)
    return np.where(inside, x[(..., *key)], np.asarray(value, x.dtype)), lengths


def output_sizes(given: Any, shape: Numbers, who: str) -> Numbers:
    """``output_size`` of an adaptive layer, with the input's size for None."""
    axes = len(shape)
    if isinstance(given, (tuple, list)) and len(given) == axes:
        given = tuple([n if e is None else e for e, n in zip(given, shape, strict=True)])
    return tuple(shape) if given is None else numbers(given, axes, 1, who, "output_size")


def _powered(
    who: str, axes: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil: bool
) -> Array:
    x, single = batched(input, axes, who, least=1)
    if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)) or not 0 < norm_type < math.inf:
        raise ArgumentError(f"{who}: norm_type must be a finite positive number, got {norm_type!r}")
    size, steps, around, ones, counts = pool_windows(
        who, axes, x, kernel_size, stride, (0,) * axes, (1,) * axes, ceil
    )
    power = x if norm_type == 1 else x**norm_type
    mean = np.sum(slid(power, size, steps, around, ones, counts, 0.0), axis=_last(axes))
    number = _elements(x.shape[2:], size, steps, around, counts, True)
    mean = mean / (number if isinstance(number, int) else number.astype(x.dtype))
    total = mean * math.prod(size)
    y = total if norm_type == 1 else np.sqrt(total) if norm_type == 2 else total ** (1 / norm_type)
    return unbatched(y, single)
