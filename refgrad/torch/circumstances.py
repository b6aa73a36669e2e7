"""The memory layout of a question's arrays, its other expected arrays and their recomputation, for the evidence of a wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.torch.checking.layouts import CONTIGUOUS, arranged
from refgrad.torch.checking.mixed_dtypes import dtypes_of
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import FORWARD, Point
from refgrad.torch.checking.reference import Expected
from refgrad.tracing.ball import parts

Layout = tuple[tuple[int, ...] | None, int]  # strides and offset


def circumstances(
    point: Point,
    mode: str,
    request: Request,
    seeds: Sequence[PlainArray | None],
    expected: Sequence[Expected | None],
    place: int,
    dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """The fields of Evidence beside the numbers of the answer.

    mode               of the question: "value", "reverse" or "forward"
    request, seeds     the question, with its cotangents or tangents
    expected, place    all expected arrays, and the position of the one that the evidence is about; empty for a value
    dtype              that the array has to have; None: the judged one
    """
    inputs = [_memory_of(x, layout) for x, layout in zip(point.arguments, request.layouts, strict=True)]
    layout = CONTIGUOUS if request.lazily else request.question.seed_layout or CONTIGUOUS
    given = [
        _memory_of(None if s is None else torch.empty(np.shape(s), device="meta"), layout) for s in seeds
    ]
    found: dict[str, Any] = {
        "strides": tuple(strides for strides, _ in inputs),
        "offsets": tuple(offset for _, offset in inputs),
        "seed_strides": tuple(strides for strides, _ in given),
        "seed_offsets": tuple(offset for _, offset in given),
        **dtypes_of(point.arguments, point.dtype, dtype or point.dtype),
    }
    if not expected:
        return found
    tangents = mode == FORWARD
    names = (
        [f"tangent of output {k}" for k in range(len(expected))]
        if tangents
        else [f"gradient of input {k}" for k in point.active]
    )

    def recompute(other: tuple[PlainArray | None, ...]) -> tuple[PlainArray, PlainArray]:
        reference = point.reference
        answers = (
            reference.push_forward([other[k] for k in point.active])
            if tangents
            else reference.pull_back(list(other))
        )
        value, bound = parts(answers[place])
        return value, bound

    return {
        **found,
        "others": tuple(
            (name, parts(x)[0])
            for k, (name, x) in enumerate(zip(names, expected, strict=True))
            if k != place and x is not None
        ),
        "recompute": recompute,
    }


def _memory_of(x: object, layout: str) -> Layout:
    """The strides and the offset of a tensor in a layout; no strides for anything but a strided tensor."""
    if not isinstance(x, Tensor) or x.layout != torch.strided:
        return None, 0
    y = arranged(x, layout).tensor
    return tuple(y.stride()), int(y.storage_offset())
