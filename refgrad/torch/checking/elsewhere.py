"""Answers at inputs that the check constructs, compared with the reference there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.torch.checking import kinks
from refgrad.torch.checking.evaluation import Answer
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.remarks import said


def compare(
    elsewhere: Callable[[], Point],
    request: Request,
    seeds: Sequence[PlainArray | None],
    answer: Answer,
    aggregation: Aggregation,
    when: str,
    advice: str = "",
) -> None:
    """Add disagreements of outputs and gradients. What the reference refuses, or has no finite value or bound for, is not judged.

    Nor is a gradient from side to side of a branch of the reference: the inputs may have come to lie there by chance.

    elsewhere   gives the point with the constructed inputs; its reference may raise
    """
    try:
        point = elsewhere()
        point.expected_arrays(REVERSE, request, list(seeds))
    except Exception:  # noqa: BLE001 - a reference may raise anything at inputs that the check constructs
        return
    point.restrict_to_finite(request, answer)
    expected = point.expected_arrays(REVERSE, request, list(seeds))
    point.choose_as(answer)
    first = f"gradient of input {point.active[0]}"
    for k, y in enumerate(answer.outputs):
        aggregation.add(
            first, said(point.compared_value(y, k), f"output {k}", when, advice), request.question
        )
    for k, got, due in zip(point.active, answer.found, expected, strict=True):
        assert due is not None, "every active input has an expected gradient"
        what = f"gradient of input {k}"
        judged = point.compared(REVERSE, got, due, what, k, request, seeds)
        if not kinks.note(point, seeds, k, judged):
            aggregation.add(what, said(judged, what, when, advice), request.question)
