"""Inputs that other ops have computed, as the activations of a network are. Every other question is about leaves, as its weights are.

A func may ask for ``x.is_leaf`` or for the type of a parameter, and has no ``.grad`` to add to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.judging.verdict import ERROR
from refgrad.torch.checking.evaluation import Evaluator, Raised
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.reference import Expected
from refgrad.torch.checking.remarks import said
from refgrad.torch.refusal import described, refuses

_WHEN = "with inputs that are no leaves"


def judge(
    point: Point,
    request: Request,
    seeds: Sequence[PlainArray | None],
    expected: Sequence[Expected | None],
    aggregation: Aggregation,
) -> str:
    """Add disagreements of values and gradients. Returns why nothing was judged, "" where it was.

    request, seeds, expected   a question that was answered correctly at leaves
    """
    try:
        answer = Evaluator(_of_computed(point.func), point.arguments).reverse(request, seeds)
    except Raised as raised:
        words = f"{raised.where} raised {described(raised.error)}"
        if raised.where == "call" or refuses(raised.error):
            return f"not judged {_WHEN}: {words}"
        aggregation.failed(ERROR, f"{words} {_WHEN}")
        return ""
    first = f"gradient of input {point.active[0]}"
    for k, y in enumerate(answer.outputs):
        judged = point.compared_value(y, k)
        aggregation.add(first, said(judged, f"output {k}", _WHEN), request.question)
    for k, got, due in zip(point.active, answer.found, expected, strict=True):
        assert due is not None, "every active input has an expected gradient"
        what = f"gradient of input {k}"
        judged = point.compared(REVERSE, got, due, what, k, request, seeds)
        aggregation.add(what, said(judged, what, _WHEN), request.question)
    return ""


def _of_computed(func: Any) -> Any:
    """func with copies of the differentiated inputs, which torch records."""
    return lambda *xs: func(*[x.clone() if isinstance(x, Tensor) and x.requires_grad else x for x in xs])
