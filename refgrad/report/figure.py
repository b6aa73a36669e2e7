"""A failing case as a figure: its graph with the first wrong node marked, and the same graph as a list of nodes to be read aloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refgrad.records import Result
from refgrad.report.drawing import Drawing, Spec, draw
from refgrad.report.replay import Replay, replay
from refgrad.report.text import cut, one_line
from refgrad.testing.anchored import FORWARD as JVP
from refgrad.testing.anchored import REVERSE as VJP
from refgrad.testing.modes import CREATE_GRAPH, FUNC_JVP, FUNC_VJP
from refgrad.testing.whole import WHOLE_FORWARD, WHOLE_REVERSE

MOST_NODES = 80  # a larger graph is listed, not drawn
MOST_LISTED = 200
# The modes that ask for the gradient, or the tangent, which a drawing can show at every node.
BACKWARD = (VJP, WHOLE_REVERSE, CREATE_GRAPH, FUNC_VJP)
FORWARD = (JVP, WHOLE_FORWARD, FUNC_JVP)


@dataclass(frozen=True, slots=True)
class NodeText:
    """One node in words."""

    number: int
    text: str
    value: str
    gradient: str
    tangent: str
    first_wrong: bool
    output: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """The drawing (None for a large graph), the nodes in words, and how many were left out of the list."""

    drawing: Drawing | None
    nodes: tuple[NodeText, ...]
    more: int
    numbers: bool  # whether values could be derived
    gradients: bool
    tangents: bool


def figure(result: Result) -> Figure | None:
    """The figure of a result; None where its case did not travel or its graph cannot be read."""
    nodes = result.nodes
    if not nodes or not all(isinstance(n, dict) for n in nodes):
        return None
    again = replay(result.case, backward=result.mode in BACKWARD, forward=result.mode in FORWARD)
    outputs = result.case["graph"].get("outputs")
    outputs = (
        set(outputs) if isinstance(outputs, list) and all(isinstance(k, int) for k in outputs) else set()
    )
    wrong = result.first_wrong[0] if result.first_wrong is not None else None
    drawing = None
    if len(nodes) <= MOST_NODES and all(_ordered(n, k) for k, n in enumerate(nodes)):
        drawing = draw([_spec(n, k, again, wrong == k) for k, n in enumerate(nodes)])
    words = tuple(
        NodeText(
            k,
            cut(_words(n), 400),
            again.values[k] if again else "",
            again.gradients[k] if again else "",
            again.tangents[k] if again else "",
            wrong == k,
            k in outputs,
        )
        for k, n in enumerate(nodes[:MOST_LISTED])
    )
    return Figure(
        drawing, words, max(0, len(nodes) - MOST_LISTED), again is not None, any(w.gradient for w in words),
        any(w.tangent for w in words),
    )  # fmt: skip


def _ordered(node: dict[str, Any], k: int) -> bool:
    of = node.get("of", [])
    return isinstance(of, list) and all(
        isinstance(j, int) and not isinstance(j, bool) and 0 <= j < k for j in of
    )


def _name(node: dict[str, Any]) -> str:
    if "op" in node:
        return one_line(str(node["op"]))
    return one_line(str(node["input"])) if "input" in node else "constant"


def _spec(node: dict[str, Any], k: int, again: Replay | None, wrong: bool) -> Spec:
    kind = "op" if "op" in node else "input" if "input" in node else "constant"
    lines = [f"{k} {cut(_name(node), 24)}{_operands(node)}"]
    if wrong:
        lines.insert(0, "✗ first wrong")
    if again is not None and again.values[k]:
        lines.append(cut(again.values[k], 30))
    elif kind == "constant":
        lines.append(cut(_constant(node), 30))
    if again is not None and again.gradients[k]:
        lines.append("∂ " + cut(again.gradients[k], 30))
    if again is not None and again.tangents[k]:
        lines.append("ẋ " + cut(again.tangents[k], 30))
    return Spec(tuple(lines), tuple(node.get("of", ())), f"{kind} wrong" if wrong else kind)


def _operands(node: dict[str, Any]) -> str:
    of = [str(j) for j in node.get("of", [])]
    return f"({', '.join(of[:4])}{', …' if len(of) > 4 else ''})" if of else ""


def _constant(node: dict[str, Any]) -> str:
    if "number" in node:
        return str(node["number"])
    array = node.get("constant")
    data = array.get("data") if isinstance(array, dict) else None
    if not isinstance(data, list):
        return ""
    return ", ".join(str(v) for v in data[:3]) + (", …" if len(data) > 3 else "")


def _words(node: dict[str, Any]) -> str:
    if "op" not in node:
        return f"input {_name(node)}" if "input" in node else f"constant {cut(one_line(_constant(node)), 60)}"
    of = node.get("of", [])
    given = node.get("with")
    params = f" with {cut(one_line(str(given)), 120)}" if given else ""
    return f"{_name(node)} of {', '.join(f'node {j}' for j in of) if isinstance(of, list) else of}{params}"
