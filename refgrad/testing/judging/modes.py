"""A framework's further modes: one derivative asked in several ways, and second derivatives in every order of its modes.

Each way is judged against the reference like the plain one. Where mathematics leaves a choice (a kink, a tie) the ways are
compared with each other too: whatever the framework picks, it has to pick in all of them. Two runs of one way that differ in any
bit are a finding of their own, apart from accuracy.

The question is put for graphs of one op: there the framework's first derivative needs no intermediates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.graph import Node
from refgrad.testing.cases.case import Case
from refgrad.testing.judging import alternative_formulas
from refgrad.testing.judging.alternative_formulas import largest, widened
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.mode_agreement import judge_agreement
from refgrad.testing.judging.mode_names import (
    AGREEMENT,
    BASE,
    CREATE_GRAPH,
    FUNC_JVP,
    FUNC_VJP,
    FURTHER,
    JVP_OF_VJP,
    PLAIN,
    PUSHED,
    REPEAT,
    REVERSE_OF_REVERSE,
    SECOND,
    VJP_OF_JVP,
    Modes,
    or_zeros,
)
from refgrad.testing.judging.node_by_node import Anchored
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.second_order import second_derivatives, usual_bounds, without_second
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import Verdict
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import vjp

Array = Any


def judge_modes(case: Case, seen: Observation, modes: Modes) -> list[Verdict]:
    """A verdict for each further mode."""
    anchored = Anchored(case, seen)
    verdicts = [_first(anchored, modes, mode) for mode in (CREATE_GRAPH, FUNC_VJP, FUNC_JVP, PUSHED)]
    return [*verdicts, judge_agreement(anchored, modes), *_second(anchored, modes), _repeat(anchored, modes)]


def _tally(anchored: Anchored, mode: str) -> Tally:
    return Tally(mode, anchored.case.dtype, anchored.case.device)


def _first(anchored: Anchored, modes: Modes, mode: str) -> Verdict:
    """The verdict on reverse or forward mode with this mode's answer in the place of the first one."""
    if mode not in modes.answers:
        ways = (mode, REVERSE_OF_REVERSE) if mode == PUSHED else (mode,)
        return unanswered(_tally(anchored, mode), anchored.graph, modes.why(*ways))
    seen, case, answer = anchored.seen, anchored.case, modes.answers[mode]
    if mode in (FUNC_JVP, PUSHED):
        extreme = mode == PUSHED and any(
            without_second(anchored, name).any() for name in modes.names
        )  # by way of a second derivative
        if answer[0] is None or seen.tangents[case.graph.outputs[0]] is None or extreme:
            return _tally(anchored, mode).verdict()
        judge = Transposed if mode == PUSHED else Anchored
        verdict = judge(case, answered(anchored, modes, mode)).forward()
    else:
        verdict = Anchored(case, answered(anchored, modes, mode)).reverse()
    return _renamed(verdict, mode)


def answered(anchored: Anchored, modes: Modes, mode: str) -> Observation:
    """The observation with this mode's answer in the place of the first way's tangent or gradients."""
    seen, case, answer = anchored.seen, anchored.case, modes.answers[mode]
    output = case.graph.outputs[0]
    if mode in (FUNC_JVP, PUSHED):
        tangents = [*seen.tangents]
        tangents[output] = answer[0]
        return replace(seen, tangents=tangents, unavailable={})
    cotangents = [*seen.cotangents]
    cotangents[output] = np.asarray(case.cotangent, float)
    for name, x_bar in zip(modes.names, answer, strict=True):
        k = case.graph.inputs[name]
        cotangents[k] = (
            seen.cotangents[k]
            if x_bar is None and seen.cotangents[k] is None
            else or_zeros(x_bar, case.inputs[name])
        )
    return replace(seen, cotangents=cotangents, parts={}, unavailable={})


