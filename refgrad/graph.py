"""A computational graph as a value: built explicitly or recorded from running code; run, differentiated and drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refgrad.arguments import kind, outputs_of, result
from refgrad.arrays import Array, Params
from refgrad.errors import DtypeError, GraphError
from refgrad.node import Node, no_complex_values
from refgrad.nodes import SCHEMA, Nodes, Values
from refgrad.op import Op, apply, new_level, shape_of
from refgrad.painters import PAINTERS
from refgrad.quiet import quietly
from refgrad.tracing.array import TracedArray
from refgrad.tracing.caught_refusals import run
from refgrad.tracing.copies import snapshot
from refgrad.tree import flatten, paths


class Symbol(TracedArray):
    """A node of a graph under construction: use it like an array. It has a value only while code is being recorded."""

    __slots__ = ("_graph", "_index", "_value")

    def __init__(self, graph: Graph, index: int, value: Array | None = None) -> None:
        self._graph = graph
        self._index = index
        self._value = value

    @property
    def index(self) -> int:
        """The number of the node: ``g.values[a.index]`` is its value, ``g.cotangents[a.index]`` its gradient."""
        return self._index

    @property
    def _level(self) -> int:  # type: ignore[override]
        return self._graph.level

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        if self._value is None:
            raise GraphError(
                f"the shape of node {self._index} is known once data is bound; give it to g.input(name, shape=...) or record running code"
            )
        return shape_of(self._value)

    @property
    def dtype(self) -> np.dtype[Any]:
        if self._value is None:
            raise GraphError(f"the dtype of node {self._index} is known once data is bound")
        return _array(self._value).dtype

    def __bool__(self) -> bool:
        if self._value is None:
            raise GraphError(
                f"a branch on node {self._index}: its value is known once data is bound. Use np.where, or Graph.record"
            )
        return bool(self._value)

    def __repr__(self) -> str:
        return f"<node {self._index}: {self._graph.nodes[self._index]}>"

    def _become(self, other: Any) -> None:
        self._index, self._value = other._index, other._value

    def _snapshot(self) -> Symbol:
        return Symbol(self._graph, self._index, self._value)

    def _constant(self, y: Array) -> Symbol:
        return self._graph.constant(y)

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        graph: Graph = top._graph
        symbols = [graph._symbol(x) for x in operands]
        known = all(s._value is not None for s in symbols)
        with np.errstate(all="ignore"):  # values of inputs declared by shape alone are placeholders
            y = apply(op, tuple([s._value for s in symbols]), params) if known else None
        return graph._append(Node(op=op, of=tuple([s._index for s in symbols]), params=snapshot(params)), y)


class Graph(Nodes):
    """A computational graph: inputs, constants and ops on earlier nodes, some of which are outputs.

    Built step by step::

        g = rg.Graph()
        a, b = g.input("a"), g.input("b")
        g.output(2 * a + b**2)
        y = g.forward(a=3.0, b=4.0)    # 22.0
        gradients = g.backward()       # {"a": 2.0, "b": 8.0}

    or recorded from code that runs once: ``Graph.record(f, *args)``. A graph is also a function of its inputs that refgrad
    differentiates like any other: ``rg.grad(g)(3.0, 4.0)``.

    nodes, outputs    the nodes in topological order, and the numbers of those that are outputs
    values            of all nodes in the last ``forward``, None for nodes that no output depends on
    cotangents        of all nodes in the last ``backward``, None where no output depends on a node
    """

    def __init__(self) -> None:
        super().__init__()
        self.level = new_level()
        self.values: list[Any] | None = None  # of the last forward; None for pruned nodes
        self.cotangents: list[Any] | None = None  # of the last backward

    # --- building ---

    def input(self, name: str, shape: tuple[int, ...] | None = None) -> Symbol:
        """A new input, which ``forward`` binds by this name; values of any real dtype are accepted.

        With a ``shape``, code that asks for shapes works before data is bound.

        Raises GraphError for an empty name, or one that the graph has already.
        """
        if not name or not isinstance(name, str):
            raise GraphError(f"an input has a name, got {name!r}")
        if any(n.name == name for n in self.nodes):
            raise GraphError(f"the graph has an input named {name!r} already")
        return self._append(Node(name=name), None if shape is None else np.zeros(shape))

    def constant(self, value: Any) -> Symbol:
        """A constant node: a number or an array of any shape, which is copied."""
        value = np.array(value)
        return self._append(Node(value=value), value)

    def output(self, *symbols: Symbol) -> Graph:
        """Say which nodes are the outputs; returns the graph. Raises GraphError for what is no node of this graph."""
        for s in symbols:
            if not isinstance(s, Symbol) or s._graph is not self:
                raise GraphError(f"an output is a node of this graph, got {s!r}")
        self.outputs = tuple(s._index for s in symbols)
        return self

    @classmethod
    def record(cls, f: Callable[..., Any], *args: Any) -> Graph:
        """The graph of f as it runs on ``args``, arrays of any shapes and real dtypes, or nested containers of them.

        Inputs are named after f's parameters, entries of containers after their paths: ``params['w']``. Branches and loops are
        recorded as they were taken for these arguments.

        Raises DtypeError for an argument that holds no numbers, and what a transformation of f raises.

        Example::

            g = rg.Graph.record(lambda x, w: np.tanh(x @ w), x, w)
            g.forward(x, w)
            g.backward(np.ones(2))["w"]    # (3, 2), the shape of w
        """
        try:
            names = list(inspect.signature(f).parameters)
        except (TypeError, ValueError):
            names = []
        leaves, rebuild = flatten(args)
        graph = cls()
        symbols = []
        for path, x in zip(paths(args), leaves, strict=True):
            position, _, rest = path[1:].partition("]")
            name = names[int(position)] if int(position) < len(names) else f"x{position}"
            symbols.append(
                graph._append(Node(name=name + rest), snapshot(_number(x, f"Graph.record: {name}{rest}")))
            )
        what = "Graph.record: what f returned"
        results, _ = outputs_of(run(f, rebuild(symbols), {}), what, None)
        return graph.output(*[graph._symbol(_array(result(y, what))) for y in results])

    def _append(self, node: Node, value: Array | None) -> Symbol:
        if value is not None and getattr(value, "dtype", np.dtype(float)).kind == "c":
            raise no_complex_values(node)
        self.nodes.append(node)
        return Symbol(self, len(self.nodes) - 1, value)

    def _symbol(self, x: Any) -> Symbol:
        if isinstance(x, Symbol):
            if x._graph is not self:
                raise GraphError(f"node {x!r} belongs to another graph")
            return x
        x = snapshot(x)
        return self._append(Node(value=x), x)

    # --- running ---

    def _bind(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[int, Array]:
        inputs = self.inputs
        if not named and [type(x) for x in args] == [dict]:
            args, named = (), next(iter(args))
        if len(args) > len(inputs):
            raise GraphError(f"the graph has {len(inputs)} inputs {list(inputs)}, got {len(args)} values")
        bound = dict(zip(inputs, args, strict=False))
        wrong = (named.keys() - inputs.keys()) | (named.keys() & bound.keys())
        if wrong:
            raise GraphError(
                f"{sorted(wrong)} bound twice or not inputs of this graph; its inputs are {list(inputs)}"
            )
        bound |= named
        missing = inputs.keys() - bound.keys()
        if missing:
            raise GraphError(f"inputs {sorted(missing)} have no value")
        return {inputs[name]: _array(x) for name, x in bound.items()}

    def run(self, *args: Any, **named: Any) -> list[Any]:
        """Values of all inputs and of all nodes the outputs depend on, None for the others.

        The inputs are given by position, by name or as one dict, with values of any shapes that the ops accept. They may be traced.

        Raises GraphError for inputs that are missing, unknown or given twice, and for a graph without output.
        """
        bound = self._bind(args, named)
        values: list[Any] = [bound.get(k) for k in range(len(self.nodes))]
        for k in self.order():
            node = self.nodes[k]
            if node.op is not None:
                values[k] = node.applied([values[j] for j in node.of])
            elif not node.name:
                values[k] = node.value
        return values

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The outputs for inputs given as for ``run``, a tuple where there are several. Keeps nothing; the inputs may be traced."""
        return self._results(self.run(*args, **named))

    def _results(self, values: Values) -> Any:
        """The values of the outputs, as arrays of their own."""
        results = tuple([snapshot(values[k]) for k in self.outputs])
        return results[0] if len(results) == 1 else results

    def forward(self, *args: Any, **named: Any) -> Any:
        """Run the graph and keep the value of every node in ``values``; the inputs are given as for ``run``.

        Returns the outputs, a tuple where there are several. Raises GraphError as ``run``.
        """
        values = self.run(*args, **named)
        self.values, self.cotangents = [None if x is None else snapshot(x) for x in values], None
        return self._results(values)

    def backward(self, *cotangents: Any) -> dict[str, Array]:
        """Gradients of the inputs by name, for the last ``forward``. Keeps the gradient of every node in ``cotangents``.

        ``cotangents`` are one for each output, of its shape; they may be left out where every output has shape (), and are then 1.
        A gradient has the shape and dtype of its input, and is zero where no output depends on it.

        Raises GraphError before a forward and for cotangents that do not fit, DtypeError where an output is no floating-point number.
        """
        if self.values is None:
            raise GraphError("backward needs values: call g.forward(...) first")
        for k in self.outputs:
            if self.values[k].dtype.kind != "f":
                raise DtypeError(
                    f"backward: output node {k} has dtype {self.values[k].dtype}, and only a real floating-point value has gradients. "
                    "Where the inputs are whole numbers, pass them as floats: g.forward(x=3.0)"
                )
        if not cotangents:
            for k in self.outputs:
                if shape_of(self.values[k]) != ():
                    raise GraphError(
                        f"output node {k} has shape {shape_of(self.values[k])}: pass a cotangent of that shape to backward"
                    )
            cotangents = tuple(self.values[k].dtype.type(1) for k in self.outputs)
        if len(cotangents) != len(self.outputs):
            raise GraphError(f"the graph has {len(self.outputs)} outputs, got {len(cotangents)} cotangents")
        seeds = []
        for k, y_bar in zip(self.outputs, [_array(y_bar) for y_bar in cotangents], strict=True):
            if np.shape(y_bar) != shape_of(self.values[k]):
                raise GraphError(
                    f"the cotangent of output node {k} has shape {np.shape(y_bar)}, its value has {shape_of(self.values[k])}"
                )
            y_bar = (
                snapshot(y_bar) if y_bar.dtype == self.values[k].dtype else y_bar.astype(self.values[k].dtype)
            )
            seeds.append((k, y_bar))
        self.cotangents = bars = quietly(self.reverse_accumulation, self.values, seeds)
        zeros = {
            name: np.zeros(shape_of(self.values[k]), self.values[k].dtype)
            for name, k in self.inputs.items()
            if bars[k] is None
        }
        return {
            name: zeros[name] if bars[k] is None else snapshot(bars[k]) for name, k in self.inputs.items()
        }

    # --- drawing ---

    def draw(self, *args: Any, local: bool = False, node: int | str | None = None) -> str:
        """The graph as SVG text, with the numbers of the last forward and backward or for ``args``: see ``refgrad.draw``."""
        return PAINTERS[-1](self, *args, local=local, node=node)

    def _repr_svg_(self) -> str | None:
        """What a notebook shows; its own words where the graph cannot be drawn."""
        try:
            return self.draw()
        except GraphError:
            return None


def _number(x: Any, what: str) -> Array:
    """A leaf of the arguments of recorded code, as an array. Raises DtypeError for what is no number."""
    found = _array(x)
    if found.dtype.kind not in "fiub":
        raise DtypeError(
            f"{what} is {kind(x)} of dtype {found.dtype}; an array of real numbers is expected. Keep everything else out of the arguments: "
            "Graph.record(lambda x: f(x, setting), x)."
        )
    return found


def _array(x: Any) -> Array:
    return x if hasattr(x, "dtype") else np.asarray(x)


__all__ = ["SCHEMA", "Graph", "Node", "Symbol"]
