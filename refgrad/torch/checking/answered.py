"""A question that func answered correctly, which is asked again in other circumstances of use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.judging.verdict import ERROR, Comparison
from refgrad.torch.checking.evaluation import Evaluator, Raised
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import REVERSE, Point
from refgrad.torch.checking.reference import Expected
from refgrad.torch.checking.remarks import said
from refgrad.torch.refusal import described, refuses


@dataclass(frozen=True)
class Answered:
    """A question of reverse mode that func answered correctly.

    seeds         the cotangents of the outputs
    expected      the gradients of the active inputs
    aggregation   takes the judgements of further answers
    """

    point: Point
    request: Request
    seeds: Sequence[PlainArray | None]
    expected: Sequence[Expected | None]
    aggregation: Aggregation

    def judged(self, gradients: Sequence[Tensor | None]) -> Iterator[tuple[int, Comparison]]:
        """The judgements of further gradients, one for each active input, beside the positions of the inputs."""
        for k, got, due in zip(self.point.active, gradients, self.expected, strict=True):
            assert due is not None, "every active input has an expected gradient"
            what = f"gradient of input {k}"
            yield k, self.point.compared(REVERSE, got, due, what, k, self.request, self.seeds)

    def add_values(self, outputs: Sequence[Tensor], when: str, advice: str = "") -> None:
        """Add the judgements of further outputs, to those of the first gradient. ``when`` and ``advice`` are as in said."""
        first = f"gradient of input {self.point.active[0]}"
        for k, y in enumerate(outputs):
            found = said(self.point.compared_value(y, k), f"output {k}", when, advice)
            self.aggregation.add(first, found, self.request.question)

    def add_gradients(self, gradients: Sequence[Tensor | None], when: str, advice: str = "") -> None:
        """Add the judgements of further gradients. ``when`` and ``advice`` are as in said."""
        for k, found in self.judged(gradients):
            what = f"gradient of input {k}"
            self.aggregation.add(what, said(found, what, when, advice), self.request.question)

    def again(self, func: Callable[..., Any], when: str) -> str:
        """Ask this func the question, and add the judgements of its answer. Returns why nothing was judged, "" where it was.

        An exception of func itself, or torch's refusal of a derivative, says nothing about the gradient. Any other exception is a failure.
        """
        try:
            answer = Evaluator(func, self.point.arguments).reverse(self.request, self.seeds)
        except Raised as raised:
            words = f"{raised.where} raised {described(raised.error)}"
            if raised.where == "call" or refuses(raised.error):
                return f"not judged {when}: {words}"
            self.aggregation.failed(ERROR, f"{words} {when}")
            return ""
        self.add_values(answer.outputs, when)
        self.add_gradients(answer.found, when)
        return ""
