"""A framework's further modes: one derivative asked in several ways, and second derivatives in every order of its modes.

Each way is judged against the reference like the plain one. Where mathematics leaves a choice (a kink, a tie) the ways are
compared with each other too: whatever the framework picks, it has to pick in all of them. Two runs of one way that differ in any
bit are a finding of their own, apart from accuracy.

The question is put for graphs of one op: there the framework's first derivative needs no intermediates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refgrad.bounds import Format
from refgrad.forward import push
from refgrad.graph import Node, contributions
from refgrad.op import Op
from refgrad.rounding import Ball, exact, parts
from refgrad.testing import points
from refgrad.testing.anchored import FORWARD, REVERSE, Anchored
from refgrad.testing.case import Case
from refgrad.testing.compare import compare
from refgrad.testing.observation import Observation
from refgrad.testing.summary import Tally
from refgrad.testing.verdict import Comparison, Verdict
from refgrad.transforms import jvp, vjp

Array = Any
Answer = Sequence[Array]

PLAIN = "plain backward"
CREATE_GRAPH, FUNC_VJP, FUNC_JVP = "create_graph backward", "func.vjp", "func.jvp"
REVERSE_OF_REVERSE, JVP_OF_VJP, VJP_OF_JVP = "double backward", "jvp of vjp", "vjp of jvp"
PUSHED = "double backward in the cotangent"
AGREEMENT, REPEAT = "agreement of modes", "second run"
SECOND = (REVERSE_OF_REVERSE, JVP_OF_VJP, VJP_OF_JVP)
FURTHER = (CREATE_GRAPH, FUNC_VJP, FUNC_JVP, PUSHED, AGREEMENT, *SECOND, REPEAT)
# Where a further way repeats what the first one says, the same finding covers it.
BASE = {CREATE_GRAPH: REVERSE, FUNC_VJP: REVERSE, FUNC_JVP: FORWARD, PUSHED: REVERSE}


@dataclass
class Modes:
    """What a framework said, by mode: an array (or None for zeros) for each floating-point input; one for the tangents.

    again        plain backward asked a second time
    unavailable  by mode, why there is no answer
    """

    names: list[str]
    answers: dict[str, Answer] = field(default_factory=dict)
    again: Answer | None = None
    unavailable: dict[str, str] = field(default_factory=dict)


def judge_modes(case: Case, seen: Observation, modes: Modes) -> list[Verdict]:
    """A verdict for each further mode."""
    anchored = Anchored(case, seen)
    verdicts = [_first(anchored, modes, mode) for mode in (CREATE_GRAPH, FUNC_VJP, FUNC_JVP, PUSHED)]
    return [*verdicts, _agreement(anchored, modes), *_second(anchored, modes), _repeat(anchored, modes)]


def _tally(anchored: Anchored, mode: str) -> Tally:
    return Tally(mode, anchored.case.dtype, anchored.case.device)


def _first(anchored: Anchored, modes: Modes, mode: str) -> Verdict:
    """The verdict on reverse or forward mode with this mode's answer in the place of the first one."""
    if mode not in modes.answers:
        return _tally(anchored, mode).unsupported(
            modes.unavailable.get(mode, modes.unavailable.get(REVERSE_OF_REVERSE, "not asked"))
        )
    seen, case, answer = anchored.seen, anchored.case, modes.answers[mode]
    output = case.graph.outputs[0]
    if mode in (FUNC_JVP, PUSHED):
        extreme = mode == PUSHED and any(
            _without_second(anchored, name).any() for name in modes.names
        )  # by way of a second derivative
        if answer[0] is None or seen.tangents[output] is None or extreme:
            return _tally(anchored, mode).verdict()
        tangents = [*seen.tangents]
        tangents[output] = answer[0]
        judge = Transposed if mode == PUSHED else Anchored
        verdict = judge(case, replace(seen, tangents=tangents, unavailable={})).forward()
    else:
        cotangents = [*seen.cotangents]
        cotangents[output] = np.asarray(case.cotangent, float)
        for name, x_bar in zip(modes.names, answer, strict=True):
            k = case.graph.inputs[name]
            cotangents[k] = (
                seen.cotangents[k]
                if x_bar is None and seen.cotangents[k] is None
                else _or_zeros(x_bar, case.inputs[name])
            )
        verdict = Anchored(case, replace(seen, cotangents=cotangents, parts={}, unavailable={})).reverse()
    return _renamed(verdict, mode)


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


def _renamed(verdict: Verdict, mode: str) -> Verdict:
    verdict.message = verdict.message.replace(verdict.mode, mode, 1)
    verdict.mode = mode
    return verdict


def _or_zeros(x_bar: Array, x: Array) -> Array:
    return np.zeros(np.shape(x)) if x_bar is None else x_bar


# --- agreement ----------------------------------------------------------------------------------------------------------


