"""The content of a drawing: gates and wires, with their numbers.

The gradient of a wire is the contribution of its gate to the operand's gradient. A node with several users receives the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.draw.local_gradients import local_lines, product, sent_back
from refgrad.draw.numbers import SPACE, Lines, array_lines, common_lines, number
from refgrad.errors import GraphError
from refgrad.graph import Graph, Node

RAISED = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, slots=True)
class Gate:
    """A node of a drawing.

    kind     input, constant, op, output, or block (repeated layers)
    about    the tooltip
    key      equal for gates with the same op, parameters and shape
    number   the number of the node, -1 for others
    total    the sum of gradients, where several edges leave
    marked   whether the gate is highlighted
    fixed    whether the order of its operands matters
    """

    text: Lines
    kind: str
    about: str
    key: tuple[object, ...] = ()
    number: int = -1
    total: Lines = ()
    marked: bool = False
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge between two gates, with its values and gradients: one each, or those of all layers of a block.

    notes     the local derivative
    product   upstream × local, written out
    words     the product in one line
    """

    source: int
    target: int
    values: tuple[PlainArray, ...] = ()
    gradients: tuple[PlainArray, ...] = ()
    notes: Lines = ()
    product: Lines = ()
    words: str = ""

    @property
    def above(self) -> Lines:
        """The value as lines of text."""
        return common_lines(self.values) if self.values else ()

    @property
    def below(self) -> Lines:
        """The gradient as lines of text; without its shape where that of the value is shown."""
        if not self.gradients:
            return ()
        lines = common_lines(self.gradients)
        large = self.values and len(lines) == 2 and lines[0] == self.above[0]
        return lines[1:] if large else lines


@dataclass(frozen=True, slots=True)
class Picture:
    """Gates, operands before users; wires, sorted by target and operand; a title and a description."""

    gates: tuple[Gate, ...]
    wires: tuple[Wire, ...]
    title: str
    about: str


def picture(
    graph: Graph, name: str, local: bool = False, node: int | None = None, explain: bool = False
) -> Picture:
    """The picture of a graph with the values and cotangents that it holds; it holds none before its first forward.

    name      the name of the function
    local     whether wires get local derivatives
    node      the node whose products are written out
    explain   whether all products are written in words
    """
    return _Picture(graph, name, local, node, explain).result()


def _with_number(text: str, value: str) -> str:
    """The text of a gate with its number: as an exponent after ``^``, and with one sign where two meet."""
    if "^{}" in text and set(value) <= set(map(chr, RAISED)):
        text, value = text.replace("^{}", "{}"), value.translate(RAISED)
    return text.format(value).replace("+−", "−").replace("−−", "+")


