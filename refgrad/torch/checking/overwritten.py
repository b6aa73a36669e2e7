"""Two calls with the same tensors, whose numbers are overwritten in between, as an optimizer overwrites the weights.

A kernel that keeps a cast, packed or transposed copy of a weight, and finds it again by the tensor or by its address, answers every other
question correctly, and trains on the weights of the first step. An answer that the two calls share may be kept from a call long before: it
is judged for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.torch.checking.elsewhere import compare
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.further_calls import FACTORS, scaled
from refgrad.torch.checking.layouts import CONTIGUOUS
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.reference import Expected
from refgrad.torch.checking.remarks import said

_WHEN = "after the inputs were overwritten in place, as an optimizer does,"
_BEFORE = (
    "func is wrong there, or uses what it kept of a former call, such as a copy that it finds by an address"
)
_ADVICE = "what a call keeps for the next one must not outlive the numbers of its inputs"


def judge(
    point: Point,
    request: Request,
    seeds: Sequence[PlainArray | None],
    expected: Sequence[Expected | None],
    aggregation: Aggregation,
) -> str:
    """Add disagreements of the calls before and after. Returns a note, always empty: further_calls.py notes what func refuses.

    request, seeds, expected   a question that was answered correctly with new tensors
    """
    layouts = tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in point.arguments)
    question = request.question
    for factor in FACTORS:
        others = scaled(point, factor)
        try:
            first, answer = point.evaluator.overwriting(replace(request, layouts=layouts), seeds, others)
        except Raised:
            continue
        there = partial(point.another, point.func, point.reference.function, others)
        compare(there, request, seeds, first, aggregation, f"with the inputs times {factor}", _BEFORE, answer)
        for k, y in enumerate(answer.outputs):
            judged = point.compared_value(y, k)
            aggregation.add(
                f"gradient of input {point.active[0]}", said(judged, f"output {k}", _WHEN, _ADVICE), question
            )
        for k, got, due in zip(point.active, answer.found, expected, strict=True):
            assert due is not None, "every active input has an expected gradient"
            what = f"gradient of input {k}"
            judged = point.compared(REVERSE, got, due, what, k, request, seeds)
            aggregation.add(what, said(judged, what, _WHEN, _ADVICE), question)
        return ""
    return ""
