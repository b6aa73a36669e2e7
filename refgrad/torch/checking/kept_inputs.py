"""Inputs and outputs that the caller overwrites between forward and backward: torch raises where ``save_for_backward`` has kept them.

Kept as ``ctx.x`` they change the gradient without a word. That is noted, and no disagreement: the numbers of the forward are gone. An
output is overwritten by every activation that works in place.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.further_calls import FACTORS
from refgrad.torch.checking.layouts import CONTIGUOUS

_MOST = 4  # inputs, and outputs, at most


def judge(answered: Answered) -> str:
    """The note on the inputs and outputs whose new numbers come into a gradient; "" where there are none.

    Where there is a disagreement already, a wrong gradient has another cause, and nothing is noted.
    """
    if answered.aggregation.disagrees():
        return ""
    point = answered.point
    layouts = tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in point.arguments)
    request = replace(answered.request, layouts=layouts)

    def changed(k: int, *, output: bool) -> bool:
        try:
            found = point.evaluator.after_writing(request, answered.seeds, k, FACTORS[0], output=output)
        except Raised:
            return False
        return any(judged.wrong or judged.note for _, judged in answered.judged(found))

    kept = [f"input {k}" for k in point.active[:_MOST] if changed(k, output=False)]
    kept += [f"output {k}" for k in request.seeded[:_MOST] if changed(k, output=True)]
    if not kept:
        return ""
    return (
        f"what is written into {' or '.join(kept)} between forward and backward changes the gradient without an error; "
        "torch raises one where ctx.save_for_backward keeps the tensor"
    )
