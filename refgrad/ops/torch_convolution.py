"""torch's convolutions as the suite calls them: in float16 torch ends the process where no window meets the input.

docs/findings/float16-convolution-of-padding.md shows this. There the padding is written out before the call, or cut off after it, so that
torch's arithmetic is judged and the process goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Numbers = tuple[int, ...]


def _on_axes(number: Any, axes: int) -> Numbers:
    return (int(number),) * axes if isinstance(number, int) else tuple([int(n) for n in number])


def meets(size: int, kernel: int, places: int, stride: int, start: int, dilation: int) -> bool:
    """Whether some window along one axis reads one of the ``size`` elements that stand after ``start`` zeros."""
    return any(0 <= stride * p + dilation * k - start < size for p in range(places) for k in range(kernel))


def _misses(
    sizes: Any, kernels: Any, places: Any, stride: Numbers, start: Numbers, dilation: Numbers
) -> bool:
    rows = zip(sizes, kernels, places, stride, start, dilation, strict=True)
    return not all(meets(*row) for row in rows)


def conv(
    torch: Any,
    function: Callable[..., Any],
    x: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    """conv1d, conv2d or conv3d of torch, with its arguments."""
    axes = w.ndim - 2
    if x.dtype == torch.float16 and not isinstance(padding, str) and x.numel():
        s, a, d = (_on_axes(n, axes) for n in (stride, padding, dilation))
        sizes, kernels = x.shape[-axes:], w.shape[2:]
        places = [
            (n + 2 * b - e * (k - 1) - 1) // t + 1
            for n, k, t, b, e in zip(sizes, kernels, s, a, d, strict=True)
        ]
        if _misses(sizes, kernels, places, s, a, d):
            x = torch.nn.functional.pad(x, [b for width in a[::-1] for b in (width, width)])
            padding = 0
    return function(x, w, bias, stride, padding, dilation, groups)


def conv_transposed(
    torch: Any,
    function: Callable[..., Any],
    z: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    """conv_transpose1d, conv_transpose2d or conv_transpose3d of torch, with its arguments. Its gradient in z is a convolution."""
    axes = w.ndim - 2
    if z.dtype == torch.float16 and z.numel():
        s, a, d, more = (_on_axes(n, axes) for n in (stride, padding, dilation, output_padding))
        places, kernels = z.shape[-axes:], w.shape[2:]
        sizes = [
            (p - 1) * t - 2 * b + e * (k - 1) + m + 1
            for p, k, t, b, e, m in zip(places, kernels, s, a, d, more, strict=True)
        ]
        if _misses(sizes, kernels, places, s, a, d):
            y = function(z, w, bias, stride, 0, output_padding, groups, dilation)
            return y[(..., *[slice(b, b + n) for b, n in zip(a, sizes, strict=True)])]
    return function(z, w, bias, stride, padding, output_padding, groups, dilation)
