"""Inputs and outputs that the caller overwrites between forward and backward: torch raises where ``save_for_backward`` has kept them.

Kept as ``ctx.x`` they change the gradient without a word. That is noted, and no disagreement: the numbers of the forward are gone. An
output is overwritten by every activation that works in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.further_calls import FACTORS
from refgrad.torch.checking.layouts import CONTIGUOUS
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.reference import Expected

_MOST = 4  # inputs, and outputs, at most


def judge(
    point: Point,
    request: Request,
    seeds: Sequence[PlainArray | None],
    expected: Sequence[Expected | None],
    aggregation: Aggregation,
) -> str:
    """The note on the inputs and outputs whose new numbers come into a gradient; "" where there are none.

    request, seeds, expected   a question that was answered correctly without new numbers
    aggregation                where it has a disagreement, a wrong gradient has another cause, and nothing is noted
    """
    if aggregation.disagrees():
        return ""
    layouts = tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in point.arguments)
    request = replace(request, layouts=layouts)

    def changed(k: int, *, output: bool) -> bool:
        try:
            found = point.evaluator.after_writing(request, seeds, k, FACTORS[0], output=output)
        except Raised:
            return False
        for j, got, due in zip(point.active, found, expected, strict=True):
            assert due is not None, "every active input has an expected gradient"
            judged = point.compared(REVERSE, got, due, f"gradient of input {j}", j, request, seeds)
            if judged.wrong or judged.note:
                return True
        return False

    kept = [f"input {k}" for k in point.active[:_MOST] if changed(k, output=False)]
    kept += [f"output {k}" for k in request.seeded[:_MOST] if changed(k, output=True)]
    if not kept:
        return ""
    return (
        f"what is written into {' or '.join(kept)} between forward and backward changes the gradient without an error; "
        "torch raises one where ctx.save_for_backward keeps the tensor"
    )
