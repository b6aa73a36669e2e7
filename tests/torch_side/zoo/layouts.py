"""Backward passes that are right for dense arrays alone: inputs and cotangents with gaps, permuted, expanded, with an offset."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .record import Array, Kind, Specimen, function, normal

Shape = tuple[int, ...]


def dense_strides(shape: Shape) -> Shape:
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def read(x: Tensor, strides: Shape, offset: int) -> Tensor:
    """What a kernel sees that reads the memory of x with these strides from this offset; beyond its end it finds zeros."""
    place = torch.full(x.shape, offset)
    for axis, (n, stride) in enumerate(zip(x.shape, strides, strict=True)):
        place += (stride * torch.arange(n)).reshape([n if k == axis else 1 for k in range(x.dim())])
    size = x.untyped_storage().nbytes() // x.element_size()
    memory = x.as_strided((size,), (1,), 0)
    return torch.where(place < size, memory[place.clamp(max=size - 1)], torch.zeros((), dtype=x.dtype))


def as_dense(x: Tensor) -> Tensor:
    return read(x, dense_strides(tuple(x.shape)), x.storage_offset())


def rows_as_dense(x: Tensor) -> Tensor:
    """The kernel is told the stride of the rows; elements of a row are taken to be neighbours."""
    return read(x, (*x.stride()[:-1], 1), x.storage_offset())


def without_offset(x: Tensor) -> Tensor:
    return read(x, x.stride(), 0)


def expanded_once(x: Tensor) -> Tensor:
    """An axis of stride 0 is taken for one of size 1: only its first element is there."""
    for axis, (n, stride) in enumerate(zip(x.shape, x.stride(), strict=True)):
        if stride == 0 and n > 1:
            first = (torch.arange(n) == 0).reshape([n if k == axis else 1 for k in range(x.dim())])
            x = torch.where(first, x, torch.zeros((), dtype=x.dtype))
    return x


def order_of_memory(x: Tensor) -> Tensor:
    """The elements of a channels-last array in the order in which they lie in memory, taken for the usual order."""
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return x.permute(0, 2, 3, 1).reshape(x.shape)
    return x


def dense_where_rows_are(x: Tensor) -> Tensor:
    """Where the elements of a row are neighbours, everything is taken to be dense; expanded arrays, and others, are copied before."""
    return as_dense(x if x.stride(-1) == 1 and 0 not in x.stride() else x.contiguous())


def dense_blocks(x: Tensor) -> Tensor:
    """Dense but for the first axis, whose stride the kernel is told: wrong where the axes behind it are swapped."""
    return read(x, (x.stride(0), *dense_strides(tuple(x.shape))[1:]), x.storage_offset())


def plain(x: Tensor) -> Tensor:
    return x


# --- y = tanh(a) b: how the saved a, the saved b, and the cotangent are read ---


def product(saved_a=plain, saved_b=plain, cotangent=plain):
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return torch.tanh(a) * b

    def backward(ctx, g):
        a, b = ctx.saved_tensors
        a, b, g = saved_a(a), saved_b(b), cotangent(g)
        t = torch.tanh(a)
        return g * b * (1 - t * t), g * t

    return function(forward, backward)


def product_reference(a: Array, b: Array) -> Array:
    return np.tanh(a) * b


def forward_as_dense(ctx, a, b):
    """Here the value is wrong, and the backward right."""
    ctx.save_for_backward(a, b)
    return torch.tanh(as_dense(a)) * b


def product_backward(ctx, g):
    a, b = ctx.saved_tensors
    t = torch.tanh(a)
    return g * b * (1 - t * t), g * t


def column_major(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first input lies column by column, with a gap after each: a layout that only its owner knows of."""
    a = torch.empty_strided((3, 4), (1, 5)).copy_(torch.randn(3, 4, generator=g)).requires_grad_()
    return a, torch.randn(3, 4, generator=g).requires_grad_()


def only_columns_with_gaps(x: Tensor) -> Tensor:
    return as_dense(x) if x.stride() == (1, 5) else x


def every_second(g: torch.Generator) -> tuple[Tensor, Tensor]:
    a = torch.randn(3, 8, generator=g)[:, ::2].requires_grad_()
    return a, torch.randn(3, 4, generator=g).requires_grad_()


def cut_rows(g: torch.Generator) -> tuple[Tensor, Tensor]:
    a = torch.randn(3, 7, generator=g)[:, 2:6].requires_grad_()
    return a, torch.randn(3, 4, generator=g).requires_grad_()


THREE_AXES = normal((2, 3, 4), (2, 3, 4))
TWO, FOUR_AXES = normal((3, 4), (3, 4)), normal((2, 3, 4, 2), (2, 3, 4, 2))


def _input(name, wrong, inputs=TWO):
    return Specimen(name, Kind.INPUT_LAYOUT, product(), wrong, product_reference, inputs)


def _cotangent(name, reading, inputs=TWO):
    return Specimen(
        name, Kind.COTANGENT_LAYOUT, product(), product(cotangent=reading), product_reference, inputs
    )


SPECIMENS = (
    _input("input read as if dense", product(saved_a=as_dense)),
    _input("input read as if its rows were dense", product(saved_a=rows_as_dense)),
    _input("second input read as if dense", product(saved_b=as_dense)),
    _input("input read without its offset", product(saved_a=without_offset)),
    _input("expanded input read once", product(saved_a=expanded_once)),
    _input("channels-last input in the order of memory", product(saved_a=order_of_memory), FOUR_AXES),
    _input("input with four axes read as if dense", product(saved_a=as_dense), FOUR_AXES),
    _input("vector read as if dense", product(saved_a=as_dense), normal((6,), (6,))),
    _input("forward reads as if dense", function(forward_as_dense, product_backward)),
    _input("the owner's columns read as if dense", product(saved_a=only_columns_with_gaps), column_major),
    _input("the owner's every second element", product(saved_a=as_dense), every_second),
    _input("the owner's slice of rows", product(saved_a=dense_where_rows_are), cut_rows),
    _input("slice of rows read as if dense", product(saved_a=dense_where_rows_are)),
    _input("swapped batch axes read as if dense", product(saved_a=dense_where_rows_are), THREE_AXES),
    _input("blocks read as if dense", product(saved_a=dense_blocks), THREE_AXES),
    _input("heads swapped with positions", product(saved_b=dense_where_rows_are), FOUR_AXES),
    _cotangent("cotangent read as if dense", as_dense),
    _cotangent("slice of a cotangent's rows read as if dense", dense_where_rows_are),
    _cotangent("cotangent with swapped batch axes", dense_where_rows_are, THREE_AXES),
    _cotangent("blocks of a cotangent read as if dense", dense_blocks, THREE_AXES),
    _cotangent("cotangent read as if its rows were dense", rows_as_dense),
    _cotangent("cotangent read without its offset", without_offset),
    _cotangent("expanded cotangent read once", expanded_once),
    _cotangent("channels-last cotangent in the order of memory", order_of_memory, FOUR_AXES),
    _cotangent("cotangent of a vector read as if dense", as_dense, normal((6,), (6,))),
)  # fmt: skip
