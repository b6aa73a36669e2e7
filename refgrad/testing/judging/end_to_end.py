"""End-to-end judgement: the reference's forward and reverse mode over Balls, from the inputs to the gradients.

It judges code whose intermediate values are hidden. It also tests the differentiation engines, where node-by-node judgement tests rules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.formula import by_each
from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.alternative_formulas import Reach, apart
from refgrad.testing.judging.judge import Judge
from refgrad.testing.judging.observation import Observation, Place
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import Verdict
from refgrad.tracing.ball import Ball, exact, remembering
from refgrad.transforms import jvp, vjp


class EndToEnd(Judge):
    """Judges the gradients of the inputs and the tangent of the output. ``reverse()`` and ``forward()`` return a verdict each."""

    def __init__(self, case: Case, seen: Observation) -> None:
        super().__init__(case, seen)
        self._others: dict[
            str, list[tuple[dict[str, Any], bool]]
        ] = {}  # derivatives by other formulas, and whether each is blind
        self.inputs = tuple([remembering(x) for x in self._exact(case.inputs)])

    def _exact(self, arrays: dict[str, Any]) -> tuple[Any, ...]:
        return tuple([exact(arrays[name], self.fmt) for name in self.graph.inputs])

    def reverse(self) -> Verdict:
        """The verdict on the gradient of every input. A missing gradient is right where the reference has zeros."""
        tally = self.tally(REVERSE_END_TO_END)
        if REVERSE in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[REVERSE])
        _, pullback = vjp(self.graph, *self.inputs)
        for (name, k), x_bar in zip(
            self.graph.inputs.items(), pullback(exact(self.case.cotangent, self.fmt)), strict=True
        ):
            if self.seen.cotangents[k] is not None or _some(x_bar):
                what = f"gradient of input {name!r}"
                alternatives = functools.partial(self._bounds, self._gradient, name, x_bar)
                self.expect(
                    tally, Place("cotangents", k), k, self._name, x_bar, what, alternatives=alternatives
                )
        return self.verdict(tally)

    def forward(self) -> Verdict:
        """The verdict on the tangent of the output. A missing tangent is right where the reference has zeros."""
        tally = self.tally(FORWARD_END_TO_END)
        if FORWARD in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[FORWARD])
        k = self.graph.outputs[0]
        _, y_dot = jvp(self.graph, self.inputs, self._exact(self.case.tangents))
        if self.seen.tangents[k] is not None or _some(y_dot):
            alternatives = functools.partial(self._bounds, self._tangent, "", y_dot)
            self.expect(
                tally,
                Place("tangents", k),
                k,
                self._name,
                y_dot,
                "tangent of the output",
                alternatives=alternatives,
            )
        return self.verdict(tally)

    def _bounds(
        self, derivative: Callable[[], dict[str, Any]], name: str, expected: Ball | PlainArray
    ) -> list[Reach]:
        """The error bounds of a derivative by other formulas: by the first formula of every record, by the second, and so on."""
        key = derivative.__name__
        if key not in self._others:
            self._others[key] = by_each(derivative)
        return [Reach(apart(found[name], expected), blind) for found, blind in self._others[key]]

    def _gradient(self) -> dict[str, Any]:
        _, pullback = vjp(self.graph, *self._exact(self.case.inputs))
        return dict(zip(self.graph.inputs, pullback(exact(self.case.cotangent, self.fmt)), strict=True))

    def _tangent(self) -> dict[str, Any]:
        return {"": jvp(self.graph, self._exact(self.case.inputs), self._exact(self.case.tangents))[1]}

    @property
    def _name(self) -> str:
        """The op of the output, which an end-to-end disagreement names at first."""
        return str(self.graph.nodes[self.graph.outputs[0]])


def _some(derivative: Any) -> bool:
    """Whether a derivative has an element that is not zero."""
    return bool(np.any(np.asarray(getattr(derivative, "value", derivative)) != 0))


def judge_end_to_end(case: Case, seen: Observation) -> list[Verdict]:
    """The end-to-end verdicts on reverse and forward mode."""
    judge = EndToEnd(case, seen)
    return [judge.reverse(), judge.forward()]


__all__ = ["EndToEnd", "judge_end_to_end"]
