"""Inputs that other ops have computed, as the activations of a network are. Every other question is about leaves, as its weights are.

A func may ask for ``x.is_leaf`` or for the type of a parameter, and has no ``.grad`` to add to.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from refgrad.testing.judging.verdict import ERROR
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.evaluation import Evaluator, Raised
from refgrad.torch.refusal import described, refuses

_WHEN = "with inputs that are no leaves"


def judge(answered: Answered) -> str:
    """Add disagreements of values and gradients. Returns why nothing was judged, "" where it was."""
    point = answered.point
    try:
        answer = Evaluator(_of_computed(point.func), point.arguments).reverse(
            answered.request, answered.seeds
        )
    except Raised as raised:
        words = f"{raised.where} raised {described(raised.error)}"
        if raised.where == "call" or refuses(raised.error):
            return f"not judged {_WHEN}: {words}"
        answered.aggregation.failed(ERROR, f"{words} {_WHEN}")
        return ""
    answered.add_values(answer.outputs, _WHEN)
    answered.add_gradients(answer.found, _WHEN)
    return ""


def _of_computed(func: Any) -> Any:
    """func with copies of the differentiated inputs, which torch records."""
    return lambda *xs: func(*[x.clone() if isinstance(x, Tensor) and x.requires_grad else x for x in xs])
