"""Selects the numbers that are recorded with a failing result: those around the first wrong node, with their expected values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import DOUBLE
from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    FORWARD_END_TO_END,
    FURTHER,
    GRADIENTS,
    REVERSE,
    REVERSE_END_TO_END,
    giving,
)
from refgrad.modes import TANGENT as TANGENTS
from refgrad.modes import VALUE as VALUE_MODE
from refgrad.quiet import quiet
from refgrad.records.observed import ANSWER, GRADIENT, SENT, TANGENT, VALUE, Numbers, Observed
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.neighbourhood import nearest
from refgrad.testing.judging.end_to_end import EndToEnd
from refgrad.testing.judging.judge import Judge
from refgrad.testing.judging.modes import answered, further_judge
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import NodePart, Observation, Place
from refgrad.testing.judging.verdict import Comparison, Verdict
from refgrad.tracing.ball import parts

MOST_NODES, MOST_ELEMENTS, OF_LARGE = 40, 16, 4  # nodes; elements of an array; elements of a larger array
# The results of these modes contain the gradients of all nodes.
_GRADIENTS = (*giving(GRADIENTS), AGREEMENT)
_TANGENTS = giving(TANGENTS)


def observed(case: Case, seen: Observation, verdict: Verdict) -> Observed:
    """The excerpt for one verdict on one observation.

    The expected numbers of a node follow from the observed operands, gradients and tangents that reached it. So the numbers of a node
    differ where that node is wrong, and not where it passes a wrong number on.
    """
    with quiet():
        judges, by_node = _judges(case, seen, verdict.mode)
    with_place = by_node if by_node is not None and by_node.evidence is not None else verdict
    suspects = _suspects(case, with_place)
    centre = suspects[0] if suspects else case.graph.outputs[0]
    shown = nearest([n.of for n in case.graph.nodes], centre)[:MOST_NODES]
    digits = 17 if FORMATS[case.dtype].accumulator == DOUBLE else 10
    names: dict[NodePart, str] = {"values": VALUE}
    names |= {"cotangents": GRADIENT} if verdict.mode in _GRADIENTS else {}
    names |= {"tangents": TANGENT} if verdict.mode in _TANGENTS else {}
    nodes = {k: _numbers(case, judges, k, names, digits) for k in sorted(shown)}
    has_place = verdict.evidence is not None and verdict.evidence.place is not None
    if not has_place:  # the array belongs to this mode alone, not to the observation
        for k in sorted({e.node for e in verdict.wrong} & nodes.keys()):
            nodes[k] += _answer(seen, verdict, k, digits)
    return Observed(nodes, suspects)


def _judges(case: Case, seen: Observation, mode: str) -> tuple[list[Judge], Verdict | None]:
    """The judges of this mode, and the verdict node by node. Where two of them judged one array, the last one counts.

    A fused backend has values of the output alone, which are judged from end to end.
    """
    end_to_end_judge = EndToEnd(case, seen)
    end_to_end = {
        VALUE_MODE: end_to_end_judge.value,
        REVERSE_END_TO_END: end_to_end_judge.reverse,
        FORWARD_END_TO_END: end_to_end_judge.forward,
    }
    if seen.profile is not None and seen.profile.fused:
        end_to_end[mode]()
        return [end_to_end_judge], None
    node_judge = NodeByNode(case, seen)
    verdict = node_judge.value()
    first_derivative = mode in FURTHER and mode in (*giving(GRADIENTS), *giving(TANGENTS))
    if first_derivative and seen.modes is not None and mode in seen.modes.answers:
        further = further_judge(mode)(case, answered(node_judge, seen.modes, mode))
        return [node_judge, further], further.reverse() if mode in giving(GRADIENTS) else further.forward()
    if mode in _GRADIENTS:
        verdict = node_judge.reverse()
    elif mode in _TANGENTS:
        verdict = node_judge.forward()
    if mode not in (REVERSE_END_TO_END, FORWARD_END_TO_END):
        return [node_judge], verdict if mode in (VALUE_MODE, REVERSE, FORWARD) else None
    end_to_end[mode]()
    return [node_judge, end_to_end_judge], verdict


def _suspects(case: Case, verdict: Verdict) -> tuple[int, ...]:
    """The nodes that may have computed the first wrong array; for a gradient, the nodes that sent it."""
    if verdict.first_wrong is None or verdict.mode in (REVERSE_END_TO_END, FORWARD_END_TO_END):
        return ()
    place = verdict.evidence.place if verdict.evidence is not None else None
    ops = verdict.first_wrong[1].split(" or ")
    named = [k for k in case.graph.order() if str(case.graph.nodes[k]) in ops]
    if place is None:
        return tuple(named) if len(named) == 1 else ()
    part, key = place
    if part == "parts":
        return (key[0],)
    users = [k for k in named if key in case.graph.nodes[k].of]
    return tuple(users) if part == "cotangents" and users else (key,)


def _answer(seen: Observation, verdict: Verdict, k: int, digits: int) -> tuple[Numbers, ...]:
    """The wrong elements of the answer of a mode for node k."""
    wrong = [e for e in verdict.wrong if e.node == k]
    shape = np.shape(seen.values[k])
    if any(len(e.element) != len(shape) for e in wrong):
        # a number that belongs to no element, such as <y_bar, y_dot>
        return ()
    at = {int(np.ravel_multi_index(e.element, shape)): e for e in wrong}
    got, expected = (np.array([getattr(at[i], name) for i in sorted(at)]) for name in ("got", "expected"))
    every = list(range(len(at)))
    return (
        Numbers(
            ANSWER,
            shape,
            tuple(sorted(at)),
            _chosen(got, every, digits),
            _chosen(expected, every, digits),
            True,
        ),
    )


def _numbers(
    case: Case, judges: list[Judge], k: int, names: dict[NodePart, str], digits: int
) -> tuple[Numbers, ...]:
    found = [_array(judges, Place(part, k), name, digits) for part, name in names.items()]
    for position, j in enumerate(case.graph.nodes[k].of if GRADIENT in names.values() else ()):
        sent = _array(judges, Place("parts", (k, position)), SENT, digits)
        if sent is not None and sent.wrong:
            found.append(replace(sent, to=j))
    return tuple(n for n in found if n is not None)


def _array(judges: list[Judge], place: Place, name: str, digits: int) -> Numbers | None:
    """The array at a place, as the last judge that judged it observed it; None where it is neither observed nor expected."""
    judge = next((j for j in reversed(judges) if place in j.expectations), judges[-1])
    expectation = judge.expectations.get(place)
    got: PlainArray | None = judge.seen.at(place)
    expected: PlainArray | None = None if expectation is None else np.asarray(parts(expectation.expected)[0])
    shown = got if expected is None else expected
    if shown is None:
        return None
    shape: tuple[int, ...] = np.shape(shown)
    size = int(np.prod(shape, dtype=int))
    at = list(range(size))
    if size > MOST_ELEMENTS:
        found = Comparison() if expectation is None else expectation.found
        worst = found.wrong[:OF_LARGE] or ([] if found.worst is None else [found.worst])
        at = sorted({int(np.ravel_multi_index(e.element, shape)) for e in worst}) or at[:1]
    wrong = expectation is not None and bool(expectation.found.wrong or expectation.found.note)
    given = None if got is None or np.shape(got) != shape else got
    return Numbers(
        name,
        shape,
        () if len(at) == size else tuple(at),
        _chosen(given, at, digits),
        _chosen(expected, at, digits),
        wrong,
    )


def _chosen(x: PlainArray | None, at: list[int], digits: int) -> tuple[float, ...]:
    return () if x is None else tuple(float(f"{float(v):.{digits}g}") for v in np.ravel(x)[at])
