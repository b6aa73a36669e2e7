"""torch's convolutions as the suite calls them: in float16 torch ends the process where no window meets the input.

docs/findings/float16-convolution-of-padding.md shows this. There the padding is written out before the call, or cut off after it, so that
torch's arithmetic is judged and the process goes on.
"""

from __future__ import annotations

import warnings
from typing import Any

Numbers = tuple[int, ...]


def meets(size: int, kernel: int, places: int, stride: int, start: int, dilation: int) -> bool:
    """Whether some window along one axis reads one of the ``size`` elements that stand after ``start`` zeros."""
    return any(0 <= stride * p + dilation * k - start < size for p in range(places) for k in range(kernel))


def _ends_the_process(torch: Any, x: Any, w: Any, sizes: Any, places: Any, *given: Numbers) -> bool:
    """Whether torch does for these sizes, numbers of windows, strides, padding and dilations, along each axis."""
    rows = zip(sizes, w.shape[2:], places, *given, strict=True)
    return x.dtype == torch.float16 and x.numel() > 0 and not all(meets(*row) for row in rows)


def _on_axes(axes: int, *given: Any) -> list[Numbers]:
    """Arguments of a convolution, each as a number for each axis."""
    return [(n,) * axes if isinstance(n, int) else tuple([int(m) for m in n]) for n in given]


def conv(
    name: str,
    torch: Any,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    """conv1d, conv2d or conv3d of torch, with its arguments and without the warning that padding may copy the input."""
    axes = weight.ndim - 2
    if not isinstance(padding, str):
        s, a, d = _on_axes(axes, stride, padding, dilation)
        sizes = x.shape[-axes:]
        rows = zip(sizes, weight.shape[2:], s, a, d, strict=True)
        places = [(n + 2 * b - e * (k - 1) - 1) // t + 1 for n, k, t, b, e in rows]
        if _ends_the_process(torch, x, weight, sizes, places, s, a, d):
            x = torch.nn.functional.pad(x, [b for width in a[::-1] for b in (width, width)])
            padding = 0
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Using padding='same' with even kernel", category=UserWarning
        )
        return getattr(torch.nn.functional, name)(x, weight, bias, stride, padding, dilation, groups)


def conv_transposed(
    name: str,
    torch: Any,
    z: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    """conv_transpose1d, conv_transpose2d or conv_transpose3d of torch, with its arguments. Its gradient in z is a convolution."""
    axes, function = weight.ndim - 2, getattr(torch.nn.functional, name)
    s, a, more, d = _on_axes(axes, stride, padding, output_padding, dilation)
    places = z.shape[-axes:]
    rows = zip(places, weight.shape[2:], s, a, more, d, strict=True)
    sizes = [(p - 1) * t - 2 * b + e * (k - 1) + m + 1 for p, k, t, b, m, e in rows]
    if _ends_the_process(torch, z, weight, sizes, places, s, a, d):
        y = function(z, weight, bias, stride, 0, output_padding, groups, dilation)
        return y[(..., *[slice(b, b + n) for b, n in zip(a, sizes, strict=True)])]
    return function(z, weight, bias, stride, padding, output_padding, groups, dilation)
