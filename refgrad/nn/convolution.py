"""Convolutions and transposed convolutions over one to three axes, with torch's parameters."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import layer_draws
from refgrad.nn.arguments import array_of
from refgrad.nn.spatial import Numbers, batched, numbers, unbatched
from refgrad.op import twin
from refgrad.ops import convolution, torch_convolution

Pairs = tuple[tuple[int, int], ...]


@twin(
    torch=functools.partial(torch_convolution.conv, "conv1d"),
    draw=layer_draws.convolution(1),
)
def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """The cross-correlation of ``input`` with ``weight`` along one axis.

    Shapes (n, c, d) or (c, d), (o, c/groups, k) and (o,) to (n, o, e) or (o, e) with
    e = (d + 2 padding - dilation (k - 1) - 1) // stride + 1. ``padding`` is a width at both ends, "valid" for none, or "same"
    for e = d with ``stride`` 1, where an odd width leaves one more zero at the end.

    Raises ArgumentError where shapes or parameters do not fit, or a window is longer than the padded input.
    Dumoulin, Visin, "A guide to convolution arithmetic for deep learning" (2016).
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@twin(
    torch=functools.partial(torch_convolution.conv, "conv2d"),
    draw=layer_draws.convolution(2),
)
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """conv1d along two axes: (n, c, d1, d2) or (c, d1, d2) with a weight (o, c/groups, k1, k2). A parameter is one number or a pair."""
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@twin(
    torch=functools.partial(torch_convolution.conv, "conv3d"),
    draw=layer_draws.convolution(3),
)
def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """conv1d along three axes: (n, c, d1, d2, d3) or (c, d1, d2, d3) with a weight (o, c/groups, k1, k2, k3)."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@twin(
    torch=functools.partial(torch_convolution.conv_transposed, "conv_transpose1d"),
    draw=layer_draws.transposed_convolution(1),
)
def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """The transpose of conv1d in its input: each element of ``input`` adds its multiple of ``weight`` to the result.

    Shapes (n, c, d) or (c, d), (c, o/groups, k) and (o,) to (n, o, e) or (o, e) with
    e = (d - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    Raises ArgumentError where shapes or parameters do not fit, for an ``output_padding`` that is not smaller than the stride or the
    dilation, or where the result has no element along an axis.
    Dumoulin, Visin, "A guide to convolution arithmetic for deep learning" (2016).
    """
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@twin(
    torch=functools.partial(torch_convolution.conv_transposed, "conv_transpose2d"),
    draw=layer_draws.transposed_convolution(2),
)
def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """conv_transpose1d along two axes: (n, c, d1, d2) or (c, d1, d2) with a weight (c, o/groups, k1, k2)."""
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@twin(
    torch=functools.partial(torch_convolution.conv_transposed, "conv_transpose3d"),
    draw=layer_draws.transposed_convolution(3),
)
def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """conv_transpose1d along three axes: (n, c, d1, d2, d3) or (c, d1, d2, d3) with a weight (c, o/groups, k1, k2, k3)."""
    return _transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@twin(
    torch=lambda torch, x, weight, bias, pad: torch.conv_tbc(x, weight, bias, pad),
    draw=layer_draws.convolution_of_sequences,
)
def conv_tbc(input: Array, weight: Array, bias: Array, pad: int = 0) -> Array:
    """conv1d of sequences whose channels come last: (d, n, c), (k, c, o) and (o,) to (d + 2 pad - k + 1, n, o). Raises as conv1d does."""
    x, weight = array_of(input), array_of(weight)
    if x.ndim != 3 or weight.ndim != 3:
        raise ArgumentError(
            f"conv_tbc: shapes (d, n, c) and (k, c, o) are expected for input and weight, got {x.shape} and {weight.shape}"
        )
    y = _conv("conv_tbc", 1, np.transpose(x, (1, 2, 0)), np.transpose(weight, (2, 1, 0)), bias, 1, pad, 1, 1)
    return np.transpose(y, (2, 0, 1))


def _conv(
    who: str,
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Array:
    x, single = batched(input, axes, who, least=1)
    weight = array_of(weight)
    strides, dilations = numbers(stride, axes, 1, who, "stride"), numbers(dilation, axes, 1, who, "dilation")
    groups = _groups(groups, x.shape[1], "input", who)
    if weight.ndim != axes + 2 or weight.shape[1] != x.shape[1] // groups or not all(weight.shape):
        raise ArgumentError(
            f"{who}: a weight of shape (o, {x.shape[1] // groups}, {_kernel_names(axes)}) is expected for an input of shape "
            f"{x.shape} and groups={groups}, got shape {weight.shape}"
        )
    _groups(groups, weight.shape[0], "output", who)
    pairs = _padding(padding, weight.shape[2:], strides, dilations, who)
    for n, k, d, (a, b) in zip(x.shape[2:], weight.shape[2:], dilations, pairs, strict=True):
        if n + a + b < d * (k - 1) + 1:
            raise ArgumentError(
                f"{who}: a window spans {d * (k - 1) + 1} elements (kernel {k}, dilation {d}), which is more than the padded input's "
                f"{n + a + b}; give a longer input, or more padding"
            )
    y = convolution.conv(x, weight, stride=strides, padding=pairs, dilation=dilations, groups=groups)
    return unbatched(_biased(y, bias, who), single)


def _transposed(
    who: str,
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Array:
    x, single = batched(input, axes, who, least=1)
    weight = array_of(weight)
    strides, dilations = numbers(stride, axes, 1, who, "stride"), numbers(dilation, axes, 1, who, "dilation")
    start = numbers(padding, axes, 0, who, "padding")
    more = numbers(output_padding, axes, 0, who, "output_padding")
    groups = _groups(groups, x.shape[1], "input", who)
    if weight.ndim != axes + 2 or weight.shape[0] != x.shape[1] or not all(weight.shape):
        raise ArgumentError(
            f"{who}: a weight of shape ({x.shape[1]}, o/groups, {_kernel_names(axes)}) is expected for an input of shape {x.shape}, "
            f"got shape {weight.shape}"
        )
    if any(m >= max(s, d) for m, s, d in zip(more, strides, dilations, strict=True)):
        raise ArgumentError(
            f"{who}: output_padding must be smaller than the stride or the dilation, got output_padding={more}, stride={strides}, "
            f"dilation={dilations}"
        )
    sizes = zip(x.shape[2:], weight.shape[2:], strides, start, more, dilations, strict=True)
    size = tuple([(n - 1) * s - 2 * a + d * (k - 1) + m + 1 for n, k, s, a, m, d in sizes])
    if min(size) < 1:
        raise ArgumentError(
            f"{who}: the result would have shape {size} along its spatial axes; give a longer input, or less padding than {start}"
        )
    y = convolution.conv_transposed(
        x, weight, size=size, stride=strides, start=start, dilation=dilations, groups=groups
    )
    return unbatched(_biased(y, bias, who), single)


def _kernel_names(axes: int) -> str:
    return ", ".join(f"k{k + 1}" for k in range(axes))


def _groups(groups: int, channels: int, which: str, who: str) -> int:
    (count,) = numbers(groups, 1, 1, who, "groups")
    if channels % count:
        raise ArgumentError(
            f"{who}: groups={count} must divide the number of {which} channels, which is {channels}"
        )
    return count


def _padding(padding: Any, kernel: Numbers, stride: Numbers, dilation: Numbers, who: str) -> Pairs:
    """The widths at both ends of each axis."""
    if not isinstance(padding, str):
        return tuple([(a, a) for a in numbers(padding, len(kernel), 0, who, "padding")])
    if padding not in ("valid", "same"):
        raise ArgumentError(
            f'{who}: padding must be "valid", "same" or a number for each axis, got {padding!r}'
        )
    if padding == "same" and max(stride) > 1:
        raise ArgumentError(f'{who}: padding="same" needs stride 1, got stride {stride}')
    whole = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
    return tuple([(n // 2, n - n // 2) for n in whole])


def _biased(y: Array, bias: Any, who: str) -> Array:
    if bias is None:
        return y
    bias = array_of(bias)
    if bias.shape != (y.shape[1],):
        raise ArgumentError(f"{who}: bias must have shape ({y.shape[1]},), got {bias.shape}")
    return y + np.reshape(bias, (-1,) + (1,) * (y.ndim - 2))
