"""What there is to draw of a graph: gates and wires, with the numbers that they carry.

The gradient on a wire is what its gate sends back to this operand alone; a node with several users receives their sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refgrad.draw.local_gradients import local_lines, product, sent_back
from refgrad.draw.numbers import SPACE, Lines, number, shown, together
from refgrad.errors import GraphError
from refgrad.graph import Graph, Node

Array = Any

SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "negative": "−x", "matmul": "@", "sum": "Σ", "prod": "Π",
    "square": "x²", "sqrt": "√x", "reciprocal": "1/x", "abs": "|x|", "sigmoid": "σ", "maximum": "max", "minimum": "min",
    "power": "xʸ",
}  # fmt: skip
WITH_NUMBER = {  # a gate with a number built in: the number stands first, the number stands second
    "add": ("+{}", "+{}"), "subtract": ("{}−x", "−{}"), "multiply": ("×{}", "×{}"), "divide": ("{}/x", "÷{}"),
    "power": ("{}ˣ", "x{}"), "maximum": ("max {}", "max {}"), "minimum": ("min {}", "min {}"),
}  # fmt: skip
RAISED = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SYMMETRIC = {"add", "multiply", "maximum", "minimum", "fan_in"}  # the order of the operands says nothing


@dataclass(frozen=True, slots=True)
class Gate:
    """A node as it is drawn.

    ``kind`` is input, constant, op, output, or block (repeated layers). ``key`` is equal for gates that do the same.
    ``total`` holds the gradients that add up here, where several edges leave.
    """

    text: Lines
    kind: str
    about: str
    key: tuple[Any, ...] = ()
    number: int = -1
    total: Lines = ()
    marked: bool = False
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge between two gates, with the arrays that it carries forward and back: one, or those of all layers of a block."""

    source: int
    target: int
    values: tuple[Array, ...] = ()
    gradients: tuple[Array, ...] = ()
    notes: Lines = ()  # local gradients
    product: Lines = ()  # upstream × local, written out
    words: str = ""  # the same in one line, where it is short

    @property
    def above(self) -> Lines:
        """The value."""
        return together(self.values) if self.values else ()

    @property
    def below(self) -> Lines:
        """The gradient. It has the shape of the value, so that large ones need not say it again."""
        if not self.gradients:
            return ()
        lines = together(self.gradients)
        large = self.values and len(lines) == 2 and lines[0] == self.above[0]
        return lines[1:] if large else lines


@dataclass(frozen=True, slots=True)
class Picture:
    """Gates in an order in which operands come before users, wires by target and operand, and what it is about."""

    gates: tuple[Gate, ...]
    wires: tuple[Wire, ...]
    title: str
    about: str


def picture(
    graph: Graph, name: str, local: bool = False, node: int | None = None, explain: bool = False
) -> Picture:
    """The picture of a graph with the values and cotangents that it holds (none, before its first forward)."""
    return _Picture(graph, name, local, node, explain).result()