def _agreement(anchored: Anchored, modes: Modes) -> Verdict:
    """Reverse modes element by element against plain backward; forward against reverse mode by <y_bar, y_dot> = <x_bar, x_dot>.

    The bound is the rounding of both, at ties that of the members chosen: no set of choices enters.
    """
    case, tally, op = (
        anchored.case,
        _tally(anchored, AGREEMENT),
        str(anchored.graph.nodes[anchored.graph.outputs[0]]),
    )
    if PLAIN not in modes.answers:
        return tally.unsupported(modes.unavailable.get(PLAIN, "not asked"))
    plain = [
        _or_zeros(x_bar, case.inputs[name])
        for name, x_bar in zip(modes.names, modes.answers[PLAIN], strict=True)
    ]
    radii = _sharp_radii(anchored, modes.names, plain)
    for mode in (CREATE_GRAPH, FUNC_VJP):
        for name, x_bar, first, radius in zip(
            modes.names, modes.answers.get(mode, ()), plain, radii, strict=False
        ):
            what = f"{mode} against plain backward, gradient of {name!r}"
            expected = Ball(
                np.where(np.isfinite(radius), first, np.nan).astype(anchored.fmt.wide),
                2 * radius,
                anchored.fmt,
            )
            tally.add(
                case.graph.inputs[name],
                op,
                compare(_or_zeros(x_bar, case.inputs[name]), expected, anchored.fmt, what),
            )
    y_dot = anchored.seen.tangents[case.graph.outputs[0]]
    if y_dot is not None and np.size(y_dot):
        tally.add(case.graph.outputs[0], op, _adjoint(anchored, modes.names, plain, radii, y_dot))
    return tally.verdict()


def _sharp_radii(anchored: Anchored, names: list[str], plain: list[Array]) -> list[Array]:
    """How far two correct evaluations of the member that plain backward chose may lie apart from it; NaN where nothing is defined."""
    case, fmt, graph = anchored.case, anchored.sharp, anchored.graph
    k = graph.outputs[0]
    node, values = (
        graph.nodes[k],
        [
            None if b is None else Ball(b.value, None, fmt) if isinstance(b, Ball) else b
            for b in anchored.balls
        ],
    )
    y_bar = points.undefined_outputs(anchored.missing(k), np.asarray(case.cotangent))
    found: dict[int, Array] = {}
    assert node.op is not None
    for position, j, x_bar in contributions(node, k, values, exact(y_bar, fmt)):
        value, radius = parts(x_bar)
        undefined = np.isnan(value)
        for places, low, high in points.patches(
            node.op, tuple([values[i] for i in node.of]), node.params, position
        ):
            undefined = undefined | places & (low > high)
        found[j] = np.where(undefined, np.nan, radius)
    radii = []
    for name, x_bar in zip(names, plain, strict=True):
        radius = found.get(graph.inputs[name], np.zeros(np.shape(x_bar)))
        radii.append(
            radius + 2 * fmt.store(x_bar)
        )  # a member of a set: its product with the cotangent rounds
    return radii


def _adjoint(
    anchored: Anchored, names: list[str], plain: list[Array], radii: list[Array], y_dot: Array
) -> Comparison:
    case, fmt, k = anchored.case, anchored.sharp, anchored.graph.outputs[0]
    node = anchored.graph.nodes[k]
    assert node.op is not None
    values = [Ball(b.value, None, fmt) if isinstance(b, Ball) else b for b in anchored.balls]
    active = tuple([anchored.seen.tangents[j] is not None for j in node.of])
    tangents = [
        exact(anchored.seen.tangents[j], fmt) if a else None for j, a in zip(node.of, active, strict=True)
    ]
    expected = push(
        node.op,
        tuple([values[j] for j in node.of]),
        node.params,
        active,
        tangents,
        anchored.recomputed_value(k),
    )
    if expected is None:
        return Comparison()
    wide, y_bar = fmt.wide, np.asarray(case.cotangent)
    with np.errstate(invalid="ignore", over="ignore"):
        reach = np.sum(np.abs(y_bar) * (parts(expected)[1] + 2 * fmt.store(y_dot)), dtype=wide)
        forward, reverse = np.sum(y_bar * y_dot.astype(wide)), wide.type(0)
        for name, x_bar, radius in zip(names, plain, radii, strict=True):
            reverse = reverse + np.sum(x_bar.astype(wide) * case.tangents[name])
            reach = reach + np.sum(np.abs(case.tangents[name]) * radius)
    if not (np.isfinite(forward) and np.isfinite(reverse) and np.isfinite(reach)):
        return Comparison(skipped=1)
    what = "<y_bar, y_dot> of forward mode against <x_bar, x_dot> of reverse mode"
    return compare(
        np.asarray(forward, float),
        Ball(reverse, np.asarray(reach, float) + 4 * float(np.finfo(float).eps) * abs(float(reverse)), fmt),
        fmt,
        what,
    )


# --- second derivatives -------------------------------------------------------------------------------------------------


