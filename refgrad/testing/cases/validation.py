"""Validation of cases: shapes, formats, and the order of derivatives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rounding import nearest
from refgrad.errors import CaseFileError
from refgrad.graph import Graph
from refgrad.quiet import quiet

# The exceptions that NumPy and ops raise for operands or parameters that they do not accept.
_REJECTIONS = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    MemoryError,
)


def validate(
    graph: Graph,
    inputs: Mapping[str, PlainArray],
    tangents: Mapping[str, PlainArray],
    cotangent: PlainArray,
    dtype: str,
    order: int,
) -> None:
    """Check that the parts of a case fit together.

    Every floating-point array must hold numbers of the judged format. A tangent must have the shape and kind of its input, the cotangent
    the shape of the output. Order 2 needs a graph of a single op. Raises CaseFileError naming the part, its value, and what is expected.
    """
    for name, x in inputs.items():
        _check_format(f"input {name!r}", x, dtype)
        _check_format(f"the tangent of input {name!r}", tangents[name], dtype)
        if tangents[name].shape != x.shape:
            raise CaseFileError(
                f"input {name!r} has shape {list(x.shape)}, its tangent {list(tangents[name].shape)}; they have to be the same"
            )
        if x.dtype.kind == "f" and tangents[name].dtype.kind != "f":
            raise CaseFileError(
                f"the tangent of input {name!r} has dtype {tangents[name].dtype}; a floating-point one is expected"
            )
    if cotangent.dtype.kind != "f":
        raise CaseFileError(f"the cotangent has dtype {cotangent.dtype}; a floating-point one is expected")
    _check_format("the cotangent", cotangent, dtype)
    ops = sum(graph.nodes[k].op is not None for k in graph.order())
    if order > 1 and ops > 1:
        raise CaseFileError(
            f"order is {order}, which asks a single op for its second derivatives, and the graph has {ops} ops: let order be 1"
        )
    shape = _output_shape(graph, inputs)
    if cotangent.shape != shape:
        raise CaseFileError(
            f"the cotangent has shape {list(cotangent.shape)}, the output {list(shape)}; they have to be the same"
        )


def _check_format(what: str, x: PlainArray, dtype: str) -> None:
    if x.dtype.kind != "f":
        return
    fmt = FORMATS[dtype]
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        other = ~((nearest(wide, fmt) == wide) | np.isnan(wide))
    if other.any():
        raise CaseFileError(
            f"{what} holds {float(wide[other][0])!r}, which is no {dtype} number: round it to {dtype}"
        )


def _output_shape(graph: Graph, inputs: Mapping[str, PlainArray]) -> tuple[int, ...]:
    try:
        with quiet():
            return np.shape(graph.run(dict(inputs))[graph.outputs[0]])
    except _REJECTIONS as error:
        raise CaseFileError(
            f"the graph cannot be computed from these inputs: {type(error).__name__}: {error}"
        ) from error
