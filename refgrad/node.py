"""A node of a computational graph: an input, a constant or an op on earlier nodes; what it sends back, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.encode import decode_array, decode_param, encode_array, encode_param
from refgrad.errors import CaseFileError
from refgrad.op import REGISTRY, Op, Params, RuleInputs
from refgrad.quiet import quietly
from refgrad.tracing.cotangents import fit
from refgrad.tracing.special_points import met

Array = Any


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An input (it has a name), a constant (it has a value), or an op applied to earlier nodes."""

    name: str = ""
    value: Array = None
    op: Op | None = None
    of: tuple[int, ...] = ()
    params: Params = field(default_factory=dict)

    def __str__(self) -> str:
        if self.op is not None:
            return self.op.name
        return self.name or "constant"

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
        if name not in REGISTRY:
            raise CaseFileError(
                f"op {name!r} is not known to this version of refgrad; `refgrad ops` lists those that are"
            )
        if not all(type(j) is int and 0 <= j < k for j in of):
            raise CaseFileError(f"operands {of} are not numbers of earlier nodes")
        op = REGISTRY[name]
        given = {key: decode_param(v) for key, v in entry.get("with", {}).items()}
        if given.keys() - op.signature.defaults.keys():
            raise CaseFileError(
                f"op {name!r} has parameters {sorted(op.signature.defaults)}, got {sorted(given)}"
            )
        if not op.signature.variadic and len(of) != len(op.signature.operands):
            raise CaseFileError(f"op {name!r} takes operands {op.signature.operands}, got {len(of)}")
        return cls(op=op, of=of, params={**op.signature.defaults, **given})


def contributions(node: Node, k: int, values: list[Array], y_bar: Array) -> list[tuple[int, int, Array]]:
    """What node k sends back to its operands: (position, operand's node, cotangent) for each operand with a derivative."""
    return quietly(_contributions, node, k, values, y_bar)


def _contributions(node: Node, k: int, values: list[Array], y_bar: Array) -> list[tuple[int, int, Array]]:
    assert node.op is not None
    sig = node.op.signature
    operands, y = tuple([values[j] for j in node.of]), values[k]
    active = tuple(
        [hasattr(x, "dtype") and x.dtype.kind == "f" for x in operands]
    )  # Python numbers are constants
    sent: list[tuple[int, int, Array]] = []
    if not sig.differentiable:
        return sent
    exceptional = met(node.op, operands, node.params, y)

    def pulled(needs: RuleInputs, position: int) -> Any:
        rule = needs.rule if exceptional is None else exceptional.pulled(needs.rule, position)
        return rule(y_bar, *needs.collect(operands, y, node.params, active))

    if sig.variadic:
        assert sig.vjp[0] is not None
        answers = pulled(sig.vjp[0], 0)
    else:
        answers = [
            pulled(needs, position) if needs is not None and a else None
            for position, (needs, a) in enumerate(zip(sig.vjp, active, strict=True))
        ]
    for position, (j, x, x_bar) in enumerate(zip(node.of, operands, answers, strict=True)):
        if x_bar is not None:
            sent.append((position, j, fit(x_bar, x.shape, x.dtype, node.op)))
    return sent
