"""Further calls of func before the backward of the first: what a call keeps, or has returned, must not be overwritten by later ones.

A kernel that keeps its intermediate results, its output or its gradient in a static workspace, or in a ring of them, answers every
question of a single call correctly, and is wrong in sin(a) * sin(b).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.judging.verdict import ERROR, Comparison
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.reference import Expected
from refgrad.torch.checking.remarks import said
from refgrad.torch.refusal import described, refuses

# Of the inputs of the further calls: positive, so that most domains hold them, too. The second leaves them nearly as they are.
FACTORS = (0.625, 1 - 2**-5)
_WHEN = "with further calls of func between forward and backward"
_ADVICE = "what a call keeps for its backward has to be in memory of its own (ctx.save_for_backward)"


def judge(
    point: Point,
    request: Request,
    seeds: Sequence[PlainArray | None],
    expected: Sequence[Expected | None],
    aggregation: Aggregation,
) -> str:
    """Add disagreements of the first call. Returns why it was not judged, "" where it was.

    request, seeds, expected   a question that was answered correctly without further calls
    """
    question = request.question
    why = ""
    for factor in FACTORS:
        try:
            answer = point.evaluator.between_calls(request, list(seeds), scaled(point, factor))
        except Raised as raised:
            why = f"not judged with further calls: {raised.where} raised {described(raised.error)}"
            if raised.where == "backward" and not refuses(raised.error):  # alone it did not raise
                reason = (
                    f"the backward of one call raised after further calls of func: {described(raised.error)}"
                )
                aggregation.failed(ERROR, reason)
                return ""
            continue
        first = f"gradient of input {point.active[0]}"
        for name in answer.written:
            note = f"{name} of one call is overwritten by a later call with other inputs; new memory is expected for each call"
            aggregation.add(first, Comparison(note=note), question)
        for k, got, due in zip(point.active, answer.found, expected, strict=True):
            assert due is not None, "every active input has an expected gradient"
            what = f"gradient of input {k}"
            judged = point.compared(REVERSE, got, due, what, k, request, seeds)
            aggregation.add(what, said(judged, what, _WHEN, _ADVICE), question)
        return ""
    return why


def scaled(point: Point, factor: float) -> tuple[Any, ...]:
    """The inputs, the differentiated ones times a factor."""
    return tuple(
        x * factor if k in point.active and isinstance(x, Tensor) else x
        for k, x in enumerate(point.arguments)
    )
