"""Further calls of func before the backward of the first: what a call keeps, or has returned, must not be overwritten by later ones.

A kernel that keeps its intermediate results, its output or its gradient in a static workspace, or in a ring of them, answers every
question of a single call correctly, and is wrong in sin(a) * sin(b).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from refgrad.testing.judging.verdict import ERROR, Comparison
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.point import Point
from refgrad.torch.refusal import described, refuses

# Of the inputs of the further calls: positive, so that most domains hold them, too. The second leaves them nearly as they are.
FACTORS = (0.625, 1 - 2**-5)
_WHEN = "with further calls of func between forward and backward"
_ADVICE = "what a call keeps for its backward has to be in memory of its own (ctx.save_for_backward)"


def judge(answered: Answered) -> str:
    """Add disagreements of the first call. Returns why it was not judged, "" where it was."""
    point, request, aggregation = answered.point, answered.request, answered.aggregation
    why = ""
    for factor in FACTORS:
        try:
            answer = point.evaluator.between_calls(request, answered.seeds, scaled(point, factor))
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
            aggregation.add(first, Comparison(note=note), request.question)
        answered.add_gradients(answer.found, _WHEN, _ADVICE)
        return ""
    return why


def scaled(point: Point, factor: float) -> tuple[Any, ...]:
    """The inputs, the differentiated ones times a factor."""
    return tuple(
        x * factor if k in point.active and isinstance(x, Tensor) else x
        for k, x in enumerate(point.arguments)
    )
