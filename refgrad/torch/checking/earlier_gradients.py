"""Inputs that have a ``.grad`` already, as weights have from the second of several backwards on. In every other question they have none.

A backward that adds to a ``.grad`` where there is one, and returns the gradient as well, is right once.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from refgrad.testing.judging.verdict import Comparison
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.memory import GRADIENT, same_bits, wrote_into

_WHEN = "with inputs that have a .grad already"


def judge(answered: Answered) -> str:
    """Add disagreements of values and gradients, and of what has become of each ``.grad``. Returns why nothing was judged, or ""."""
    point = answered.point
    if point.evaluator.by_backward:  # which needs each .grad for its own answers
        return ""
    leaves: dict[int, Tensor] = {}

    def func(*xs: Any) -> Any:
        for k in point.active:
            leaves[k] = xs[k]
            xs[k].grad = xs[k].detach().clone()
        return point.func(*xs)

    why = answered.again(func, _WHEN)
    if why:
        return why
    for k, x in leaves.items():
        if x.grad is None or not same_bits(x.grad, x):
            note = f"{_WHEN}: {wrote_into(GRADIENT.format(k))}"
            answered.aggregation.add(
                f"gradient of input {k}", Comparison(note=note), answered.request.question
            )
    return ""
