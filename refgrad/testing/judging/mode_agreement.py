"""Compares the modes of a framework with each other, and the shares of tied elements with their sum.

At a kink or tie a framework has to choose the same derivative in all modes, and what it chooses has to be a subgradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.graph import Node
from refgrad.modes import AGREEMENT, FURTHER, GRADIENTS, PLAIN_REVERSE, giving
from refgrad.testing.judging import alternative_formulas, special_points
from refgrad.testing.judging.alternative_formulas import largest
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import ModeAnswers, or_zeros
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.tied_shares import shares
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import Comparison, Verdict
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.tracing.special_points import patches


def judge_agreement(node_judge: NodeByNode, answers: ModeAnswers) -> Verdict:
    """Compare reverse modes with plain reverse mode, element by element, and forward with reverse mode by <y_bar, y_dot> = <x_bar, x_dot>.

    Sums of gradients over tied elements are compared with the reference.
    The two pairings are not compared where a formula that an op's record names loses every bit: the modes may use different formulas.
    The bound is the rounding of both modes. At ties it is the rounding of the chosen derivatives, without the set of possible choices.
    """
    case, tally, op = (
        node_judge.case,
        Tally(AGREEMENT, node_judge.case.dtype, node_judge.case.device),
        str(node_judge.graph.nodes[node_judge.graph.outputs[0]]),
    )
    if PLAIN_REVERSE not in answers.answers:
        return unanswered(tally, node_judge.graph, answers.why(PLAIN_REVERSE))
    plain = [
        or_zeros(x_bar, case.inputs[name])
        for name, x_bar in zip(answers.names, answers.answers[PLAIN_REVERSE], strict=True)
    ]
    radii = _sharp_radii(node_judge, answers.names, plain)
    for mode in [m for m in giving(GRADIENTS) if m in FURTHER]:
        for name, x_bar, first, radius in zip(
            answers.names, answers.answers.get(mode, ()), plain, radii, strict=False
        ):
            what = f"{mode} against {PLAIN_REVERSE}, gradient of {name!r}"
            centre = np.where(np.isfinite(radius), first, np.nan).astype(node_judge.fmt.wide)
            expected, observed = Ball(centre, 2 * radius, node_judge.fmt), or_zeros(x_bar, case.inputs[name])
            found = compare(observed, expected, node_judge.fmt, what)
            if found.wrong:
                reach = largest(
                    [2 * bounds[name] for bounds, *_ in _alternative_radii(node_judge, answers.names, plain)]
                )
                hidden = node_judge.hidden(op)
                found = compare(observed, expected, node_judge.fmt, what, reach=reach, hidden=hidden)
            tally.add(case.graph.inputs[name], op, found)
    for k, found in shares(node_judge, answers.names, plain):
        tally.add(k, op, found)
    y_dot = node_judge.seen.tangents[case.graph.outputs[0]]
    if y_dot is not None and np.size(y_dot):
        tally.add(case.graph.outputs[0], op, _adjoint(node_judge, answers.names, plain, radii, y_dot))
    return tally.verdict()


def _sharp_radii(node_judge: NodeByNode, names: list[str], plain: list[PlainArray]) -> list[PlainArray]:
    """The error bound of the derivative that plain reverse mode chose, one array for each input; NaN where the derivative is undefined."""
    case, fmt, graph = node_judge.case, node_judge.fmt_without_kinks, node_judge.graph
    k = graph.outputs[0]
    node = graph.nodes[k]
    values = [
        None if b is None else Ball(b.value, None, fmt) if isinstance(b, Ball) else b
        for b in node_judge.balls
    ]
    y_bar = special_points.undefined_outputs(node_judge.missing(k), np.asarray(case.cotangent))
    found: dict[int, PlainArray] = {}
    assert node.op is not None
    operands = tuple([values[j] for j in node.of])
    for position, j, x_bar in node.contributions(operands, values[k], exact(y_bar, fmt)):
        value, radius = parts(x_bar)
        undefined = np.isnan(value)
        for places, low, high in patches(node.op, operands, node.params, position):
            undefined = undefined | places & (low > high)
        found[j] = np.where(undefined, np.nan, radius)
    radii = []
    for name, x_bar in zip(names, plain, strict=True):
        radius = found.get(graph.inputs[name], np.zeros(np.shape(x_bar)))
        # a choice of the framework is multiplied by the cotangent, which rounds
        radii.append(radius + 2 * fmt.store(x_bar))
    return radii


def _alternative_radii(
    node_judge: NodeByNode, names: list[str], plain: list[PlainArray], tangents: list[Any] | None = None
) -> list[tuple[dict[str, PlainArray], PlainArray | None, bool]]:
    """For each other formula of the op: the error bounds by input name, that of the tangent for these tangents, and its ``blind`` flag."""
    fmt, node = node_judge.fmt_without_kinks, node_judge.graph.nodes[node_judge.graph.outputs[0]]
    operands = _operands(node_judge, node)
    y_bar = exact(np.asarray(node_judge.case.cotangent, float), fmt)

    def bounds(f: alternative_formulas.Function) -> tuple[dict[str, PlainArray], PlainArray | None]:
        radii = {
            name: alternative_formulas.reach_of(alternative_formulas.sent(f, operands, y_bar, position))
            + 2 * fmt.store(x_bar)
            for name, x_bar in zip(names, plain, strict=True)
            for position, j in enumerate(node.of)
            if j == node_judge.graph.inputs[name]
        }
        if tangents is None:
            return radii, None
        return radii, alternative_formulas.reach_of(alternative_formulas.pushed(f, operands, tangents))

    return [(*found, blind) for found, blind in alternative_formulas.each(node, bounds)]


def _operands(node_judge: NodeByNode, node: Node) -> list[Any]:
    """The operands of a node as exact Balls of the format without kinks, in which a jump is not widened to both sides."""
    balls = [node_judge.balls[j] for j in node.of]
    return [Ball(b.value, None, node_judge.fmt_without_kinks) if isinstance(b, Ball) else b for b in balls]


def _adjoint(
    node_judge: NodeByNode,
    names: list[str],
    plain: list[PlainArray],
    radii: list[PlainArray],
    y_dot: PlainArray,
) -> Comparison:
    """Compare <y_bar, y_dot> of forward mode with <x_bar, x_dot> of reverse mode; skipped where one is not finite."""
    case, fmt, k = node_judge.case, node_judge.fmt_without_kinks, node_judge.graph.outputs[0]
    node = node_judge.graph.nodes[k]
    assert node.op is not None
    operands = _operands(node_judge, node)
    x_dots = [node_judge.seen.tangents[j] for j in node.of]
    tangents = [None if x_dot is None else exact(x_dot, fmt) for x_dot in x_dots]
    expected = node.tangent(operands, node_judge.recomputed_value(k), tangents)
    if expected is None:
        return Comparison()
    wide, y_bar = fmt.wide, np.asarray(case.cotangent)
    with np.errstate(invalid="ignore", over="ignore"):
        forward, reverse = np.sum(y_bar * y_dot.astype(wide)), wide.type(0)
        for name, x_bar in zip(names, plain, strict=True):
            reverse = reverse + np.sum(x_bar.astype(wide) * case.tangents[name])

    def reach(tangent: PlainArray, bounds: list[PlainArray]) -> PlainArray:
        """The largest difference of the two pairings, from the bounds of the tangent and of the gradients."""
        with np.errstate(invalid="ignore", over="ignore"):
            total = np.sum(np.abs(y_bar) * (tangent + 2 * fmt.store(y_dot)), dtype=wide)
            for name, radius in zip(names, bounds, strict=True):
                total = total + np.sum(np.abs(case.tangents[name]) * radius)
        return np.asarray(total, float) + 4 * float(np.finfo(float).eps) * abs(float(reverse))

    own = reach(parts(expected)[1], radii)
    if not (np.isfinite(forward) and np.isfinite(reverse) and np.isfinite(own)):
        return Comparison(skipped=1)
    what = "<y_bar, y_dot> of forward mode against <x_bar, x_dot> of reverse mode"
    observed, expected = np.asarray(forward, float), Ball(reverse, own, fmt)
    found = compare(observed, expected, fmt, what)
    if found.wrong:
        wider = [
            (reach(moving, [bounds[name] for name in names]), blind)
            for bounds, moving, blind in _alternative_radii(node_judge, names, plain, tangents)
            if moving is not None
        ]
        if any(blind and not w < abs(reverse) for w, blind in wider):
            return Comparison(skipped=1)  # one of the modes may have used a formula that loses every bit here
        found = compare(observed, expected, fmt, what, reach=largest([w for w, _ in wider]))
    return found