class _Picture:
    def __init__(self, graph: Graph, name: str, local: bool, chosen: int | None, explain: bool) -> None:
        self.graph, self.name, self.local, self.chosen, self.explain = graph, name, local, chosen, explain
        self.values, self.cotangents = graph.values, graph.cotangents
        self.order = graph.order()
        self.users: dict[int, list[int]] = {k: [] for k in self.order}
        for k in self.order:
            for j in graph.nodes[k].of:
                self.users[j].append(k)
        self.built_in = self._built_in()  # constants that are part of their users' symbols
        # to each node's gradient
        self.contributions: dict[int, list[PlainArray]] = {k: [] for k in self.order}

    def result(self) -> Picture:
        place: dict[int, int] = {}
        gates: list[Gate] = []
        wires: list[Wire] = []
        for k in self.order:
            if k not in self.built_in:
                place[k] = len(gates)
                gates.append(self._gate(k))
                wires.extend(self._wires(k, place))
        outputs, seeds = self.graph.outputs, self._seeds()
        for i, k in enumerate(outputs):
            text = self.name if len(outputs) == 1 else f"{self.name}[{i}]"
            gates.append(Gate((text,), "output", f"output {text}", ("output",)))
            self.contributions[k] += seeds[k]
            wires.append(Wire(place[k], len(gates) - 1, self._value(k), seeds[k]))
        for k, at in place.items():
            gates[at] = replace(gates[at], total=self._total(k))
        return Picture(tuple(gates), tuple(wires), *self._words())

    # --- gates ---

    def _built_in(self) -> set[int]:
        nodes = self.graph.nodes

        def is_number(k: int) -> bool:
            return nodes[k].op is None and not nodes[k].name and np.ndim(nodes[k].value) == 0

        found = set()
        for k in self.order:
            op, of = nodes[k].op, nodes[k].of
            if op is not None and op.notation.with_number and is_number(of[0]) != is_number(of[1]):
                found.add(of[0] if is_number(of[0]) else of[1])

        def written(k: int) -> bool:
            """Whether node k writes its one number into its gate."""
            op = nodes[k].op
            return op is not None and bool(op.notation.with_number) and not all(map(is_number, nodes[k].of))

        return {j for j in found if j not in self.graph.outputs and all(map(written, self.users[j]))}

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
            fixed=not n.op.commutes,
        )  # fmt: skip

    def _symbol(self, n: Node) -> str:
        assert n.op is not None
        notation = n.op.notation
        for position, j in enumerate(n.of):
            if j in self.built_in and notation.with_number:
                return _with_number(notation.with_number[position], number(self.graph.nodes[j].value))
        of_params = notation.of_params(n.params) if notation.of_params is not None else None
        return of_params or notation.symbol or n.op.name

    def _total(self, k: int) -> Lines:
        contributions = self.contributions[k]
        if len(contributions) < 2 or self.cotangents is None:
            return ()
        total = array_lines(self.cotangents[k])
        if k == self.chosen and np.ndim(self.cotangents[k]) == 0:
            return (" + ".join(number(p) for p in contributions).replace("+ −", "− ") + f" = {total[0]}",)
        is_matrix = len(total) > 1 and total[0].startswith("[")
        return ("Σ", *total) if is_matrix else (f"Σ {total[0]}", *total[1:])

    # --- wires ---

    def _value(self, k: int) -> tuple[PlainArray, ...]:
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
            if not (constant and np.ndim(source.value) == 0):  # the gate of a constant shows its number
                wire = replace(wire, values=self._value(j))
            if position in sent and not constant:
                self.contributions[j].append(sent[position])
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

    def _seeds(self) -> dict[int, tuple[PlainArray, ...]]:
        """The initial cotangent of each output: its gradient without the contributions of its users."""
        if self.cotangents is None:
            return dict.fromkeys(self.graph.outputs, ())
        times = Counter(self.graph.outputs)
        return {k: ((self.cotangents[k] - sum(self.contributions[k])) / times[k],) for k in times}

    # --- words ---

    def _words(self) -> tuple[str, str]:
        nodes = self.graph.nodes
        ops = sum(nodes[k].op is not None for k in self.order)
        inputs = {nodes[k].name: k for k in self.order if nodes[k].name}
        about = f"Inputs: {len(inputs)}. Operations: {ops}. It reads from left to right."
        if self.values is not None:
            results = "; ".join(" ".join(array_lines(self.values[k])) for k in self.graph.outputs)
            about += f" Above each edge stands the value. Result: {results}."
        if self.cotangents is not None:
            found = [
                f"{x} {' '.join(array_lines(self.cotangents[k]))}"
                for x, k in inputs.items()
                if self.cotangents[k] is not None
            ]
            about += f" Below each edge stands the gradient. Gradients: {'; '.join(found[:8])}"
            about += " and more." if len(found) > 8 else "."
        return f"Computational graph of {self.name}", about


def find_node(graph: Graph, node: int | str | None) -> int | None:
    """The number of a node given by number, by an input's name or by the name of an op that occurs once.

    Raises GraphError where there is no such node, or more than one.
    """
    if node is None:
        return None
    order = graph.order()
    if isinstance(node, str):
        found = [k for k in order if str(graph.nodes[k]) == node]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{k} {graph.nodes[k]}" for k in (found or order)[:40])
        raise GraphError(
            f"node {node!r} is {'not one node' if found else 'none'} of this graph; give a number: {known}"
        )
    if node not in order:
        known = ", ".join(f"{k} {graph.nodes[k]}" for k in order[:40])
        raise GraphError(f"node {node!r} is none of the nodes that are drawn: {known}")
    return node


def check_size(found: Sequence[object], most: int) -> None:
    """Raise GraphError where there are more gates than a drawing may have."""
    if len(found) > most:
        raise GraphError(
            f"the graph has {len(found)} nodes that do not fold into repeated layers; {most} can be drawn. Draw a part of it"
        )
