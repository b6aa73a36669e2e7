"""A node of a computational graph: an input, a constant or an op on earlier nodes; its value, its derivatives, and how it is written.

In the place of an op there may be a function (refgrad.op.function). Its derivatives are those of the ops in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import refgrad.complex  # noqa: F401 - it declares functions
from refgrad import (
    functions,  # noqa: F401 - rules call NumPy functions, which traced arrays know from it
    nn,  # noqa: F401 - it declares functions
    special,  # noqa: F401 - it declares functions
)
from refgrad.arrays import Operand, Params
from refgrad.encode import decode_array, decode_param, encode_array, encode_param
from refgrad.errors import CaseFileError, GraphError
from refgrad.op import Function, Op, apply, known
from refgrad.quiet import quietly
from refgrad.tracing.entry import Entry
from refgrad.tracing.forward import push
from refgrad.transforms import jvp, vjp


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An input (it has a name), a constant (it has a value), or an op or a function applied to earlier nodes.

    The methods take the values of the operands in the order of ``of``, and ``y``, the value of the node. All may be traced.
    """

    name: str = ""
    value: Any = None  # of a constant: an array or a Python number
    op: Op | Function | None = None
    of: tuple[int, ...] = ()
    params: Params = field(default_factory=dict)

    def __str__(self) -> str:
        if self.op is not None:
            return self.op.name
        return self.name or "constant"

    def applied(self, operands: Sequence[Operand]) -> Any:
        """The value of the node: its op on these operands."""
        assert self.op is not None
        if isinstance(self.op, Function):
            return self.op.forward(*operands, **self.params)
        y = apply(self.op, tuple(operands), self.params)
        if y.dtype.kind == "c":
            raise no_complex_values(self)
        return y

    def contributions(self, operands: Sequence[Any], y: Any, y_bar: Any) -> list[tuple[int, int, Any]]:
        """What the node sends back for its cotangent y_bar: (position, operand's node, cotangent) of each operand with a derivative.

        A cotangent has the shape and dtype of its operand. Python numbers and arrays of integers have none.
        """
        return quietly(self._contributions, tuple(operands), y, y_bar)

    def _contributions(self, operands: tuple[Any, ...], y: Any, y_bar: Any) -> list[tuple[int, int, Any]]:
        assert self.op is not None
        active = tuple([hasattr(x, "dtype") and x.dtype.kind == "f" for x in operands])
        if isinstance(self.op, Function):
            places = [k for k, a in enumerate(active) if a]
            _, pullback = vjp(self._confined(operands, places), *[operands[k] for k in places])
            return [(k, self.of[k], x_bar) for k, x_bar in zip(places, pullback(y_bar), strict=True)]
        entry = Entry.of(self.op, self.of, operands, self.params, active, y)
        x_bars = entry.cotangents(y_bar)
        return [(edge.position, edge.place, x_bar) for edge, x_bar in zip(entry.edges, x_bars, strict=True)]

    def tangent(self, operands: Sequence[Any], y: Any, tangents: Sequence[Any]) -> Any:
        """The tangent of the node, of y's shape, from those of its operands (None for a constant); None where no derivative arrives."""
        active = tuple([x_dot is not None for x_dot in tangents])
        if self.op is None or not self.op.signature.differentiable or not any(active):
            return None
        if isinstance(self.op, Function):
            places = [k for k, a in enumerate(active) if a]
            xs, x_dots = [[given[k] for k in places] for given in (operands, tangents)]
            return quietly(jvp, self._confined(operands, places), tuple(xs), tuple(x_dots))[1]
        return quietly(push, self.op, tuple(operands), self.params, active, list(tangents), y)

    def _confined(self, operands: Sequence[Any], places: Sequence[int]) -> Callable[..., Any]:
        """The value as a function of the operands at some places; the others stay constant."""

        def value(*xs: Any) -> Any:
            given = dict(zip(places, xs, strict=True))
            return self.applied([given.get(k, x) for k, x in enumerate(operands)])

        return value

    def to_dict(self) -> dict[str, Any]:
        """The node as plain data, exactly."""
        if self.op is not None:
            params = {k: encode_param(v) for k, v in sorted(self.params.items())}
            return {"op": self.op.name, "of": list(self.of), "with": params}
        if self.name:
            return {"input": self.name}
        if isinstance(self.value, (bool, int, float)) and not isinstance(self.value, np.generic):
            return {"number": encode_param(self.value)}  # Python's, which does not widen float32
        return {"constant": encode_array(self.value)}

    @classmethod
    def from_dict(cls, entry: Any, k: int) -> Node:
        """The node that to_dict wrote, at place k of its graph. Raises CaseFileError, or what comes of an entry that is no such thing."""
        if "input" in entry:
            if not entry["input"] or not isinstance(entry["input"], str):
                raise CaseFileError(f"an input has a name, got {entry['input']!r}")
            return cls(name=entry["input"])
        if "number" in entry:
            value = decode_param(entry["number"])
            if not isinstance(value, (bool, int, float)):
                raise CaseFileError(f"a number is expected, got {value!r}")
            return cls(value=value)
        if "constant" in entry:
            return cls(value=decode_array(entry["constant"]))
        name, of = entry["op"], tuple(entry["of"])
        op = known(name)
        if op is None:
            raise CaseFileError(
                f"op {name!r} is not known to this version of refgrad; `refgrad ops` lists those that are"
            )
        if not all(type(j) is int and 0 <= j < k for j in of):
            raise CaseFileError(f"operands {of} are not numbers of earlier nodes")
        given = {key: decode_param(v) for key, v in entry.get("with", {}).items()}
        usual = op.names if isinstance(op, Function) else op.signature.defaults.keys()
        if given.keys() - {*usual}:
            raise CaseFileError(f"op {name!r} has parameters {sorted(usual)}, got {sorted(given)}")
        given = (
            op.completed(given, len(of)) if isinstance(op, Function) else {**op.signature.defaults, **given}
        )
        names = op.operands(given) if isinstance(op, Function) else op.signature.operands
        if not op.signature.variadic and len(of) != len(names):
            raise CaseFileError(f"op {name!r} takes operands {names}, got {len(of)}")
        return cls(op=op, of=of, params=given)


def no_complex_values(node: Node) -> GraphError:
    """The error for a node whose value is complex: records, drawings and judgements of graphs are for real numbers."""
    return GraphError(
        f"node {node} has a complex value, and a graph holds real numbers. Record real and imaginary parts as two arrays; rg.grad, rg.jvp "
        "and rg.vjp differentiate complex numbers."
    )
