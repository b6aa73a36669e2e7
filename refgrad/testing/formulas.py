"""How far a node's results may lie off where a kernel uses another formula that the op's record names.

Each function returns, for each such formula, the bound of its rounding: an array of the result's shape. An error within it makes a
result imprecise and not wrong. A bound that is not finite explains nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.graph import Node
from refgrad.quiet import quiet
from refgrad.rounding import Ball, parts
from refgrad.transforms import jvp, vjp

Array = Any
Function = Callable[..., Any]


def functions(node: Node) -> list[Function]:
    """The formulas of a node's op, as functions of its operands."""
    op = node.op
    return [] if op is None else [functools.partial(f.of(op), **node.params) for f in op.usual]


def of_value(node: Node, operands: Sequence[Any]) -> list[Array]:
    """Bounds of the value."""
    return [_reach(f(*operands)) for f in functions(node)]


def of_sent(node: Node, operands: Sequence[Any], y_bar: Any, position: int) -> list[Array]:
    """Bounds of the cotangent that the node sends to the operand at ``position``."""
    return [
        _reach(vjp(_confined(f, operands, [position]), operands[position])[1](y_bar)[0])
        for f in functions(node)
    ]


def of_tangent(node: Node, operands: Sequence[Any], tangents: Sequence[Any]) -> list[Array]:
    """Bounds of the tangent; ``tangents`` has one entry for each operand, None for a constant."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = tuple([operands[k] for k in active]), tuple([tangents[k] for k in active])
    return [_reach(jvp(_confined(f, operands, active), primals, moving)[1]) for f in functions(node)]


def of_transposed(node: Node, operands: Sequence[Any], tangents: Sequence[Any], y_bar: Any) -> list[Array]:
    """Bounds of the tangent where it comes as the gradient, in the cotangent, of the gradient."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = [operands[k] for k in active], tuple([tangents[k] for k in active])

    def gradient(f: Function) -> Function:
        return vjp(_confined(f, operands, active), *primals)[1]

    return [_reach(vjp(gradient(f), y_bar)[1](moving)[0]) for f in functions(node)]


def largest(reaches: Sequence[Array]) -> Array | None:
    """The widest of the bounds that are finite, element by element; None where there is none."""
    if not reaches:
        return None
    with quiet():
        return functools.reduce(np.fmax, [np.where(np.isfinite(r), r, np.nan) for r in reaches])


def _confined(f: Function, operands: Sequence[Any], active: Sequence[int]) -> Function:
    """f as a function of some of its operands."""

    def call(*xs: Any) -> Any:
        full = list(operands)
        for k, x in zip(active, xs, strict=True):
            full[k] = x
        return f(*full)

    return call


def _reach(x: Any) -> Array:
    return parts(x)[1] if isinstance(x, Ball) else np.zeros(np.shape(x))


__all__ = ["functions", "largest", "of_sent", "of_tangent", "of_transposed", "of_value"]
