"""Verdicts on the further modes of a framework: first derivatives computed in other ways, and second derivatives.

Each mode is compared with the reference. Where mathematics leaves a choice (a kink, a tie) the modes are also compared with each other: a
framework has to choose the same derivative in all of them. Two runs of one mode that differ in any bit are a disagreement, however small
the difference.

These modes are judged on graphs of one op, where a first derivative needs no intermediate values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.graph import Node
from refgrad.modes import (
    AGREEMENT,
    MODES,
    PLAIN_REVERSE,
    REPEATED_REVERSE,
    REVERSE_OVER_REVERSE,
    SECOND,
    TANGENT,
    TRANSPOSED_REVERSE,
    giving,
)
from refgrad.testing.cases.case import Case
from refgrad.testing.judging import alternative_formulas
from refgrad.testing.judging.alternative_formulas import largest, widened
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.mode_agreement import judge_agreement
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import ModeAnswers, Observation, or_zeros
from refgrad.testing.judging.second_order import (
    OUT_OF_REACH,
    alternative_bounds,
    out_of_reach,
    second_derivatives,
    without_transposed,
)
from refgrad.testing.judging.sharing import share
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import UNDECIDED, Verdict
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import vjp


def judge_modes(
    case: Case, seen: Observation, answers: ModeAnswers, node_judge: NodeByNode | None = None
) -> list[Verdict]:
    """A verdict for each further mode, in the order of ``refgrad.modes.MODES``.

    ``node_judge`` is the judge of this observation, where there is one: what it has computed is used.
    """
    node_judge = NodeByNode(case, seen) if node_judge is None else node_judge
    second = _second(node_judge, answers)
    verdicts = []
    for mode in MODES:
        if not mode.further:
            continue
        if mode.name in _COMPARISONS:
            verdicts.append(_COMPARISONS[mode.name](node_judge, answers))
        else:
            verdicts.append(
                second[mode.name] if mode.name in second else _first(node_judge, answers, mode.name)
            )
    return verdicts


def further_judge(mode: str) -> type[NodeByNode]:
    """The class of the judge of first derivatives in a further mode."""
    return TransposedReverse if mode == TRANSPOSED_REVERSE else NodeByNode


def _tally(node_judge: NodeByNode, mode: str) -> Tally:
    return Tally(mode, node_judge.case.dtype, node_judge.case.device)


def _first(node_judge: NodeByNode, answers: ModeAnswers, mode: str) -> Verdict:
    """The verdict on a first derivative in this mode: that on reverse or forward mode with the answer of this mode in place of theirs."""
    if mode not in answers.answers:
        tried = (mode, REVERSE_OVER_REVERSE) if mode == TRANSPOSED_REVERSE else (mode,)
        return unanswered(_tally(node_judge, mode), node_judge.graph, answers.why(*tried))
    judge = further_judge(mode)(node_judge.case, answered(node_judge, answers, mode))
    share(judge, node_judge)
    if mode not in giving(TANGENT):
        return _renamed(judge.reverse(), mode)
    verdict = _renamed(judge.forward(), mode)
    return _name_reason(verdict, node_judge) if mode == TRANSPOSED_REVERSE else verdict


def answered(node_judge: NodeByNode, answers: ModeAnswers, mode: str) -> Observation:
    """The observation with the answer of this mode in place of the tangent or gradients of forward or reverse mode.

    No tangent is a tangent of zeros. Those of the inputs are the case's: forward mode itself may have no answer.
    """
    seen, case, answer = node_judge.seen, node_judge.case, answers.answers[mode]
    output = case.graph.outputs[0]
    if mode in giving(TANGENT):
        tangents = [*seen.tangents]
        for name in answers.names:
            tangents[case.graph.inputs[name]] = np.asarray(case.tangents[name], float)
        tangents[output] = or_zeros(answer[0], case.cotangent)
        return replace(seen, tangents=tangents, unavailable={})
    cotangents = [*seen.cotangents]
    cotangents[output] = np.asarray(case.cotangent, float)
    for name, x_bar in zip(answers.names, answer, strict=True):
        k = case.graph.inputs[name]
        cotangents[k] = (
            seen.cotangents[k]
            if x_bar is None and seen.cotangents[k] is None
            else or_zeros(x_bar, case.inputs[name])
        )
    return replace(seen, cotangents=cotangents, parts={}, unavailable={})


class TransposedReverse(NodeByNode):
    """Judges a tangent that was computed as the gradient of the gradient with respect to the cotangent.

    This is the transpose of a transpose: its sums and products are those of forward mode in another order (a mean divides before it adds).
    So the wider bound of the two orders applies.
    """

    def _tangent(self, k: int, node: Node, tangents: list[Any] | None = None) -> Any:
        expected = super()._tangent(k, node, tangents)
        if expected is None:
            return None
        tangents = self.tangents if tangents is None else tangents
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
        names = [name for i, name in enumerate(inputs) if i in wanted]
        value = np.where(without_transposed(self, names), np.nan, value)
        return Ball(value, np.fmax(radius, parts(again)[1]), self.fmt)

    def _tangent_bounds(self, *, k: int) -> list[alternative_formulas.Reach]:
        node, tangents = self.graph.nodes[k], self.tangents
        moving, y_bar = [tangents[j] for j in node.of], exact(self.case.cotangent, self.fmt)
        return alternative_formulas.of_transposed(node, self._operands(node), moving, y_bar)


def _renamed(verdict: Verdict, mode: str) -> Verdict:
    verdict.message = verdict.message.replace(verdict.mode, mode, 1)
    verdict.mode = mode
    return verdict


# --- second derivatives -------------------------------------------------------------------------------------------------


def _second(node_judge: NodeByNode, answers: ModeAnswers) -> dict[str, Verdict]:
    """The verdicts on second derivatives, by mode."""
    case, graph = node_judge.case, node_judge.graph
    expected = (
        second_derivatives(node_judge, answers.names)
        if any(mode in answers.answers for mode in SECOND)
        else None
    )
    op, verdicts = str(graph.nodes[graph.outputs[0]]), {}
    for mode in SECOND:
        tally = _tally(node_judge, mode)
        if mode not in answers.answers or expected is None:
            verdicts[mode] = unanswered(tally, graph, answers.why(mode))
            continue
        for position, (name, got, ball) in enumerate(
            zip(answers.names, answers.answers[mode], expected, strict=True)
        ):
            what, observed = f"second derivative in {name!r}", or_zeros(got, case.inputs[name])
            found = compare(observed, ball, node_judge.fmt, what)
            if found.wrong:
                reaches = alternative_bounds(node_judge, answers.names, position)
                reach = largest([r.bound for r in reaches])
                wider = widened(ball, observed, reaches)
                hidden = node_judge.hidden(op, second_order=True)
                found = compare(observed, wider, node_judge.fmt, what, reach=reach, hidden=hidden)
            tally.add(graph.inputs[name], op, found)
        verdicts[mode] = _name_reason(tally.verdict(), node_judge)
    return verdicts


def _name_reason(verdict: Verdict, node_judge: NodeByNode) -> Verdict:
    """The verdict, which says so where nothing was compared because of the size of operands."""
    if verdict.status == UNDECIDED and verdict.elements == 0 and out_of_reach(node_judge).any():
        verdict.reason = OUT_OF_REACH
    return verdict


# --- two runs -----------------------------------------------------------------------------------------------------------


def _repeat(node_judge: NodeByNode, answers: ModeAnswers) -> Verdict:
    """The verdict on two runs of reverse mode, compared bit by bit."""
    tally, op = _tally(node_judge, REPEATED_REVERSE), str(node_judge.graph.nodes[node_judge.graph.outputs[0]])
    if answers.again is None:
        return unanswered(tally, node_judge.graph, answers.why(PLAIN_REVERSE, REPEATED_REVERSE))
    for name, first, second in zip(answers.names, answers.answers[PLAIN_REVERSE], answers.again, strict=True):
        if first is None or second is None:
            continue
        c = compare(second, exact(first, node_judge.fmt), node_judge.fmt, f"second run, gradient of {name!r}")
        differ = np.isnan(first) != np.isnan(second)
        if np.any(differ):
            c.note = f"second run, gradient of {name!r}: NaN in one of two runs, at {np.argwhere(differ)[0].tolist()}"
        tally.add(node_judge.case.graph.inputs[name], op, c)
    return tally.verdict()


_COMPARISONS: dict[str, Callable[[NodeByNode, ModeAnswers], Verdict]] = {
    AGREEMENT: judge_agreement,
    REPEATED_REVERSE: _repeat,
}
