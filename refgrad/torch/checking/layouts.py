"""The same tensor in other arrangements of memory.

What lies between the elements is NaN (for integers and booleans, other elements): a kernel that ignores strides then reads it, and one that
writes there is found out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

GIVEN, CONTIGUOUS, PERMUTED, SWAPPED, GAPS, ROWS_APART, OFFSET, CHANNELS_LAST, EXPANDED = (
    "as given",
    "contiguous",
    "permuted",
    "permuted, rows whole",
    "with gaps",
    "with gaps between rows",
    "with an offset",
    "channels_last",
    "expanded",
)


@dataclass(frozen=True)
class Laid:
    """A tensor, and the memory in which it lies (of one dimension, the gaps included)."""

    tensor: Tensor
    memory: Tensor


def laid(x: Tensor, layout: str) -> Laid:
    """The elements of ``x`` in new memory, arranged as ``layout`` says; contiguous where x has too few dimensions for it.

    x   any strided tensor; for ``expanded``, a tensor whose elements are all equal
    """
    return _LAYOUTS[layout](x.detach())


def offered(x: Tensor) -> tuple[str, ...]:
    """The layouts that differ for a tensor of this shape, beside the contiguous one."""
    found = [PERMUTED] if sum(n > 1 for n in x.shape) > 1 else []
    if sum(n > 1 for n in x.shape[:-1]) > 1:
        found.append(SWAPPED)
    if x.ndim in (4, 5):
        found.append(CHANNELS_LAST)
    if x.ndim > 1 and x.numel() > x.shape[-1] > 0:
        found.append(ROWS_APART)
    if x.numel() > 1:
        found += [GAPS, OFFSET]
    return tuple(found)


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in another dtype, with the strides and the offset that it has; the tensor itself where it has the dtype."""
    if x.dtype == dtype:
        return x.detach()
    if x.layout != torch.strided or x.numel() == 0:
        return x.detach().to(dtype)
    place = _given(x.detach())
    memory = place.memory.to(dtype)
    return memory.as_strided(x.shape, x.stride(), place.tensor.storage_offset())


def _contiguous(x: Tensor) -> Laid:
    y = x.clone(memory_format=torch.contiguous_format)
    return Laid(y, y.view(-1))


def _permuted(x: Tensor) -> Laid:
    order = tuple(reversed(range(x.ndim)))
    y = x.permute(order).clone(memory_format=torch.contiguous_format)
    return Laid(y.permute(order), y.view(-1))


def _swapped(x: Tensor) -> Laid:
    """The axes before the last in reverse order; a row stays whole."""
    if x.ndim < 3:
        return _contiguous(x)
    order = (*reversed(range(x.ndim - 1)), x.ndim - 1)
    y = x.permute(order).clone(memory_format=torch.contiguous_format)
    return Laid(y.permute(order), y.view(-1))


def _rows_apart(x: Tensor) -> Laid:
    """Each row whole, with a gap behind it."""
    if x.ndim < 2 or x.numel() == 0:
        return _contiguous(x)
    wide = _between(x, (*x.shape[:-1], x.shape[-1] + 1))
    view = wide[..., :-1]
    view.copy_(x)
    return Laid(view, wide.view(-1))


def _channels_last(x: Tensor) -> Laid:
    if x.ndim not in (4, 5):
        return _contiguous(x)
    y = x.movedim(1, -1).clone(memory_format=torch.contiguous_format)
    return Laid(y.movedim(-1, 1), y.view(-1))


def _gaps(x: Tensor) -> Laid:
    if x.ndim == 0 or x.numel() == 0:
        return _contiguous(x)
    wide = _between(x, (*x.shape[:-1], 2 * x.shape[-1]))
    view = wide[..., ::2]
    view.copy_(x)
    return Laid(view, wide.view(-1))


def _offset(x: Tensor) -> Laid:
    if x.numel() == 0:
        return _contiguous(x)
    memory = _between(x, (x.numel() + 1,))
    view = memory[1:].view(x.shape)
    view.copy_(x)
    return Laid(view, memory)


def _expanded(x: Tensor) -> Laid:
    if x.numel() == 0:
        return _contiguous(x)
    memory = x.reshape(-1)[:1].clone()
    return Laid(memory.expand(x.numel() if x.ndim == 0 else 1).view((1,) * x.ndim).expand(x.shape), memory)


def _given(x: Tensor) -> Laid:
    """The strides and the offset of x itself. A part of its memory is copied: what its elements span, and as much before as its offset."""
    if x.numel() == 0 or x.layout != torch.strided:
        return _contiguous(x)
    span = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
    offset = min(x.storage_offset(), span)
    memory = x.as_strided((offset + span,), (1,), x.storage_offset() - offset).clone()
    return Laid(memory.as_strided(x.shape, x.stride(), offset), memory)


def _between(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """New memory that holds nothing which a kernel may take for a right element."""
    if x.is_floating_point():
        return torch.full(shape, float("nan"), dtype=x.dtype, device=x.device)
    count, flat = math.prod(shape), torch.roll(x.reshape(-1), 1)
    return flat.repeat(-(-count // flat.numel()))[:count].view(shape)


_LAYOUTS: dict[str, Callable[[Tensor], Laid]] = {
    GIVEN: _given,
    CONTIGUOUS: _contiguous,
    PERMUTED: _permuted,
    SWAPPED: _swapped,
    GAPS: _gaps,
    ROWS_APART: _rows_apart,
    OFFSET: _offset,
    CHANNELS_LAST: _channels_last,
    EXPANDED: _expanded,
}