def _second(anchored: Anchored, modes: Modes) -> list[Verdict]:
    case, graph = anchored.case, anchored.graph
    expected = (
        _second_reference(anchored, modes.names) if any(mode in modes.answers for mode in SECOND) else None
    )
    op, verdicts = str(graph.nodes[graph.outputs[0]]), []
    for mode in SECOND:
        tally = _tally(anchored, mode)
        if mode not in modes.answers or expected is None:
            verdicts.append(tally.unsupported(modes.unavailable.get(mode, "not asked")))
            continue
        for name, got, ball in zip(modes.names, modes.answers[mode], expected, strict=True):
            what = f"second derivative in {name!r}"
            tally.add(
                graph.inputs[name], op, compare(_or_zeros(got, case.inputs[name]), ball, anchored.fmt, what)
            )
        verdicts.append(tally.verdict())
    return verdicts


def _second_reference(anchored: Anchored, names: list[str]) -> list[Ball]:
    """The derivative of x_bar along x_dot, in all three nestings of our own modes: the widest bound of the three.

    Each nesting is a way to compute it that a framework may take. Nothing is defined at special points without an ordinary derivative.
    """
    case, graph, fmt = anchored.case, anchored.graph, anchored.fmt
    missing = {name: _without_second(anchored, name) for name in names}
    if all(m.all() for m in missing.values()):
        return [Ball(np.full(m.shape, np.nan, fmt.wide), np.zeros(m.shape), fmt) for m in missing.values()]
    k = graph.outputs[0]
    y_bar = exact(points.undefined_outputs(anchored.missing(k), np.asarray(case.cotangent, float)), fmt)
    xs, x_dots = ([exact(arrays[name], fmt) for name in names] for arrays in (case.inputs, case.tangents))

    def f(*args: Any) -> Any:
        return graph(**{**case.inputs, **dict(zip(names, args, strict=True))})

    def gradient(*args: Any) -> Any:
        return vjp(f, *args)[1](y_bar)

    def tangent(*args: Any) -> Any:
        return jvp(f, args, tuple(x_dots))[1]

    nestings = [
        jvp(gradient, tuple(xs), tuple(x_dots))[1],
        vjp(gradient, *xs)[1](tuple(x_dots)),
        vjp(tangent, *xs)[1](y_bar),
    ]
    found = []
    for position, name in enumerate(names):
        pairs = [parts(answer[position]) for answer in nestings]
        value = pairs[0][0]
        radius = pairs[0][1]
        for other, reach in pairs[1:]:
            value, radius = np.where(np.isnan(value), other, value), np.fmax(radius, reach)
        found.append(Ball(np.where(missing[name], np.nan, value), radius, fmt))
    return found


def _without_second(anchored: Anchored, name: str) -> Array:
    """Where an operand meets a point without an ordinary first derivative, elementwise; for other ops all or nothing.

    Nothing is asked either where a finite operand lies beyond the fourth root of the range: a second derivative multiplies up to four
    factors of an operand's size, in an order that a framework may choose. The same for infinite ones, unless the record has such points.
    """
    node = anchored.graph.nodes[anchored.graph.outputs[0]]
    assert node.op is not None
    operands, shape = tuple([anchored.balls[j] for j in node.of]), np.shape(anchored.case.inputs[name])
    if not all(_moderate(node.op, x.value, anchored.fmt) for x in operands if isinstance(x, Ball)):
        return np.ones(shape, bool)
    operands, shape = tuple([anchored.balls[j] for j in node.of]), np.shape(anchored.case.inputs[name])
    missing = np.full(shape, len(operands) == 1 and points.in_a_set(node.op, operands[0].value, node.params))
    for position in range(len(node.of)):
        for places, _, _ in points.patches(node.op, operands, node.params, position):
            missing = (
                missing | places if places.shape == shape and node.op.broadcasts else np.ones(shape, bool)
            )
    return missing


def _moderate(op: Op, x: Array, fmt: Format) -> bool:
    size = np.abs(x[x != 0]) if np.ndim(x) else np.abs(np.atleast_1d(x)[np.atleast_1d(x) != 0])
    limit = fmt.max**0.25
    endless = any(np.any(np.isinf(np.asarray(a, float))) for s in op.special for a in s.at)
    fine = (size < limit) & (size > 1 / limit) | np.isinf(size) & endless
    return bool(np.all(fine))


# --- two runs -----------------------------------------------------------------------------------------------------------


def _repeat(anchored: Anchored, modes: Modes) -> Verdict:
    """Two runs of plain backward, bit by bit."""
    tally, op = _tally(anchored, REPEAT), str(anchored.graph.nodes[anchored.graph.outputs[0]])
    if modes.again is None:
        return tally.unsupported(modes.unavailable.get(PLAIN, "not asked"))
    for name, first, second in zip(modes.names, modes.answers[PLAIN], modes.again, strict=True):
        if first is None or second is None:
            continue
        c = compare(second, exact(first, anchored.fmt), anchored.fmt, f"second run, gradient of {name!r}")
        differ = np.isnan(first) != np.isnan(second)
        if np.any(differ):
            c.note = f"second run, gradient of {name!r}: NaN in one of two runs, at {np.argwhere(differ)[0].tolist()}"
        tally.add(anchored.case.graph.inputs[name], op, c)
    return tally.verdict()


__all__ = ["BASE", "FURTHER", "SECOND", "Modes", "judge_modes"]
