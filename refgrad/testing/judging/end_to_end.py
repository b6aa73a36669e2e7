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
from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END, VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.alternative_formulas import Reach, apart
from refgrad.testing.judging.any_order import AnyOrder
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.infinite_derivatives import without
from refgrad.testing.judging.judge import Judge
from refgrad.testing.judging.observation import Observation, Place
from refgrad.testing.judging.sweep import Sweep
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import Comparison, Verdict
from refgrad.tracing.ball import Ball, exact, parts, remembering
from refgrad.transforms import jvp, vjp


class EndToEnd(Judge):
    """Judges the value of the output, the gradients of the inputs and the tangent of the output.

    ``value()``, ``reverse()`` and ``forward()`` return a verdict each.
    """

    def __init__(self, case: Case, seen: Observation) -> None:
        super().__init__(case, seen)
        # derivatives by other formulas, and whether each is blind
        self.others: dict[str, list[tuple[dict[str, Any], bool]]] = {}
        self.inputs = tuple([remembering(x) for x in self.exactly(case.inputs)])

    def exactly(self, arrays: dict[str, Any]) -> tuple[Any, ...]:
        """The arrays of the inputs as exact Balls, in the order of the inputs."""
        return tuple([exact(arrays[name], self.fmt) for name in self.graph.inputs])

    def value(self) -> Verdict:
        """The verdict on the value of the output."""
        tally, k = self.tally(VALUE), self.graph.outputs[0]
        y = self.graph(*self.inputs)
        alternatives = functools.partial(_bounds, _value, "", y)
        self.expect(
            tally, Place("values", k), k, self._name, y, "value of the output", alternatives=alternatives
        )
        return self.verdict(tally)

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
                alternatives = functools.partial(_bounds, _gradient, name, x_bar)
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
        _, y_dot = jvp(self.graph, self.inputs, self.exactly(self.case.tangents))
        if self.seen.tangents[k] is not None or _some(y_dot):
            alternatives = functools.partial(_bounds, _tangent, "", y_dot)
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

    def _reconsidered(self, seen: Observation, place: Place, found: Comparison) -> Comparison:
        """The finding without the elements that depend on a value without a derivative, as node by node.

        Of a value whose bound is infinite nothing is known: steps of a right kernel may overflow there, and leave NaN. So may steps of the
        derivative where the value itself overflows.
        """
        if found.wrong and place.part == "cotangents":
            expectation = self.expectations[place]
            x_bar = self._defined.cotangents[place.key]
            undefined = np.isnan(parts(x_bar)[0]) if x_bar is not None else np.zeros(0, bool)
            if undefined.any():
                expectation.expected = without(expectation.expected, undefined, self.fmt)
                found = compare(seen.at(place), expectation.expected, self.fmt, expectation.what)
        return super()._reconsidered(seen, place, found)

    def any_order(self, key: str, name: str) -> Any:
        """The value of the output, its tangent, or the gradient of an input, with nested sums in any order."""
        sweep, last = self._any_order, self.graph.outputs[0]
        if key == _gradient.__name__:
            return sweep.cotangents[self.graph.inputs[name]]
        return sweep.values[last] if key == _value.__name__ else sweep.tangents[last]

    @functools.cached_property
    def _any_order(self) -> AnyOrder:
        return AnyOrder(self.case, self.fmt)

    @functools.cached_property
    def _defined(self) -> _Defined:
        return _Defined(self.case, self.fmt)

    @property
    def _name(self) -> str:
        """The op of the output, which an end-to-end disagreement names at first."""
        return str(self.graph.nodes[self.graph.outputs[0]])


class _Defined(Sweep):
    """A sweep whose cotangents are NaN where a value is or may be, or overflows: it has no derivative. Of tangents the rules say so.

    To operands by which an op has no derivative, such as the sign of copysign, a framework may send zeros, and zero times NaN is NaN.
    """

    def arriving(self, k: int, y_bar: Any) -> Any:
        if self.graph.nodes[k].op is None:
            return y_bar
        value, radius = parts(self.values[k])
        overflowed = np.isfinite(value) & (np.abs(value) > self.fmt.max)
        return without(y_bar, np.isnan(value) | ~np.isfinite(radius) | overflowed, self.fmt)

    def others(self, _k: int, operands: list[int]) -> list[tuple[int, Any]]:
        values = [(j, self.values[j]) for j in operands if type(self.values[j]) is Ball]
        return [(j, exact(np.zeros(x.shape), self.fmt)) for j, x in values]


def _bounds(
    derivative: Callable[[EndToEnd], dict[str, Any]], name: str, expected: Ball | PlainArray, judge: Judge
) -> list[Reach]:
    """The error bounds of a derivative by other formulas: by the first formula of every record, by the second, and so on."""
    assert isinstance(judge, EndToEnd)
    key = derivative.__name__
    if key not in judge.others:
        judge.others[key] = by_each(functools.partial(derivative, judge))
    reaches = [Reach(apart(found[name], expected), blind) for found, blind in judge.others[key]]
    profile = judge.seen.profile
    if profile is not None and profile.reassociating:
        reaches.append(Reach(apart(judge.any_order(key, name), expected), blind=False))
    return reaches


def _value(judge: EndToEnd) -> dict[str, Any]:
    return {"": judge.graph(*judge.exactly(judge.case.inputs))}


def _gradient(judge: EndToEnd) -> dict[str, Any]:
    _, pullback = vjp(judge.graph, *judge.exactly(judge.case.inputs))
    return dict(zip(judge.graph.inputs, pullback(exact(judge.case.cotangent, judge.fmt)), strict=True))


def _tangent(judge: EndToEnd) -> dict[str, Any]:
    return {"": jvp(judge.graph, judge.exactly(judge.case.inputs), judge.exactly(judge.case.tangents))[1]}


def _some(derivative: Any) -> bool:
    """Whether a derivative has an element that is not zero."""
    return bool(np.any(np.asarray(getattr(derivative, "value", derivative)) != 0))


def judge_end_to_end(case: Case, seen: Observation) -> list[Verdict]:
    """The end-to-end verdicts on reverse and forward mode."""
    judge = EndToEnd(case, seen)
    return [judge.reverse(), judge.forward()]


def judge_fused(case: Case, seen: Observation) -> list[Verdict]:
    """The verdicts on a fused backend (Profile): the value of the output, reverse and forward mode, from end to end."""
    judge = EndToEnd(case, seen)
    return [judge.value(), judge.reverse(), judge.forward()]


__all__ = ["EndToEnd", "judge_end_to_end", "judge_fused"]
