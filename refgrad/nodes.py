"""The nodes of a computational graph: their order, the accumulation of derivatives along it, and JSON.

Nodes are numbered so that every operand comes before its user. So their numbers are a topological order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from refgrad.arrays import Array
from refgrad.errors import CaseFileError, GraphError
from refgrad.node import Node
from refgrad.tracing.cotangents import accumulate, summed

SCHEMA = 1
Values = Sequence[Any]  # of all nodes: arrays, None for pruned nodes


class Nodes:
    """The nodes of a graph, and which of them are its outputs."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.outputs: tuple[int, ...] = ()

    # --- reading ---

    @property
    def inputs(self) -> dict[str, int]:
        """Names of the inputs and their node numbers."""
        return {n.name: k for k, n in enumerate(self.nodes) if n.op is None and n.name}

    def order(self) -> list[int]:
        """The numbers of the nodes that the outputs depend on, operands before users. Raises GraphError without an output."""
        if not self.outputs:
            raise GraphError("the graph has no output yet: call g.output(node)")
        needed = set(self.outputs)
        for k in range(max(needed), -1, -1):
            if k in needed:
                needed.update(self.nodes[k].of)
        return sorted(needed)

    def pruned(self) -> Self:
        """A new graph without the nodes that no output depends on; inputs stay. Raises GraphError without an output."""
        keep = sorted(set(self.order()) | set(self.inputs.values()))
        place = {k: i for i, k in enumerate(keep)}
        graph = type(self)()
        for k in keep:
            n = self.nodes[k]
            graph.nodes.append(Node(n.name, n.value, n.op, tuple(place[j] for j in n.of), n.params))
        graph.outputs = tuple(place[k] for k in self.outputs)
        return graph

    # --- accumulation: every derivative of a graph goes through these two ---

    def forward_accumulation(self, values: Values, tangents: Mapping[str, Array]) -> list[Array | None]:
        """The tangents of all nodes, None where no derivative arrives.

        values      of all nodes, as ``run`` gives them
        tangents    of the inputs by name, each of the shape of its input
        """
        dots: list[Array | None] = [None] * len(self.nodes)
        for k in self.order():
            node = self.nodes[k]
            if node.op is None:
                dots[k] = tangents[node.name] if node.name else None
            else:
                dots[k] = node.tangent([values[j] for j in node.of], values[k], [dots[j] for j in node.of])
        return dots

    def reverse_accumulation(
        self,
        values: Values,
        cotangents: Iterable[tuple[int, Array]],
        sent: list[Array] | None = None,
    ) -> list[Array | None]:
        """The cotangents of all nodes, None where no output depends on a node.

        values        of all nodes, as ``run`` gives them
        cotangents    of outputs: pairs of a node and a cotangent of its shape
        sent          gathers what each node sends to each of its operands
        """
        bars: list[Any] = [None] * len(self.nodes)
        for k, y_bar in cotangents:
            accumulate(bars, k, y_bar)
        for k in reversed(self.order()):
            node, y_bar = self.nodes[k], summed(bars, k)
            if y_bar is not None and node.op is not None:
                for _, j, x_bar in node.contributions([values[j] for j in node.of], values[k], y_bar):
                    accumulate(bars, j, x_bar)
                    if sent is not None:
                        sent.append(x_bar)
        return bars

    # --- JSON ---

    def to_dict(self) -> dict[str, Any]:
        """The graph as plain data, exactly."""
        return {"schema": SCHEMA, "nodes": [n.to_dict() for n in self.nodes], "outputs": list(self.outputs)}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """The graph that to_dict wrote. Raises CaseFileError naming the node that cannot be read."""
        if (
            not isinstance(data, dict)
            or data.get("schema") != SCHEMA
            or not isinstance(data.get("nodes"), list)
        ):
            raise CaseFileError(
                f"a graph is an object with schema {SCHEMA}, nodes and outputs; got {type(data).__name__} {str(data)[:80]}"
            )
        graph = cls()
        for k, entry in enumerate(data["nodes"]):
            try:
                graph.nodes.append(Node.from_dict(entry, k))
            except (CaseFileError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise CaseFileError(f"node {k} of the graph cannot be read: {error}") from error
        names = [n.name for n in graph.nodes if n.name]
        if len(set(names)) < len(names):
            raise CaseFileError(f"inputs of a graph have different names; got {names}")
        outputs = data.get("outputs")
        if not isinstance(outputs, list) or not all(
            type(k) is int and 0 <= k < len(graph.nodes) for k in outputs
        ):
            raise CaseFileError(f"outputs are numbers of nodes below {len(graph.nodes)}; got {outputs!r}")
        graph.outputs = tuple(outputs)
        return graph

    def to_json(self) -> str:
        """The graph as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The graph that to_json wrote. Raises CaseFileError."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise CaseFileError(f"not JSON: {error}") from error
