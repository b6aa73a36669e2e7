"""How far a node's results may lie off where a kernel uses another formula that the op's record names.

Each function returns, for each such formula, the bound of its rounding: an array of the result's shape. An error within it makes a
result imprecise and not wrong. A bound that is not finite explains nothing. Of elements of which a formula leaves no bit nothing is said
where its record has it so (``blind``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from refgrad.graph import Node
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp

Array = Any
Function = Callable[..., Any]


class Reach(NamedTuple):
    """The bound of a formula, and whether it holds where it leaves no bit."""

    bound: Array
    blind: bool


def functions(node: Node) -> list[tuple[Function, bool]]:
    """The formulas of a node's op, as functions of its operands, each with its ``blind``."""
    op = node.op
    return [] if op is None else [(functools.partial(f.of(op), **node.params), f.blind) for f in op.usual]


def of_value(node: Node, operands: Sequence[Any]) -> list[Reach]:
    """Bounds of the value."""
    return [Reach(_reach(f(*operands)), blind) for f, blind in functions(node)]


def of_sent(node: Node, operands: Sequence[Any], y_bar: Any, position: int) -> list[Reach]:
    """Bounds of the cotangent that the node sends to the operand at ``position``."""
    return [
        Reach(_reach(vjp(_confined(f, operands, [position]), operands[position])[1](y_bar)[0]), blind)
        for f, blind in functions(node)
    ]


def of_tangent(node: Node, operands: Sequence[Any], tangents: Sequence[Any]) -> list[Reach]:
    """Bounds of the tangent; ``tangents`` has one entry for each operand, None for a constant."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = tuple([operands[k] for k in active]), tuple([tangents[k] for k in active])
    return [
        Reach(_reach(jvp(_confined(f, operands, active), primals, moving)[1]), blind)
        for f, blind in functions(node)
    ]


def of_transposed(node: Node, operands: Sequence[Any], tangents: Sequence[Any], y_bar: Any) -> list[Reach]:
    """Bounds of the tangent where it comes as the gradient, in the cotangent, of the gradient."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = [operands[k] for k in active], tuple([tangents[k] for k in active])

    def gradient(f: Function) -> Function:
        return vjp(_confined(f, operands, active), *primals)[1]

    return [Reach(_reach(vjp(gradient(f), y_bar)[1](moving)[0]), blind) for f, blind in functions(node)]


def widened(expected: Any, got: Array, reaches: Sequence[Reach], *, zeros: bool = False) -> Any:
    """What is expected, with the bound of a ``blind`` formula wherever that leaves no bit and got is out of bounds.

    A zero, which is what a cancellation leaves in the end, is imprecise where it is among other numbers, so that it keeps its bound;
    with ``zeros`` it does not.
    """
    blind = [r.bound for r in reaches if r.blind]
    if not blind:
        return expected
    value, radius = parts(expected)
    with quiet():
        free = functools.reduce(np.fmax, blind)  # endless where the formula may come to anything
        out = (np.abs(got - value) > radius) & (zeros | (got != 0))
        return Ball(
            value, np.where(out & (2 * free >= np.abs(value)), np.fmax(radius, free), radius), expected.fmt
        )


def largest(reaches: Sequence[Array]) -> Array | None:
    """The widest of the bounds that are finite, element by element; None where there is none."""
    if not reaches:
        return None
    with quiet():
        return functools.reduce(np.fmax, [np.where(np.isfinite(r), r, np.nan) for r in reaches])


def apart(found: Any, expected: Any) -> Array:
    """How far a run by other formulas may lie from what is expected: its bound, and the distance of both centres."""
    centre, radius = parts(found)
    value, _ = parts(expected)
    with quiet():
        return radius + np.where(centre == value, 0.0, np.abs(centre - value))


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


__all__ = ["Reach", "apart", "functions", "largest", "of_sent", "of_tangent", "of_transposed", "of_value"]
