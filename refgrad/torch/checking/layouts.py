"""Copies of a tensor in different memory layouts.

Memory between the elements holds NaN, or other elements for integers and booleans. A kernel that ignores strides reads these values, and
a kernel that writes between the elements is detected.
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
MATRICES = "with transposed matrices"
HEADS = "with axes 1 and 2 exchanged"
ALONG_FIRST, ALONG_SECOND, ALONG_LAST = (
    "expanded along the first axis",
    "expanded along axis 1",
    "expanded along the last axis",
)
# The axis whose stride is 0, as that of the gradient of a sum along it.
ALONG = {ALONG_FIRST: 0, ALONG_SECOND: 1, ALONG_LAST: -1}
ORDERS = (PERMUTED, SWAPPED, MATRICES, HEADS)  # those without gaps, in which the axes have another order


@dataclass(frozen=True)
class Arranged:
    """A tensor, and its memory as a tensor of one dimension, gaps included."""

    tensor: Tensor
    memory: Tensor


def arranged(x: Tensor, layout: str) -> Arranged:
    """A copy of ``x`` in new memory with the given layout; contiguous where x has too few dimensions for it.

    x   any strided tensor; for ``expanded``, a tensor with equal elements, or with elements that are equal along the axis
    """
    return _LAYOUTS[layout](x.detach())


def distinct_layouts(x: Tensor) -> tuple[str, ...]:
    """The layouts, other than the contiguous one, that are distinct for a tensor of this shape."""
    found = [PERMUTED] if sum(n > 1 for n in x.shape) > 1 else []
    if sum(n > 1 for n in x.shape[:-1]) > 1:
        found.append(SWAPPED)
    if x.ndim in (4, 5):
        found.append(CHANNELS_LAST)
    if x.ndim > 1 and x.numel() > x.shape[-1] > 0:
        found.append(ROWS_APART)
    if x.numel() > 1:
        found += [GAPS, OFFSET]
    if x.ndim > 2 and min(x.shape[-2:]) > 1 and math.prod(x.shape[:-2]) > 1:
        found.append(MATRICES)
    if x.ndim > 3 and min(x.shape[:3]) > 1:
        found.append(HEADS)
    return tuple(found)


def expanded_axes(x: Tensor) -> tuple[str, ...]:
    """The layouts of ALONG that are distinct from the contiguous and the expanded one for a tensor of this shape."""
    return tuple(
        layout
        for layout, axis in ALONG.items()
        if x.ndim > (2 if layout == ALONG_SECOND else 1) and 1 < x.shape[axis] < x.numel()
    )


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in another dtype with its strides and offset; the tensor itself where it has the dtype."""
    if x.dtype == dtype:
        return x.detach()
    if x.layout != torch.strided or x.numel() == 0:
        return x.detach().to(dtype)
    place = _given(x.detach())
    memory = place.memory.to(dtype)
    return memory.as_strided(x.shape, x.stride(), place.tensor.storage_offset())


def _contiguous(x: Tensor) -> Arranged:
    y = x.clone(memory_format=torch.contiguous_format)
    return Arranged(y, y.view(-1))


def _in_order(x: Tensor, order: tuple[int, ...]) -> Arranged:
    """The axes in this order in memory; an exchange of axes, which is its own inverse."""
    y = x.permute(order).clone(memory_format=torch.contiguous_format)
    return Arranged(y.permute(order), y.view(-1))


def _permuted(x: Tensor) -> Arranged:
    return _in_order(x, tuple(reversed(range(x.ndim))))


def _swapped(x: Tensor) -> Arranged:
    """All axes but the last in reverse order; rows stay contiguous."""
    return _contiguous(x) if x.ndim < 3 else _in_order(x, (*reversed(range(x.ndim - 1)), x.ndim - 1))


