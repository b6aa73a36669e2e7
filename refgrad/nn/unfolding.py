"""Patches of images as columns, and the sum of such columns at their places."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import window_draws
from refgrad.nn.arguments import array_of
from refgrad.nn.padding import pad
from refgrad.nn.spatial import Numbers, batched, numbers, places, unbatched
from refgrad.op import twin
from refgrad.ops import windows


@twin(
    torch=lambda torch, x, kernel_size, dilation, padding, stride: torch.nn.functional.unfold(
        x, kernel_size, dilation, padding, stride
    ),
    draw=window_draws.patches,
)
def unfold(input: Array, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Array:
    """The patches under a sliding window as columns: (n, c, d1, d2) or (c, d1, d2) to (n, c k1 k2, patches) or (c k1 k2, patches).

    Raises ArgumentError where parameters do not fit, or a window is longer than the padded input.
    """
    x, single = batched(input, 2, "unfold", least=1)
    size, dilations, around, strides = _parameters("unfold", kernel_size, dilation, padding, stride)
    counts = _counted("unfold", x.shape[2:], size, strides, around, dilations)
    y = windows.windows(_padded(x, around), size=size, stride=strides, dilation=dilations)
    y = np.transpose(y, (0, 1, 4, 5, 2, 3))
    return unbatched(np.reshape(y, (x.shape[0], x.shape[1] * math.prod(size), math.prod(counts))), single)


@twin(
    torch=lambda torch, x, output_size, kernel_size, dilation, padding, stride: torch.nn.functional.fold(
        x, output_size, kernel_size, dilation, padding, stride
    ),
    draw=window_draws.columns,
)
def fold(
    input: Array, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Array:
    """The transpose of unfold: columns are added at the places of their patches.

    Shapes (n, c k1 k2, patches) or (c k1 k2, patches) to (n, c, d1, d2) or (c, d1, d2), with (d1, d2) = ``output_size``.

    Raises ArgumentError where parameters do not fit, or the numbers of rows or patches are not those of the output size.
    """
    x = array_of(input)
    size, dilations, around, strides = _parameters("fold", kernel_size, dilation, padding, stride)
    shape = numbers(output_size, 2, 1, "fold", "output_size")
    counts = _counted("fold", shape, size, strides, around, dilations)
    if (
        x.ndim not in (2, 3)
        or x.shape[-1] != math.prod(counts)
        or x.shape[-2] % math.prod(size)
        or not x.shape[-2]
    ):
        raise ArgumentError(
            f"fold: an input of shape (n, c*{math.prod(size)}, {math.prod(counts)}) is expected for output_size={shape}, "
            f"kernel_size={size}, stride={strides}, padding={around} and dilation={dilations}, got shape {x.shape}"
        )
    single = x.ndim == 2
    channels = x.shape[-2] // math.prod(size)
    y = np.transpose(np.reshape(x, (-1, channels, *size, *counts)), (0, 1, 4, 5, 2, 3))
    whole = tuple([n + 2 * a for n, a in zip(shape, around, strict=True)])
    y = windows.overlap_add(y, shape=whole, stride=strides, dilation=dilations)
    return unbatched(y[(..., *[slice(a, a + n) for a, n in zip(around, shape, strict=True)])], single)


def _parameters(
    who: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    return (
        numbers(kernel_size, 2, 1, who, "kernel_size"),
        numbers(dilation, 2, 1, who, "dilation"),
        numbers(padding, 2, 0, who, "padding"),
        numbers(stride, 2, 1, who, "stride"),
    )


def _counted(
    who: str, shape: Numbers, size: Numbers, stride: Numbers, around: Numbers, dilation: Numbers
) -> Numbers:
    counts = places(tuple(shape), size, stride, around, dilation)
    if min(counts) < 1:
        raise ArgumentError(
            f"{who}: a window of {size} with dilation {dilation} is longer than an image of {tuple(shape)} with padding {around}"
        )
    return counts


def _padded(x: Array, around: Numbers) -> Array:
    return pad(x, [n for a in around[::-1] for n in (a, a)]) if any(around) else x
