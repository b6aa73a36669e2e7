"""How a question was put, for the evidence of a wrong answer: where everything lay in memory, what else was due, how to ask again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.torch.checking.layouts import CONTIGUOUS, arranged
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import FORWARD, Point
from refgrad.torch.checking.reference import Expected
from refgrad.tracing.ball import parts

Place = tuple[tuple[int, ...] | None, int]  # strides and offset


def circumstances(
    point: Point,
    mode: str,
    request: Request,
    seeds: Sequence[PlainArray | None],
    due: Sequence[Expected | None],
    place: int,
) -> dict[str, Any]:
    """Fields of Evidence beside the numbers of the answer.

    mode, ask, seeds   the question: "value", "reverse" or "forward"
    due, place         what is due of all arrays, and which of them the evidence is of; of a value nothing more
    """
    inputs = [_lies(x, layout) for x, layout in zip(point.arguments, request.layouts, strict=True)]
    layout = request.question.seed_layout or CONTIGUOUS
    given = [_lies(None if s is None else torch.empty(np.shape(s), device="meta"), layout) for s in seeds]
    found: dict[str, Any] = {
        "strides": tuple(strides for strides, _ in inputs),
        "offsets": tuple(offset for _, offset in inputs),
        "seed_strides": tuple(strides for strides, _ in given),
        "seed_offsets": tuple(offset for _, offset in given),
    }
    if not due:
        return found
    tangents = mode == FORWARD
    names = (
        [f"tangent of output {k}" for k in range(len(due))]
        if tangents
        else [f"gradient of input {k}" for k in point.active]
    )

    def again(other: tuple[PlainArray | None, ...]) -> tuple[PlainArray, PlainArray]:
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
            for k, (name, x) in enumerate(zip(names, due, strict=True))
            if k != place and x is not None
        ),
        "recompute": again,
    }


def _lies(x: Any, layout: str) -> Place:
    """Where a tensor lies when it is laid out so; no strides where it is none."""
    if not isinstance(x, Tensor) or x.layout != torch.strided:
        return None, 0
    y = arranged(x, layout).tensor
    return tuple(y.stride()), int(y.storage_offset())
