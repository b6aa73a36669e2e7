"""A call whose inputs lie where those of an earlier call lay, after that memory was given back, as an allocator hands it out again.

A kernel that keeps a packed copy of a weight, and finds it again by the address and the version of the tensor, follows an optimizer that
writes in place. It takes the copy of a tensor that is gone for that of a new one at its address.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.elsewhere import compare_two_calls
from refgrad.torch.checking.evaluation import Answer, Raised
from refgrad.torch.checking.further_calls import FACTORS, scaled
from refgrad.torch.checking.layouts import CONTIGUOUS
from refgrad.torch.refusal import described

_WHEN = "where the inputs lie in memory that inputs of a former call have given back,"
_ADVICE = "what a call keeps for the next one must not be found by an address"


def judge(answered: Answered) -> str:
    """Add disagreements of the second call. Returns a note where only that call raises; further_calls.py notes what func refuses.

    Where func holds the memory of the first call, nothing can come to lie there, and nothing is asked.
    """
    point = answered.point
    if point.device != "cpu":
        return ""
    evaluator, seeds = point.evaluator, answered.seeds
    layouts = tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in point.arguments)
    request = replace(answered.request, layouts=layouts)
    blocks = {k: _Block(point.arguments[k]) for k in point.active if point.arguments[k].numel()}
    for factor in FACTORS:
        others = scaled(point, factor)
        try:
            first = _copied(evaluator.differentiated(request, _placed(others, blocks), seeds))
        except Raised:
            continue
        if not all(block.unused() for block in blocks.values()):
            return ""
        try:
            answer = evaluator.differentiated(request, _placed(point.arguments, blocks), seeds)
        except Raised as raised:
            return f"not judged {_WHEN} {raised.where} raised {described(raised.error)}"
        compare_two_calls(answered, others, factor, first, answer, _WHEN, _ADVICE)
        return ""
    return ""


def _copied(answer: Answer) -> Answer:
    """The answer in memory of its own: an output may be a view of an input."""
    return Answer(
        tuple(y.detach().clone() for y in answer.outputs),
        tuple(None if g is None else g.clone() for g in answer.found),
    )


class _Block:
    """Memory for a tensor of the shape and dtype of another one. It is unused once no tensor lies in it any more."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.memory = np.empty(like.numel() * like.element_size(), np.uint8)
        self.own = self._references()

    def holding(self, x: Tensor) -> Tensor:
        """A new leaf in this memory, with the numbers of x."""
        self._tensor().copy_(x.detach())
        placed = self._tensor()  # which nothing was written into
        return Parameter(placed) if isinstance(self.like, Parameter) else placed.requires_grad_()

    def unused(self) -> bool:
        """Whether nothing refers to the memory."""
        return self._references() == self.own

    def _references(self) -> int:
        """How often the memory is referred to, here included: whether that is counted depends on the interpreter."""
        return sys.getrefcount(self.memory)

    def _tensor(self) -> Tensor:
        return torch.frombuffer(self.memory, dtype=self.like.dtype).view(self.like.shape).detach()


def _placed(arguments: Sequence[Any], blocks: dict[int, _Block]) -> list[Any]:
    """The arguments, those with a block in it, and copies of the other tensors."""
    return [
        blocks[k].holding(x) if k in blocks else x.clone() if isinstance(x, Tensor) else x
        for k, x in enumerate(arguments)
    ]