def _matrices(x: Tensor) -> Arranged:
    """The last two axes exchanged: the matrices of a batch by columns, as x.mT has them."""
    if x.ndim < 3:
        return _contiguous(x)
    return _in_order(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _heads(x: Tensor) -> Arranged:
    """Axes 1 and 2 exchanged, as x.transpose(1, 2) has them: sequence and heads of attention."""
    return _contiguous(x) if x.ndim < 4 else _in_order(x, (0, 2, 1, *range(3, x.ndim)))


def _along(axis: int) -> Callable[[Tensor], Arranged]:
    """One element for each line along an axis, with a stride of 0 along it."""

    def place(x: Tensor) -> Arranged:
        if x.numel() == 0 or x.ndim <= max(axis, 0):
            return _contiguous(x)
        y = x.narrow(axis, 0, 1).clone(memory_format=torch.contiguous_format)
        return Arranged(y.expand(x.shape), y.view(-1))

    return place


def _rows_apart(x: Tensor) -> Arranged:
    """Contiguous rows, each followed by a gap."""
    if x.ndim < 2 or x.numel() == 0:
        return _contiguous(x)
    filler = _filler(x, (*x.shape[:-1], x.shape[-1] + 1))
    view = filler[..., :-1]
    view.copy_(x)
    return Arranged(view, filler.view(-1))


def _channels_last(x: Tensor) -> Arranged:
    if x.ndim not in (4, 5):
        return _contiguous(x)
    y = x.movedim(1, -1).clone(memory_format=torch.contiguous_format)
    return Arranged(y.movedim(-1, 1), y.view(-1))


def _gaps(x: Tensor) -> Arranged:
    if x.ndim == 0 or x.numel() == 0:
        return _contiguous(x)
    filler = _filler(x, (*x.shape[:-1], 2 * x.shape[-1]))
    view = filler[..., ::2]
    view.copy_(x)
    return Arranged(view, filler.view(-1))


def _offset(x: Tensor) -> Arranged:
    """Behind two other elements: of an odd number, no kernel could take pairs for complex numbers (torch.view_as_complex)."""
    if x.numel() == 0:
        return _contiguous(x)
    memory = _filler(x, (x.numel() + 2,))
    view = memory[2:].view(x.shape)
    view.copy_(x)
    return Arranged(view, memory)


def _expanded(x: Tensor) -> Arranged:
    if x.numel() == 0:
        return _contiguous(x)
    memory = x.reshape(-1)[:1].clone()
    return Arranged(
        memory.expand(x.numel() if x.ndim == 0 else 1).view((1,) * x.ndim).expand(x.shape), memory
    )


def _given(x: Tensor) -> Arranged:
    """The strides and offset of x. The memory that the elements span is copied, and as much before it as the offset."""
    if x.numel() == 0 or x.layout != torch.strided:
        return _contiguous(x)
    span = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
    offset = min(x.storage_offset(), span)
    memory = x.as_strided((offset + span,), (1,), x.storage_offset() - offset).clone()
    return Arranged(memory.as_strided(x.shape, x.stride(), offset), memory)


def _filler(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """New memory filled with values that differ from the correct elements."""
    if x.is_floating_point():
        return torch.full(shape, float("nan"), dtype=x.dtype, device=x.device)
    count, flat = math.prod(shape), torch.roll(x.reshape(-1), 1)
    return flat.repeat(-(-count // flat.numel()))[:count].view(shape)


_LAYOUTS: dict[str, Callable[[Tensor], Arranged]] = {
    GIVEN: _given,
    CONTIGUOUS: _contiguous,
    PERMUTED: _permuted,
    SWAPPED: _swapped,
    GAPS: _gaps,
    ROWS_APART: _rows_apart,
    OFFSET: _offset,
    CHANNELS_LAST: _channels_last,
    EXPANDED: _expanded,
    MATRICES: _matrices,
    HEADS: _heads,
    **{layout: _along(axis) for layout, axis in ALONG.items()},
}
