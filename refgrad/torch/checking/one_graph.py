"""Two cotangents, one after the other, asked of one graph with ``retain_graph=True``, as the rows of a Jacobian are.

A backward that keeps its answer for the next time, or spends what it needs, answers every question of a single backward correctly.
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.reference import Expected
from refgrad.torch.checking.remarks import said

_WHEN = "after the negative of the cotangent was asked of the same graph"
_ADVICE = "a backward has to answer each cotangent anew"


def judge(
    point: Point,
    request: Request,
    seeds: Sequence[PlainArray | None],
    expected: Sequence[Expected | None],
    aggregation: Aggregation,
) -> str:
    """Add disagreements of the second gradients. Returns a note, always empty.

    request, seeds, expected   a question that was answered correctly on a graph of its own
    """
    if point.evaluator.single_backward:  # one backward for each call
        return ""
    negated = [None if x is None else -x for x in seeds]
    try:
        found = point.evaluator.after_another(request, seeds, negated)
    except Raised:  # alone it does not: it was asked twice
        return ""
    for k, got, due in zip(point.active, found, expected, strict=True):
        assert due is not None, "every active input has an expected gradient"
        what = f"gradient of input {k}"
        judged = point.compared(REVERSE, got, due, what, k, request, seeds)
        aggregation.add(what, said(judged, what, _WHEN, _ADVICE), request.question)
    return ""
