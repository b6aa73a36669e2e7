"""The figure of a failing case: its graph with the first wrong node marked, and a list of nodes for screen readers."""

from __future__ import annotations

from dataclasses import dataclass

from refgrad.modes import FORWARD as JVP
from refgrad.modes import (
    FORWARD_END_TO_END,
    FUNCTIONAL_FORWARD,
    FUNCTIONAL_REVERSE,
    RECORDED_REVERSE,
    REVERSE_END_TO_END,
)
from refgrad.modes import REVERSE as VJP
from refgrad.records import Json, Result
from refgrad.records.observed import Numbers
from refgrad.report.analysis.text import cut, one_line, several
from refgrad.report.page.box_layout import BoxSpec, Drawing, Row, lay_out
from refgrad.report.page.box_numbers import LABELS, compared_texts
from refgrad.report.page.replay import Replay, replay
from refgrad.report.page.window import Window, window
from refgrad.testing.cases.neighbourhood import nearest

MOST_SHOWN = 12  # nodes; of a larger graph the neighbourhood of the first wrong node is drawn
MOST_DRAWN = 100  # nodes; up to this size the whole graph is drawn as well, without numbers
MOST_READ = 10_000  # nodes; a larger graph has no figure
MOST_LISTED = 120  # nodes in the list
FRAMEWORK, EXPECTED = "got", "expected"  # the columns of numbers in a box
# The modes whose gradients, or tangents, a drawing shows at every node.
BACKWARD = (VJP, REVERSE_END_TO_END, RECORDED_REVERSE, FUNCTIONAL_REVERSE)
FORWARD = (JVP, FORWARD_END_TO_END, FUNCTIONAL_FORWARD)


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
    """The drawings of a graph and the list of its nodes.

    part       the window around the first wrong node; None where the operands cannot be read
    whole      the whole graph, where the window is smaller and the graph is not too large
    size       number of nodes of the graph
    nodes      the listed nodes
    observed   whether the framework's numbers are shown, beside the expected ones
    kinds      the kinds of numbers shown
    """

    part: Drawing | None
    whole: Drawing | None
    around: Window
    size: int
    nodes: tuple[NodeText, ...]
    observed: bool
    kinds: tuple[str, ...]

    @property
    def more(self) -> int:
        """Number of nodes that the list leaves out."""
        return self.size - len(self.nodes)

    @property
    def length(self) -> int:
        """An estimate of the characters that it adds to a page."""
        drawn = sum(d.size for d in (self.part, self.whole) if d is not None)
        return drawn + sum(80 + len(n.text) + sum(map(len, n.numbers)) for n in self.nodes)


def figure(result: Result) -> Figure | None:
    """The figure of a result; None where the file does not hold its case or its graph cannot be read."""
    nodes = result.nodes
    if not nodes or len(nodes) > MOST_READ or not all(isinstance(n, dict) for n in nodes):
        return None
    graph = _Graph(result, nodes)
    node_text = tuple(graph.node_text(k) for k in graph.listed())
    kinds = tuple(name for name in LABELS if any(name in graph.kinds(k) for k in range(len(nodes))))
    around = window(graph.of, graph.middle, MOST_SHOWN) if graph.of else Window(())
    part = whole = None
    if graph.of:
        part = graph.drawn(around)
        if len(around.shown) < len(nodes) <= MOST_DRAWN:
            whole = lay_out([graph.spec(k, graph.of[k], numbers=False) for k in range(len(nodes))])
    return Figure(part, whole, around, len(nodes), node_text, result.observed is not None, kinds)


