"""Answers at inputs that the check constructs, compared with the reference there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from refgrad.torch.checking import kinks
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.evaluation import Answer
from refgrad.torch.checking.memory import same_bits
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.remarks import said

_KEPT = (
    "func is wrong there, or uses what it kept of a former call, such as a copy that it finds by an address"
)


def compare(
    answered: Answered,
    elsewhere: Callable[[], Point],
    answer: Answer,
    when: str,
    advice: str = "",
    former: Answer | None = None,
) -> None:
    """Add disagreements of outputs and gradients. What the reference refuses, or has no finite value or bound for, is not judged.

    Nor is a gradient from side to side of a branch of the reference: the inputs may have come to lie there by chance.

    elsewhere   gives the point with the constructed inputs; its reference may raise
    former      an answer at other inputs: only what has the same bits is compared, which may have been kept from there
    """
    request, seeds, aggregation = answered.request, answered.seeds, answered.aggregation
    if former is None:
        outputs, inputs = list(range(len(answer.outputs))), list(range(len(answer.found)))
    else:
        outputs, inputs = _equal(answer.outputs, former.outputs), _equal(answer.found, former.found)
        if not outputs and not inputs:
            return
    try:
        point = elsewhere()
        point.expected_arrays(REVERSE, request, list(seeds))
    except Exception:  # noqa: BLE001 - a reference may raise anything at inputs that the check constructs
        return
    point.restrict_to_finite(request, answer)
    expected = point.expected_arrays(REVERSE, request, list(seeds))
    point.choose_as(answer)
    first = f"gradient of input {point.active[0]}"
    for k in outputs:
        judged = point.compared_value(answer.outputs[k], k)
        aggregation.add(first, said(judged, f"output {k}", when, advice), request.question)
    for i in inputs:
        k, got, due = point.active[i], answer.found[i], expected[i]
        assert due is not None, "every active input has an expected gradient"
        what = f"gradient of input {k}"
        judged = point.compared(REVERSE, got, due, what, k, request, seeds)
        if not kinks.note(point, seeds, k, judged):
            aggregation.add(what, said(judged, what, when, advice), request.question)


def compare_two_calls(
    answered: Answered,
    others: tuple[Any, ...],
    factor: float,
    first: Answer,
    answer: Answer,
    when: str,
    advice: str,
) -> None:
    """Add disagreements of a call with ``others``, the inputs times ``factor``, and of the call with the inputs after it.

    An answer that the two calls share may be kept from a call long before: it is judged for both.
    """
    point = answered.point
    there = partial(point.another, point.func, point.reference.function, others)
    compare(answered, there, first, f"with the inputs times {factor}", _KEPT, answer)
    answered.add_values(answer.outputs, when, advice)
    answered.add_gradients(answer.found, when, advice)


def _equal(xs: Sequence[Tensor | None], ys: Sequence[Tensor | None]) -> list[int]:
    """Where two tensors of some elements have the same bits."""
    return [
        k
        for k, (x, y) in enumerate(zip(xs, ys, strict=False))
        if x is not None and y is not None and x.numel() and same_bits(x, y)
    ]
