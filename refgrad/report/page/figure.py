"""A failing case as a figure: its graph with the first wrong node marked, and the same graph as a list of nodes to be read aloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refgrad.records import Result
from refgrad.records.observed import Numbers
from refgrad.report.analysis.text import cut, one_line, several
from refgrad.report.page.box_layout import Drawing, Row, Spec, draw
from refgrad.report.page.box_numbers import LABELS, pair
from refgrad.report.page.replay import Replay, replay
from refgrad.report.page.window import Window, window
from refgrad.testing.cases.neighbourhood import nearest
from refgrad.testing.judging.end_to_end import WHOLE_FORWARD, WHOLE_REVERSE
from refgrad.testing.judging.modes import CREATE_GRAPH, FUNC_JVP, FUNC_VJP
from refgrad.testing.judging.node_by_node import FORWARD as JVP
from refgrad.testing.judging.node_by_node import REVERSE as VJP

MOST_SHOWN = 12  # of a larger graph the neighbourhood of the first wrong node is drawn
MOST_DRAWN = 100  # a graph up to this size is drawn whole, too, without numbers
MOST_READ = 10_000  # nodes; of a larger graph nothing is drawn
MOST_LISTED = 120
FRAMEWORK, EXPECTED = "torch", "expected"  # the columns of numbers in a box
# The modes that ask for the gradient, or the tangent, which a drawing can show at every node.
BACKWARD = (VJP, WHOLE_REVERSE, CREATE_GRAPH, FUNC_VJP)
FORWARD = (JVP, WHOLE_FORWARD, FUNC_JVP)


@dataclass(frozen=True, slots=True)
class NodeText:
    """One node in words."""

    number: int
    text: str
    numbers: tuple[str, ...]
    suspect: bool
    output: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """What is drawn of a graph (None where its operands cannot be read), and its nodes in words."""

    part: Drawing | None
    whole: Drawing | None  # of a graph that ``part`` shows in part, where it is not too large
    around: Window
    size: int  # nodes in all
    nodes: tuple[NodeText, ...]
    observed: bool  # whether the framework's numbers are there, and not the expected ones alone
    kinds: tuple[str, ...]  # of the numbers that are shown

    @property
    def more(self) -> int:
        """Nodes that the list leaves out."""
        return self.size - len(self.nodes)

    @property
    def length(self) -> int:
        """About how many characters it takes in a page."""
        drawn = sum(d.size for d in (self.part, self.whole) if d is not None)
        return drawn + sum(80 + len(n.text) + sum(map(len, n.numbers)) for n in self.nodes)


def figure(result: Result) -> Figure | None:
    """The figure of a result; None where its case did not travel or its graph cannot be read."""
    nodes = result.nodes
    if not nodes or len(nodes) > MOST_READ or not all(isinstance(n, dict) for n in nodes):
        return None
    graph = _Graph(result, nodes)
    words = tuple(graph.words(k) for k in graph.listed())
    kinds = tuple(name for name in LABELS if any(name in graph.kinds(k) for k in range(len(nodes))))
    around = window(graph.of, graph.middle, MOST_SHOWN) if graph.of else Window(())
    part = whole = None
    if graph.of:
        part = graph.drawn(around)
        if len(around.shown) < len(nodes) <= MOST_DRAWN:
            whole = draw([graph.spec(k, graph.of[k], numbers=False) for k in range(len(nodes))])
    return Figure(part, whole, around, len(nodes), words, result.observed is not None, kinds)


class _Graph:
    """The graph of a failing case with all that is known of its nodes."""

    def __init__(self, result: Result, nodes: list[dict[str, Any]]) -> None:
        self.nodes = nodes
        ordered = all(_ordered(n, k) for k, n in enumerate(nodes))
        self.of: list[list[int]] = [n.get("of", []) for n in nodes] if ordered else []
        self.seen = result.observed
        # The expected numbers alone, where none of the framework's have travelled.
        self.again: Replay | None = None
        if self.seen is None:
            self.again = replay(result.case, backward=result.mode in BACKWARD, forward=result.mode in FORWARD)
        outputs = result.case["graph"].get("outputs")
        listed = outputs if isinstance(outputs, list) else []
        self.outputs = {k for k in listed if isinstance(k, int) and 0 <= k < len(nodes)}
        self.suspects = tuple(k for k in self._suspects(result) if 0 <= k < len(nodes))
        self.middle = min(self.suspects, default=min(self.outputs, default=len(nodes) - 1))
        self.worst = [e.element for e in result.worst_elements]  # the worst one first

    def _suspects(self, result: Result) -> tuple[int, ...]:
        if self.seen is not None:
            return self.seen.suspects
        if result.first_wrong is None:
            return ()
        node, op = result.first_wrong
        users = [
            k
            for k, operands in enumerate(self.of)
            if node in operands and _name(self.nodes[k]) in op.split(" or ")
        ]
        # A gradient comes from a user of its node, a value and a tangent from the node itself.
        return tuple(users) if users and result.mode in BACKWARD else (node,)

    def listed(self) -> list[int]:
        """The nodes that are said in words: of a large graph those around the first wrong one."""
        if len(self.nodes) <= MOST_LISTED:
            return list(range(len(self.nodes)))
        return sorted(nearest(self.of, self.middle)[:MOST_LISTED]) if self.of else list(range(MOST_LISTED))

    def drawn(self, around: Window) -> Drawing:
        """The window, with a box for what is left out before it and one for what is left out after it."""
        specs: list[Spec] = []
        place: dict[int, int] = {}
        if around.before:
            specs.append(_folded(around.before, self.nodes, "before"))
            place.update(dict.fromkeys(around.before, 0))
        for k in around.shown:
            of = (
                list(dict.fromkeys(place[j] for j in self.of[k]))
                if around.before
                else [place[j] for j in self.of[k]]
            )
            place[k] = len(specs)
            specs.append(self.spec(k, of))
        if around.after:
            led = sorted(
                {place[j] for k in around.after for j in self.of[k] if j in place}
                - ({0} if around.before else set())
            )
            specs.append(_folded(around.after, self.nodes, "after", led))
        return draw(specs, (FRAMEWORK, EXPECTED))

    def spec(self, k: int, of: list[int], *, numbers: bool = True) -> Spec:
        """The box of node k; ``of`` are the boxes of its operands."""
        node, kind = self.nodes[k], _kind(self.nodes[k])
        suspect = k in self.suspects
        rows = tuple(self.rows(k)) if numbers else ()
        lines = [f"{k} {cut(_name(node), 24)}{_operands(node)}"]
        if kind == "constant" and numbers and not rows:
            lines.append(cut(_constant(node), 30))
        mark = " suspect" if suspect else " off" if any(r.wrong for r in rows) else ""
        badge = "✗ first wrong" if len(self.suspects) == 1 else "✗ suspected"
        about = cut(_words(node), 200)
        return Spec(tuple(lines), tuple(of), kind + mark, rows, badge if suspect else "", about)

    def rows(self, k: int) -> list[Row]:
        """The numbers of node k."""
        if self.seen is not None:
            return [_row(n, self._element(n)) for n in self.seen.nodes.get(k, ())]
        return [Row(LABELS[name], "", cut(text, 30)) for name, text in self._again(k).items()]

    def kinds(self, k: int) -> set[str]:
        """Which numbers of node k are known."""
        return {n.part for n in self.seen.nodes.get(k, ())} if self.seen is not None else set(self._again(k))

    def _again(self, k: int) -> dict[str, str]:
        if self.again is None:
            return {}
        found = {
            "value": self.again.values[k],
            "gradient": self.again.gradients[k],
            "tangent": self.again.tangents[k],
        }
        return {name: text for name, text in found.items() if text}

    def _element(self, n: Numbers) -> int:
        """Which of the elements that have travelled stands for a larger array: the worst of the case, where it has one there."""
        told = {n.place(i): i for i in range(n.count)}
        return next((told[at] for at in self.worst if at in told), n.furthest())

    def words(self, k: int) -> NodeText:
        """Node k in words."""
        said = []
        for n in self.seen.nodes.get(k, ()) if self.seen is not None else ():
            row = _row(n, self._element(n))
            to = f" sent to node {n.to}" if n.to >= 0 else ""
            at = row.label.partition("[")[2]
            what = (
                f"{'gradient' if n.to >= 0 else n.part}{to}{' [' + at if at else ''} {row.got or 'missing'}"
            )
            said.append(
                what + (f", expected {row.expected}" if row.expected else "") + (" ✗" if row.wrong else "")
            )
        said += [f"{name} {text}" for name, text in self._again(k).items()]
        return NodeText(
            k, cut(_words(self.nodes[k]), 400), tuple(said), k in self.suspects, k in self.outputs
        )


def _row(n: Numbers, element: int) -> Row:
    at, got, expected = pair(n, element)
    label = f"{LABELS[n.part]}{n.to if n.to >= 0 else ''}{at}"
    return Row(label, got or ("missing" if n.expected else ""), expected, n.wrong)


def _folded(
    nodes: tuple[int, ...], all_nodes: list[dict[str, Any]], where: str, of: list[int] | None = None
) -> Spec:
    """One box for nodes that are left out."""
    inputs = sum(_kind(all_nodes[k]) == "input" for k in nodes)
    lines = [f"{several(len(nodes), 'node')} {where}"] + (
        [several(inputs, "input") + " among them"] if inputs else []
    )
    named = ", ".join(f"{k} {_name(all_nodes[k])}" for k in nodes[:30])
    return Spec(tuple(lines), tuple(of or ()), "folded", title=named + (", …" if len(nodes) > 30 else ""))


def _ordered(node: dict[str, Any], k: int) -> bool:
    of = node.get("of", [])
    return isinstance(of, list) and all(
        isinstance(j, int) and not isinstance(j, bool) and 0 <= j < k for j in of
    )


def _name(node: dict[str, Any]) -> str:
    if "op" in node:
        return one_line(str(node["op"]))
    return one_line(str(node["input"])) if "input" in node else "constant"


def _kind(node: dict[str, Any]) -> str:
    return "op" if "op" in node else "input" if "input" in node else "constant"


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
