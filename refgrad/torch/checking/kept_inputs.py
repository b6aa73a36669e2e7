"""An input that the caller overwrites between forward and backward: torch raises where func has kept it by ``save_for_backward``.

Kept as ``ctx.x`` it changes the gradient without a word. That is noted, and no disagreement: the numbers of the forward are gone.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.further_calls import FACTORS, scaled
from refgrad.torch.checking.layouts import CONTIGUOUS

_MOST = 4  # inputs, at most


def judge(answered: Answered) -> str:
    """The note on the inputs whose new numbers come into a gradient; "" where there are none.

    Where there is a disagreement already, a wrong gradient has another cause, and nothing is noted.
    """
    if answered.aggregation.disagrees():
        return ""
    point = answered.point
    layouts = tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in point.arguments)
    request, others = replace(answered.request, layouts=layouts), scaled(point, FACTORS[0])
    kept = []
    for k in point.active[:_MOST]:
        try:
            found = point.evaluator.after_writing(request, answered.seeds, k, others[k])
        except Raised:
            continue
        if any(judged.wrong or judged.note for _, judged in answered.judged(found)):
            kept.append(k)
    if not kept:
        return ""
    return (
        f"what is written into input {' or '.join(map(str, kept))} between forward and backward changes the gradient without an error; "
        "torch raises one where ctx.save_for_backward keeps the input"
    )
