"""A backward without any cotangent: torch runs it where all later functions return None, and zero is due.

A Function with ``set_materialize_grads(False)`` gets None there, for each of its outputs.
"""

from __future__ import annotations

from dataclasses import replace
from traceback import walk_tb
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from refgrad.testing.checks.seeds import ZERO
from refgrad.testing.judging.verdict import ERROR
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.arguments import outputs_of
from refgrad.torch.checking.evaluation import Evaluator, Raised
from refgrad.torch.checking.point import REVERSE
from refgrad.torch.checking.remarks import said
from refgrad.torch.refusal import described, refuses

_WHEN = "without a cotangent for any output"
_ADVICE = "zero or None is due; check_undefined_grad=False leaves this out"


class _Unused(torch.autograd.Function):
    """Its argument, with None as the gradient."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_: Any, *__: Tensor) -> None:
        return None


def judge(answered: Answered) -> str:
    """Add disagreements of the gradients without a cotangent. Returns a note, always empty."""
    point, request, aggregation = answered.point, answered.request, answered.aggregation
    asked = replace(request, question=replace(request.question, draw=ZERO))
    try:
        found = Evaluator(_with_unused(point.func), point.arguments).reverse(asked, answered.seeds).found
    except Raised as raised:
        if _in_a_backward(raised.error) and not refuses(raised.error):
            aggregation.failed(ERROR, f"backward raised {described(raised.error)} {_WHEN}; {_ADVICE}")
        return ""
    zeros = [None if x is None else np.zeros(np.shape(x)) for x in answered.seeds]
    for k, got, due in zip(point.active, found, point.expected_arrays(REVERSE, asked, zeros), strict=False):
        if got is None:  # which is due as much as zero is, at a pole of the gradient too
            continue
        assert due is not None, "every active input has an expected gradient"
        what = f"gradient of input {k}"
        judged = point.compared(REVERSE, got, due, what, k, asked, zeros)
        aggregation.add(what, said(judged, what, _WHEN, _ADVICE), asked.question)
    return ""


def _in_a_backward(error: BaseException) -> bool:
    """Whether the backward of a Function raised the exception. A hook, which gets None as well, need not be prepared for it."""
    return any(frame.f_code is BackwardCFunction.apply.__code__ for frame, _ in walk_tb(error.__traceback__))


def _with_unused(func: Any) -> Any:
    """func, with outputs that send None to their backward."""

    def changed(*xs: Any) -> tuple[Any, ...]:
        return tuple(
            _Unused.apply(y) if isinstance(y, Tensor) and y.requires_grad else y
            for y in outputs_of(func(*xs), "func")
        )

    return changed
