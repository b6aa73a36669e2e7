"""Maxima over windows, their places, and arrays with given elements at such places."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, DtypeError
from refgrad.nn import layer_draws, window_draws
from refgrad.nn.pooling import adaptive_windows, output_sizes, pool_windows, slid
from refgrad.nn.spatial import Numbers, batched, numbers, unbatched
from refgrad.op import Traced, twin
from refgrad.ops import indexing
from refgrad.tracing.differentiable_arguments import plain


def _values(found: Any) -> Any:
    """The maxima, without the indices that torch may return beside them."""
    return found[0] if isinstance(found, tuple) else found


@twin(
    torch=lambda torch, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices: _values(
        torch.nn.functional.max_pool1d(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    ),
    draw=layer_draws.max_pooling(1),
    sums=False,
    output=0,
)
def max_pool1d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maxima over windows along one axis: (n, c, d) or (c, d) to (n, c, e) or (c, e). ``stride`` is the kernel size unless given.

    e = (d + 2 padding - dilation (k - 1) - 1) // stride + 1, where -inf stands for the padding. ``ceil_mode`` adds a window that
    reaches over the end, if it starts before the padding there. Tied elements of a window share the derivative equally.

    With ``return_indices`` a pair: the maxima, and as plain integers where the first of each window is, as an index into the spatial
    axes of the input, flattened.

    Raises ArgumentError where parameters do not fit, for a padding above half of what a window spans, or for no window.
    """
    return _pooled("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@twin(
    torch=lambda torch, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices: _values(
        torch.nn.functional.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    ),
    draw=layer_draws.max_pooling(2),
    sums=False,
    output=0,
)
def max_pool2d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool1d along two axes."""
    return _pooled("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@twin(
    torch=lambda torch, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices: _values(
        torch.nn.functional.max_pool3d(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    ),
    draw=layer_draws.max_pooling(3),
    sums=False,
    output=0,
)
def max_pool3d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool1d along three axes."""
    return _pooled("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@twin(
    torch=lambda torch, x, output_size, return_indices: _values(
        torch.nn.functional.adaptive_max_pool1d(x, output_size, return_indices)
    ),
    draw=layer_draws.adaptive_pooling(1, indices=True),
    sums=False,
    output=0,
)
def adaptive_max_pool1d(input: Array, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over ``output_size`` windows that cover the axis: (n, c, d) or (c, d) to (n, c, e) or (c, e).

    Window i reaches from floor(i d/e) to ceil((i + 1) d/e). Tied elements of a window share the derivative equally. With
    ``return_indices`` a pair, as of max_pool1d. Raises ArgumentError for another shape or size.
    """
    return _adaptive("adaptive_max_pool1d", 1, input, output_size, return_indices)


@twin(
    torch=lambda torch, x, output_size, return_indices: _values(
        torch.nn.functional.adaptive_max_pool2d(x, output_size, return_indices)
    ),
    draw=layer_draws.adaptive_pooling(2, indices=True),
    sums=False,
    output=0,
)
def adaptive_max_pool2d(input: Array, output_size: Any, return_indices: bool = False) -> Any:
    """adaptive_max_pool1d along two axes. In ``output_size``, None stands for the input's size."""
    return _adaptive("adaptive_max_pool2d", 2, input, output_size, return_indices)


@twin(
    torch=lambda torch, x, output_size, return_indices: _values(
        torch.nn.functional.adaptive_max_pool3d(x, output_size, return_indices)
    ),
    draw=layer_draws.adaptive_pooling(3, indices=True),
    sums=False,
    output=0,
)
def adaptive_max_pool3d(input: Array, output_size: Any, return_indices: bool = False) -> Any:
    """adaptive_max_pool1d along three axes. In ``output_size``, None stands for the input's size."""
    return _adaptive("adaptive_max_pool3d", 3, input, output_size, return_indices)


@twin(
    torch=lambda torch, x, indices, kernel_size, stride, padding, output_size: (
        torch.nn.functional.max_unpool1d(x, indices, kernel_size, stride, padding, output_size)
    ),
    draw=window_draws.unpooling(1),
    sums=False,
)
def max_unpool1d(
    input: Array,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Array:
    """Zeros, with the elements of ``input`` at the places that max_pool1d returned: (n, c, e) or (c, e) to (n, c, d) or (c, d).

    d = (e - 1) stride - 2 padding + k unless ``output_size`` gives it (the last axes of it, where it holds more).

    Raises ArgumentError where shapes or parameters do not fit, for an index out of range, or for an index that comes twice in one
    channel: which of the two elements stands there would depend on an order. DtypeError for indices that are not plain integers.
    """
    return _unpooled("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@twin(
    torch=lambda torch, x, indices, kernel_size, stride, padding, output_size: (
        torch.nn.functional.max_unpool2d(x, indices, kernel_size, stride, padding, output_size)
    ),
    draw=window_draws.unpooling(2),
    sums=False,
)
def max_unpool2d(
    input: Array,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Array:
    """max_unpool1d along two axes."""
    return _unpooled("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@twin(
    torch=lambda torch, x, indices, kernel_size, stride, padding, output_size: (
        torch.nn.functional.max_unpool3d(x, indices, kernel_size, stride, padding, output_size)
    ),
    draw=window_draws.unpooling(3),
    sums=False,
)
def max_unpool3d(
    input: Array,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Array:
    """max_unpool1d along three axes."""
    return _unpooled("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _pooled(
    who: str,
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: bool,
    indices: bool,
) -> Any:
    x, single = batched(input, axes, who, least=1)
    geometry = pool_windows(who, axes, x, kernel_size, stride, padding, dilation, ceil)
    y = unbatched(_maxima(slid(x, *geometry, -np.inf), axes), single)
    if not indices:
        return y
    places = np.reshape(np.arange(math.prod(x.shape[2:]), dtype=float), (1, 1, *x.shape[2:]))
    return y, unbatched(
        _first(slid(plain(x), *geometry, -np.inf), slid(places, *geometry, -1.0), axes), single
    )


def _adaptive(who: str, axes: int, input: Any, output_size: Any, indices: bool) -> Any:
    x, single = batched(input, axes, who, least=1)
    output = output_sizes(output_size, x.shape[2:], who)
    y = unbatched(_maxima(adaptive_windows(x, output, -np.inf)[0], axes), single)
    if not indices:
        return y
    places = np.reshape(np.arange(math.prod(x.shape[2:]), dtype=float), (1, 1, *x.shape[2:]))
    found = adaptive_windows(plain(x), output, -np.inf)[0], adaptive_windows(places, output, -1.0)[0]
    return y, unbatched(_first(*found, axes), single)


def _maxima(found: Array, axes: int) -> Array:
    """The maxima over the last axes. They come first here, in one copy, so that loops run over windows and not inside of small ones."""
    kept = found.ndim - axes
    first = np.transpose(found, (*range(kept, found.ndim), *range(kept)))
    return np.max(np.reshape(first, (math.prod(found.shape[kept:]), *found.shape[:kept])), axis=0)


def _flat_windows(x: Array, axes: int) -> Array:
    """The elements of each window along one axis: the last axes together, which -1 does not size where there are no windows."""
    kept = x.ndim - axes
    return np.reshape(x, (*x.shape[:kept], math.prod(x.shape[kept:])))


def _first(found: Array, places: Array, axes: int) -> Array:
    """The place of the first largest element of each window; of the padding only where a window has nothing else than -inf."""
    found, places = _flat_windows(found, axes), _flat_windows(places, axes)
    places = np.broadcast_to(places, found.shape)
    inside = np.where(places >= 0, found, -np.inf)
    best = np.argmax(
        np.where(np.isneginf(inside) & (places >= 0), -np.finfo(found.dtype).max, inside), axis=-1
    )
    return np.take_along_axis(places, best[..., np.newaxis], -1)[..., 0].astype(np.int64)


def _unpooled(
    who: str,
    axes: int,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Array:
    x, single = batched(input, axes, who)
    if isinstance(indices, Traced) or (indices := np.asarray(indices)).dtype.kind not in "iu":
        raise DtypeError(f"{who}: indices must be a plain array of integers, got dtype {indices.dtype}")
    if indices.shape != (x.shape[1:] if single else x.shape):
        raise ArgumentError(
            f"{who}: input and indices must have one shape, got {x.shape[1:] if single else x.shape} and {indices.shape}"
        )
    size = numbers(kernel_size, axes, 1, who, "kernel_size")
    steps = size if stride is None else numbers(stride, axes, 1, who, "stride")
    around = numbers(padding, axes, 0, who, "padding")
    shape = _unpooled_shape(who, x.shape[2:], size, steps, around, output_size)
    planes, count = math.prod(x.shape[:2]), math.prod(shape)
    flat = np.reshape(indices, (planes, math.prod(x.shape[2:])))
    if flat.size and not (flat.min() >= 0 and flat.max() < count):
        raise ArgumentError(
            f"{who}: indices must lie in 0 ... {count - 1}, got {flat.min()} ... {flat.max()}"
        )
    ordered = np.sort(flat, axis=-1)
    if np.any(ordered[:, 1:] == ordered[:, :-1]):
        raise ArgumentError(
            f"{who}: an index comes twice in one channel, so two elements would stand at one place; windows that overlap give such "
            "indices"
        )
    key = (np.arange(planes)[:, np.newaxis], flat)
    y = indexing.put_add(np.reshape(x, flat.shape), shape=(planes, count), key=key)
    return unbatched(np.reshape(y, (*x.shape[:2], *shape)), single)


def _unpooled_shape(
    who: str, places: Numbers, size: Numbers, stride: Numbers, around: Numbers, output_size: Any
) -> Numbers:
    """The size that is given, or the smallest one; torch takes one that differs by less than a stride."""
    usual = tuple([(e - 1) * s - 2 * a + k for e, k, s, a in zip(places, size, stride, around, strict=True)])
    if output_size is None:
        return usual
    shape = tuple([int(n) for n in output_size])[-len(usual) :]
    if len(shape) != len(usual) or any(abs(n - m) >= s for n, m, s in zip(shape, usual, stride, strict=True)):
        raise ArgumentError(
            f"{who}: output_size must differ from {usual} by less than the stride {stride} along each axis, got {output_size!r}"
        )
    return shape