class Transposed(Anchored):
    """Judges a tangent that came as the gradient, in the cotangent, of the gradient.

    It is the transpose of a transpose: sums and products are those of forward mode in another order (a mean divides before it
    adds), so the wider bound of the two orders holds.
    """

    def _tangent(self, k: int, node: Node, tangents: list[Any]) -> Any:
        expected = super()._tangent(k, node, tangents)
        if expected is None:
            return None
        inputs = self.graph.inputs
        xs = [self.balls[j] for j in inputs.values()]
        wanted = [i for i, j in enumerate(inputs.values()) if tangents[j] is not None]

        def gradient(y_bar: Any) -> tuple[Any, ...]:
            x_bars = vjp(self.graph, *xs)[1](y_bar)
            return tuple(x_bars[i] for i in wanted)

        y_bar = exact(self.case.cotangent, self.fmt)
        x_dots = tuple(tangents[j] for i, j in enumerate(inputs.values()) if i in wanted)
        (again,) = vjp(gradient, y_bar)[1](x_dots)
        value, radius = parts(expected)
        return Ball(value, np.fmax(radius, parts(again)[1]), self.fmt)

    def _tangent_bounds(self, node: Node, tangents: list[Any]) -> list[alternative_formulas.Reach]:
        moving, y_bar = [tangents[j] for j in node.of], exact(self.case.cotangent, self.fmt)
        return alternative_formulas.of_transposed(node, self._operands(node), moving, y_bar)


def _renamed(verdict: Verdict, mode: str) -> Verdict:
    verdict.message = verdict.message.replace(verdict.mode, mode, 1)
    verdict.mode = mode
    return verdict


# --- second derivatives -------------------------------------------------------------------------------------------------


def _second(anchored: Anchored, modes: Modes) -> list[Verdict]:
    case, graph = anchored.case, anchored.graph
    expected = (
        second_derivatives(anchored, modes.names) if any(mode in modes.answers for mode in SECOND) else None
    )
    op, verdicts = str(graph.nodes[graph.outputs[0]]), []
    for mode in SECOND:
        tally = _tally(anchored, mode)
        if mode not in modes.answers or expected is None:
            verdicts.append(unanswered(tally, graph, modes.why(mode)))
            continue
        for position, (name, got, ball) in enumerate(
            zip(modes.names, modes.answers[mode], expected, strict=True)
        ):
            what, came = f"second derivative in {name!r}", or_zeros(got, case.inputs[name])
            found = compare(came, ball, anchored.fmt, what)
            if found.wrong:
                reaches = usual_bounds(anchored, modes.names, position)
                reach = largest([r.bound for r in reaches])
                found = compare(came, widened(ball, came, reaches), anchored.fmt, what, reach=reach)
            tally.add(graph.inputs[name], op, found)
        verdicts.append(tally.verdict())
    return verdicts


# --- two runs -----------------------------------------------------------------------------------------------------------


def _repeat(anchored: Anchored, modes: Modes) -> Verdict:
    """Two runs of plain backward, bit by bit."""
    tally, op = _tally(anchored, REPEAT), str(anchored.graph.nodes[anchored.graph.outputs[0]])
    if modes.again is None:
        return unanswered(tally, anchored.graph, modes.why(PLAIN, REPEAT))
    for name, first, second in zip(modes.names, modes.answers[PLAIN], modes.again, strict=True):
        if first is None or second is None:
            continue
        c = compare(second, exact(first, anchored.fmt), anchored.fmt, f"second run, gradient of {name!r}")
        differ = np.isnan(first) != np.isnan(second)
        if np.any(differ):
            c.note = f"second run, gradient of {name!r}: NaN in one of two runs, at {np.argwhere(differ)[0].tolist()}"
        tally.add(anchored.case.graph.inputs[name], op, c)
    return tally.verdict()


__all__ = [
    "AGREEMENT", "BASE", "CREATE_GRAPH", "FUNC_JVP", "FUNC_VJP", "FURTHER", "JVP_OF_VJP", "PLAIN", "PUSHED", "REPEAT",
    "REVERSE_OF_REVERSE", "SECOND", "VJP_OF_JVP", "Modes", "judge_modes",
]  # fmt: skip
