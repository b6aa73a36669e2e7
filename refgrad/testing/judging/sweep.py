"""A forward and a reverse sweep over a graph, node by node, over Balls. A subclass may change what each node gives."""

from __future__ import annotations

import functools
from typing import Any

from refgrad.bounds.formats import Format
from refgrad.graph import Node
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.tracing.ball import exact
from refgrad.tracing.cotangents import accumulate, summed


class Sweep:
    """The values, cotangents and tangents of all nodes for the arrays of a case, None where there is none.

    case, fmt   the case, and the format of the Balls
    values      of all nodes that the output depends on
    """

    def __init__(self, case: Case, fmt: Format) -> None:
        self.case, self.graph, self.fmt = case, case.graph, fmt
        nodes = self.graph.nodes
        self.values: list[Any] = [
            exact(case.inputs[node.name], fmt) if node.name else node.value for node in nodes
        ]
        for k in self.graph.order():
            if nodes[k].op is not None:
                with quiet():
                    y = nodes[k].applied(self.operands(nodes[k]))
                self.values[k] = self.value(k, y)

    def operands(self, node: Node) -> list[Any]:
        """The values of the operands of a node."""
        return [self.values[j] for j in node.of]

    @functools.cached_property
    def cotangents(self) -> list[Any]:
        """The gradients of the case's cotangent times the output with respect to all nodes."""
        graph = self.graph
        bars: list[Any] = [None] * len(graph.nodes)
        accumulate(bars, graph.outputs[0], exact(self.case.cotangent, self.fmt))
        for k in reversed(graph.order()):
            node, y_bar = graph.nodes[k], summed(bars, k)
            if y_bar is None:
                continue
            bars[k] = y_bar = self.arriving(k, y_bar)
            if node.op is None:
                continue
            contributions = node.contributions(self.operands(node), self.values[k], y_bar)
            for position, j, x_bar in contributions:
                accumulate(bars, j, self.sent(k, position, x_bar, y_bar))
            sending = {position for position, *_ in contributions}
            for j, x_bar in self.others(k, [j for i, j in enumerate(node.of) if i not in sending]):
                accumulate(bars, j, x_bar)
        return bars

    @functools.cached_property
    def tangents(self) -> list[Any]:
        """The tangents of all nodes for those of the inputs."""
        graph = self.graph
        dots: list[Any] = [None] * len(graph.nodes)
        for k in graph.order():
            node = graph.nodes[k]
            if node.name:
                dots[k] = exact(self.case.tangents[node.name], self.fmt)
            elif node.op is not None:
                x_dots = [dots[j] for j in node.of]
                y_dot = node.tangent(self.operands(node), self.values[k], x_dots)
                dots[k] = None if y_dot is None else self.moved(k, y_dot, x_dots)
        return dots

    # What a subclass may change; the right results by default.

    def value(self, _k: int, y: Any) -> Any:
        """The value of node k."""
        return y

    def arriving(self, _k: int, y_bar: Any) -> Any:
        """The cotangent of node k."""
        return y_bar

    def sent(self, _k: int, _position: int, x_bar: Any, _y_bar: Any) -> Any:
        """What node k sends to the operand at a position."""
        return x_bar

    def others(self, _k: int, _operands: list[int]) -> list[tuple[int, Any]]:
        """What node k sends to operands by which it has no derivative: (node of the operand, cotangent)."""
        return []

    def moved(self, _k: int, y_dot: Any, _x_dots: list[Any]) -> Any:
        """The tangent of node k."""
        return y_dot
