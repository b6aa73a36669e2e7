"""Prints one case node by node: observed and expected numbers of each node, and the first wrong node."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.graph import Node
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.judge import Expectation
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import NODE_PARTS, Observation, Place
from refgrad.tracing.ball import parts

_NAMES = {"values": "value", "tangents": "tangent", "cotangents": "gradient"}
WRONG, FIRST = "WRONG", "FIRST WRONG"


def trace(case: Case, seen: Observation) -> list[str]:
    """Lines for a terminal. Each array is shown by the element with the largest ratio of error to bound."""
    node_judge = NodeByNode(case, seen)
    verdicts = [node_judge.value(), node_judge.forward(), node_judge.reverse()]
    first = {v.evidence.place for v in verdicts if v.evidence is not None}
    lines = []
    for k in node_judge.order:
        node = case.graph.nodes[k]
        lines.append(f"node {k}  {_described(node)}  {_shape(seen.values[k])}")
        for place in _places(node_judge, k, node):
            expectation = node_judge.expectations.get(place)
            if expectation is None:
                given = node.op is None or (place[0] == "cotangents" and k in case.graph.outputs)
                lines.append(
                    f"  {_name(place):<9} {_sample(seen, place)}  {'given' if given else 'not judged'}"
                )
                continue
            mark = (
                FIRST
                if place in first
                else WRONG
                if expectation.found.wrong or expectation.found.note
                else ""
            )
            lines.append(
                f"  {_name(place):<9} {_judged(expectation, seen, place)}" + (f"  <- {mark}" if mark else "")
            )
    return lines


def _places(node_judge: NodeByNode, k: int, node: Node) -> Iterator[Place]:
    seen = node_judge.seen
    for part in NODE_PARTS:
        place = Place(part, k)
        if seen.at(place) is not None or place in node_judge.expectations:
            yield place
    for position in range(len(node.of)):
        place = Place("parts", (k, position))
        if place in node_judge.expectations:
            yield place


def _name(place: Place) -> str:
    part, key = place
    return _NAMES[part] if part != "parts" else f"sends [{key[1]}]"


def _described(node: Node) -> str:
    if node.op is None:
        return f"input {node.name!r}" if node.name else "constant"
    params = ", ".join(f"{name}={value!r}" for name, value in node.params.items())
    return f"{node.op.name} of {', '.join(map(str, node.of))}" + (f"  ({params})" if params else "")


def _shape(x: PlainArray) -> str:
    return "" if x is None else f"{x.dtype.name if x.dtype.kind != 'f' else ''}{list(x.shape)}"


def _sample(seen: Observation, place: Place) -> str:
    x = np.asarray(seen.at(place))
    shown = ", ".join(f"{v:.6g}" for v in x.ravel()[:4].tolist())
    return shown + (", ..." if x.size > 4 else "")


def _judged(expectation: Expectation, seen: Observation, place: Place) -> str:
    """The observed value, expected value and bound of the worst element, or the note of a disagreement that is not about numbers."""
    found = expectation.found
    if found.note:
        return found.note
    worst = found.wrong[0] if found.wrong else found.worst
    if worst is None:
        got = seen.at(place)
        if got is None or not np.size(got):
            return "nothing to compare"
        value, radius = parts(expectation.expected)
        return f"got {_first(got)}, expected {_first(value)} ± {_first(radius)}: nothing to decide"
    at = list(worst.element) if worst.element else ""
    return f"{at}{' ' if at else ''}got {worst.got!r}, expected {worst.expected!r} ± {worst.bound:.3g} ({worst.ratio:.3g} bounds)"


def _first(x: PlainArray) -> str:
    x = np.asarray(x, float).ravel()
    return f"{x[0]:.6g}" + (", ..." if x.size > 1 else "") if x.size else "nothing"