class _Graph:
    """The graph of a failing case with the known numbers of its nodes."""

    def __init__(self, result: Result, nodes: list[Json]) -> None:
        self.nodes = nodes
        ordered = all(_ordered(n, k) for k, n in enumerate(nodes))
        self.of: list[list[int]] = [n.get("of", []) for n in nodes] if ordered else []
        self.observed = result.observed
        # Reference values, computed here where the file holds no observation.
        self.replay: Replay | None = None
        if self.observed is None:
            self.replay = replay(
                result.case, backward=result.mode in BACKWARD, forward=result.mode in FORWARD
            )
        outputs = result.case["graph"].get("outputs")
        listed = outputs if isinstance(outputs, list) else []
        self.outputs = {k for k in listed if isinstance(k, int) and 0 <= k < len(nodes)}
        self.suspects = tuple(k for k in self._suspects(result) if 0 <= k < len(nodes))
        self.middle = min(self.suspects, default=min(self.outputs, default=len(nodes) - 1))
        self.worst = [e.element for e in result.worst_elements]  # the worst first

    def _suspects(self, result: Result) -> tuple[int, ...]:
        if self.observed is not None:
            return self.observed.suspects
        if result.first_wrong is None:
            return ()
        node, op = result.first_wrong
        users = [
            k
            for k, operands in enumerate(self.of)
            if node in operands and _name(self.nodes[k]) in op.split(" or ")
        ]
        # The users of a node compute its gradient; the node itself computes its value and tangent.
        return tuple(users) if users and result.mode in BACKWARD else (node,)

    def listed(self) -> list[int]:
        """The nodes to list; of a large graph those nearest to the first wrong one."""
        if len(self.nodes) <= MOST_LISTED:
            return list(range(len(self.nodes)))
        return sorted(nearest(self.of, self.middle)[:MOST_LISTED]) if self.of else list(range(MOST_LISTED))

    def drawn(self, around: Window) -> Drawing:
        """The drawing of the window, with one box for the nodes before it and one for the nodes after it."""
        specs: list[BoxSpec] = []
        place: dict[int, int] = {}
        if around.before:
            specs.append(_collapsed_box(around.before, self.nodes, "before"))
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
            sources = sorted(
                {place[j] for k in around.after for j in self.of[k] if j in place}
                - ({0} if around.before else set())
            )
            specs.append(_collapsed_box(around.after, self.nodes, "after", sources))
        return lay_out(specs, (FRAMEWORK, EXPECTED))

    def spec(self, k: int, of: list[int], *, numbers: bool = True) -> BoxSpec:
        """The box of node k; ``of`` are the indices of its operands' boxes."""
        node, kind = self.nodes[k], _kind(self.nodes[k])
        suspect = k in self.suspects
        rows = tuple(self.rows(k)) if numbers else ()
        lines = [f"{k} {cut(_name(node), 24)}{_operands(node)}"]
        if kind == "constant" and numbers and not rows:
            lines.append(cut(_constant(node), 30))
        mark = " suspect" if suspect else " off" if any(r.wrong for r in rows) else ""
        badge = "✗ first wrong" if len(self.suspects) == 1 else "✗ suspected"
        about = cut(_words(node), 200)
        return BoxSpec(tuple(lines), tuple(of), kind + mark, rows, badge if suspect else "", about)

    def rows(self, k: int) -> list[Row]:
        """The numbers of node k."""
        if self.observed is not None:
            return [_row(n, self._element(n)) for n in self.observed.nodes.get(k, ())]
        return [Row(LABELS[name], "", cut(text, 30)) for name, text in self._replayed(k).items()]

    def kinds(self, k: int) -> set[str]:
        """The kinds of numbers that are known of node k."""
        return (
            {n.part for n in self.observed.nodes.get(k, ())}
            if self.observed is not None
            else set(self._replayed(k))
        )

    def _replayed(self, k: int) -> dict[str, str]:
        if self.replay is None:
            return {}
        found = {
            "value": self.replay.values[k],
            "gradient": self.replay.gradients[k],
            "tangent": self.replay.tangents[k],
        }
        return {name: text for name, text in found.items() if text}

    def _element(self, n: Numbers) -> int:
        """The position of the element to show of a larger array: the worst one of the case, else the one with the largest error."""
        positions = {n.place(i): i for i in range(n.count)}
        return next((positions[at] for at in self.worst if at in positions), n.furthest())

    def node_text(self, k: int) -> NodeText:
        """Node k in words."""
        texts = []
        for n in self.observed.nodes.get(k, ()) if self.observed is not None else ():
            row = _row(n, self._element(n))
            to = f" sent to node {n.to}" if n.to >= 0 else ""
            at = row.label.partition("[")[2]
            what = (
                f"{'gradient' if n.to >= 0 else n.part}{to}{' [' + at if at else ''} {row.got or 'missing'}"
            )
            texts.append(
                what + (f", expected {row.expected}" if row.expected else "") + (" ✗" if row.wrong else "")
            )
        texts += [f"{name} {text}" for name, text in self._replayed(k).items()]
        return NodeText(
            k, cut(_words(self.nodes[k]), 400), tuple(texts), k in self.suspects, k in self.outputs
        )


def _row(n: Numbers, element: int) -> Row:
    at, got, expected = compared_texts(n, element)
    label = f"{LABELS[n.part]}{n.to if n.to >= 0 else ''}{at}"
    return Row(label, got or ("missing" if n.expected else ""), expected, n.wrong)


def _collapsed_box(
    nodes: tuple[int, ...], all_nodes: list[Json], where: str, of: list[int] | None = None
) -> BoxSpec:
    """The box that stands for nodes outside the window."""
    inputs = sum(_kind(all_nodes[k]) == "input" for k in nodes)
    lines = [f"{several(len(nodes), 'node')} {where}"] + (
        [several(inputs, "input") + " among them"] if inputs else []
    )
    named = ", ".join(f"{k} {_name(all_nodes[k])}" for k in nodes[:30])
    return BoxSpec(tuple(lines), tuple(of or ()), "folded", title=named + (", …" if len(nodes) > 30 else ""))


def _ordered(node: Json, k: int) -> bool:
    of = node.get("of", [])
    return isinstance(of, list) and all(
        isinstance(j, int) and not isinstance(j, bool) and 0 <= j < k for j in of
    )


def _name(node: Json) -> str:
    if "op" in node:
        return one_line(str(node["op"]))
    return one_line(str(node["input"])) if "input" in node else "constant"


def _kind(node: Json) -> str:
    return "op" if "op" in node else "input" if "input" in node else "constant"


def _operands(node: Json) -> str:
    of = [str(j) for j in node.get("of", [])]
    return f"({', '.join(of[:4])}{', …' if len(of) > 4 else ''})" if of else ""


def _constant(node: Json) -> str:
    if "number" in node:
        return str(node["number"])
    array = node.get("constant")
    data = array.get("data") if isinstance(array, dict) else None
    if not isinstance(data, list):
        return ""
    return ", ".join(str(v) for v in data[:3]) + (", …" if len(data) > 3 else "")


def _words(node: Json) -> str:
    if "op" not in node:
        return f"input {_name(node)}" if "input" in node else f"constant {cut(one_line(_constant(node)), 60)}"
    of = node.get("of", [])
    given = node.get("with")
    params = f" with {cut(one_line(str(given)), 120)}" if given else ""
    return f"{_name(node)} of {', '.join(f'node {j}' for j in of) if isinstance(of, list) else of}{params}"