class _Picture:
    def __init__(self, graph: Graph, name: str, local: bool, chosen: int | None, explain: bool) -> None:
        self.graph, self.name, self.local, self.chosen, self.explain = graph, name, local, chosen, explain
        self.values, self.bars = graph.values, graph.cotangents
        self.kept = graph.order()
        self.users: dict[int, list[int]] = {k: [] for k in self.kept}
        for k in self.kept:
            for j in graph.nodes[k].of:
                self.users[j].append(k)
        self.built_in = self._built_in()  # constants that are written into their gate
        self.parts: dict[int, list[Array]] = {k: [] for k in self.kept}  # the gradients that add up at a node

    def result(self) -> Picture:
        place: dict[int, int] = {}
        gates: list[Gate] = []
        wires: list[Wire] = []
        for k in self.kept:
            if k not in self.built_in:
                place[k] = len(gates)
                gates.append(self._gate(k))
                wires.extend(self._wires(k, place))
        outputs, seeds = self.graph.outputs, self._seeds()
        for i, k in enumerate(outputs):
            text = self.name if len(outputs) == 1 else f"{self.name}[{i}]"
            gates.append(Gate((text,), "output", f"output {text}", ("output",)))
            self.parts[k] += seeds[k]
            wires.append(Wire(place[k], len(gates) - 1, self._value(k), seeds[k]))
        for k, at in place.items():
            gates[at] = replace(gates[at], total=self._total(k))
        return Picture(tuple(gates), tuple(wires), *self._words())

    # --- gates ---

    def _built_in(self) -> set[int]:
        nodes = self.graph.nodes

        def plain(k: int) -> bool:
            return nodes[k].op is None and not nodes[k].name and np.ndim(nodes[k].value) == 0

        found = set()
        for k in self.kept:
            op, of = nodes[k].op, nodes[k].of
            if op is not None and op.name in WITH_NUMBER and len(of) == 2 and plain(of[0]) != plain(of[1]):
                found.add(of[0] if plain(of[0]) else of[1])
        return {
            j for j in found if all(nodes[k].op.name in WITH_NUMBER and not all(map(plain, nodes[k].of)) for k in self.users[j])  # type: ignore[union-attr]
            and j not in self.graph.outputs
        }  # fmt: skip

    def _gate(self, k: int) -> Gate:
        n = self.graph.nodes[k]
        marked = k == self.chosen
        if n.op is None and n.name:
            return Gate((n.name,), "input", f"node {k}: input {n.name}", ("input",), k, marked=marked)
        if n.op is None:
            text = number(n.value) if np.ndim(n.value) == 0 else "constant"
            return Gate((text,), "constant", f"node {k}: constant", ("constant",), k, marked=marked)
        given = {key: repr(v) for key, v in sorted(n.params.items())}
        changed = {key: v for key, v in given.items() if v != repr(n.op.signature.defaults.get(key))}
        words = "".join(f", {key}={' '.join(v.split())[:60]}" for key, v in changed.items())
        of = ", ".join(f"{self.graph.nodes[j].value}" if j in self.built_in else f"node {j}" for j in n.of)
        shape = np.shape(self.values[k]) if self.values is not None else ()
        text = self._symbol(n)
        return Gate(
            (text,), "op", f"node {k}: {n.op.name} of {of}{words}", (text, *given.items(), shape), k, marked=marked,
            fixed=n.op.name not in SYMMETRIC,
        )  # fmt: skip

    def _symbol(self, n: Node) -> str:
        assert n.op is not None
        for position, j in enumerate(n.of):
            if j in self.built_in:
                text = number(self.graph.nodes[j].value)
                if n.op.name == "power" and position == 1:
                    text = text.translate(RAISED) if set(text) <= set(map(chr, RAISED)) else f"^{text}"
                return WITH_NUMBER[n.op.name][position].format(text).replace("+−", "−").replace("−−", "+")
        if n.op.name == "getitem" and isinstance(n.params["key"], int):
            return f"[{n.params['key']}]"
        return SYMBOLS.get(n.op.name, n.op.name)

    def _total(self, k: int) -> Lines:
        parts = self.parts[k]
        if len(parts) < 2 or self.bars is None:
            return ()
        total = shown(self.bars[k])
        if k == self.chosen and np.ndim(self.bars[k]) == 0:
            return (" + ".join(number(p) for p in parts).replace("+ −", "− ") + f" = {total[0]}",)
        written_out = len(total) > 1 and total[0].startswith(
            "["
        )  # a matrix, whose rows stand under each other
        return ("Σ", *total) if written_out else (f"Σ {total[0]}", *total[1:])

    # --- wires ---

    def _value(self, k: int) -> tuple[Array, ...]:
        return () if self.values is None else (self.values[k],)

    def _wires(self, k: int, place: dict[int, int]) -> list[Wire]:
        n = self.graph.nodes[k]
        sent = sent_back(self.graph, k)
        wires = []
        for position, j in enumerate(n.of):
            if j in self.built_in:
                continue
            source = self.graph.nodes[j]
            constant = source.op is None and not source.name
            wire = Wire(place[j], place[k])
            if not (constant and np.ndim(source.value) == 0):  # such a number stands in its own gate
                wire = replace(wire, values=self._value(j))
            if position in sent and not constant:
                self.parts[j].append(sent[position])
                wire = replace(wire, gradients=(sent[position],))
                if k == self.chosen:
                    wire = replace(wire, product=product(self.graph, k, position, sent[position]))
                elif self.local:
                    wire = replace(wire, notes=local_lines(self.graph, k, position))
                if self.explain:
                    words = " ".join(product(self.graph, k, position, sent[position]))
                    wire = replace(wire, words=words.replace(SPACE, " ").strip())
            wires.append(wire)
        return wires

    def _seeds(self) -> dict[int, tuple[Array, ...]]:
        """Where backward started at each output: what its gradient has beyond the contributions of its users."""
        if self.bars is None:
            return dict.fromkeys(self.graph.outputs, ())
        times = Counter(self.graph.outputs)
        return {k: ((self.bars[k] - sum(self.parts[k])) / times[k],) for k in times}

    # --- words ---

    def _words(self) -> tuple[str, str]:
        nodes = self.graph.nodes
        ops = sum(nodes[k].op is not None for k in self.kept)
        inputs = {nodes[k].name: k for k in self.kept if nodes[k].name}
        about = f"Inputs: {len(inputs)}. Operations: {ops}. It reads from left to right."
        if self.values is not None:
            results = "; ".join(" ".join(shown(self.values[k])) for k in self.graph.outputs)
            about += f" Above each edge stands the value. Result: {results}."
        if self.bars is not None:
            found = [
                f"{x} {' '.join(shown(self.bars[k]))}" for x, k in inputs.items() if self.bars[k] is not None
            ]
            about += f" Below each edge stands the gradient. Gradients: {'; '.join(found[:8])}"
            about += " and more." if len(found) > 8 else "."
        return f"Computational graph of {self.name}", about


def find(graph: Graph, node: int | str | None) -> int | None:
    """The number of a node given by number, by an input's name or by the name of an op that occurs once."""
    if node is None:
        return None
    kept = graph.order()
    if isinstance(node, str):
        found = [k for k in kept if str(graph.nodes[k]) == node]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{k} {graph.nodes[k]}" for k in (found or kept)[:40])
        raise GraphError(
            f"node {node!r} is {'not one node' if found else 'none'} of this graph; give a number: {known}"
        )
    if node not in kept:
        known = ", ".join(f"{k} {graph.nodes[k]}" for k in kept[:40])
        raise GraphError(f"node {node!r} is none of the nodes that are drawn: {known}")
    return node


def checked(found: Sequence[Any], most: int) -> None:
    """Raise GraphError where there are more gates than can be drawn."""
    if len(found) > most:
        raise GraphError(
            f"the graph has {len(found)} nodes that do not fold into repeated layers; {most} can be drawn. Draw a part of it"
        )
