"""Error bounds of the other formulas that the record of an op names, for one node.

Each function returns one bound per formula: an array of the result's shape. A result whose error lies within such a bound is imprecise
and not wrong. A bound that is not finite explains nothing. Where a formula loses every bit of an element and its record says so
(``blind``), the element is not judged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.graph import Node
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp

Function = Callable[..., Any]


class Reach(NamedTuple):
    """The error bound of a formula, and whether the bound applies even where the formula loses every bit (``blind``)."""

    bound: PlainArray
    blind: bool


def functions(node: Node) -> list[tuple[Function, bool]]:
    """The other formulas of a node's op as functions of its operands, each with its ``blind`` flag."""
    op = node.op
    return [] if op is None else [(functools.partial(f.of(op), **node.params), f.blind) for f in op.usual]


def of_value(node: Node, operands: Sequence[Any]) -> list[Reach]:
    """The bounds of the value, one per formula."""
    return [Reach(_reach(f(*operands)), blind) for f, blind in functions(node)]


def of_sent(node: Node, operands: Sequence[Any], y_bar: Any, position: int) -> list[Reach]:
    """The bounds of the cotangent that the node sends to the operand at ``position``, one per formula."""
    return [
        Reach(_reach(vjp(_confined(f, operands, [position]), operands[position])[1](y_bar)[0]), blind)
        for f, blind in functions(node)
    ]


def of_tangent(node: Node, operands: Sequence[Any], tangents: Sequence[Any]) -> list[Reach]:
    """The bounds of the tangent, one per formula. ``tangents`` has one entry for each operand, None for a constant."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = tuple([operands[k] for k in active]), tuple([tangents[k] for k in active])
    return [
        Reach(_reach(jvp(_confined(f, operands, active), primals, moving)[1]), blind)
        for f, blind in functions(node)
    ]


def of_transposed(node: Node, operands: Sequence[Any], tangents: Sequence[Any], y_bar: Any) -> list[Reach]:
    """The bounds of a tangent that is computed as the gradient of the gradient with respect to the cotangent."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = [operands[k] for k in active], tuple([tangents[k] for k in active])

    def gradient(f: Function) -> Function:
        return vjp(_confined(f, operands, active), *primals)[1]

    return [Reach(_reach(vjp(gradient(f), y_bar)[1](moving)[0]), blind) for f, blind in functions(node)]


def widened(
    expected: Ball | PlainArray, got: PlainArray, reaches: Sequence[Reach], *, zeros: bool = False
) -> Any:
    """The expected values with wider bounds: that of a ``blind`` formula wherever it loses every bit and ``got`` is out of bounds.

    An element that cancels to zero keeps its own bound, because a zero among other numbers is imprecise. With ``zeros`` its bound is
    widened, too. Plain values are exact, such as zeros where no derivative arrives, and keep their bound of zero.
    """
    blind = [r.bound for r in reaches if r.blind]
    if not blind or not isinstance(expected, Ball):
        return expected
    value, radius = parts(expected)
    with quiet():
        free = functools.reduce(np.fmax, blind)  # infinite where the formula may give any number
        out = (np.abs(got - value) > radius) & (zeros | (got != 0))
        return Ball(
            value, np.where(out & (2 * free >= np.abs(value)), np.fmax(radius, free), radius), expected.fmt
        )


def largest(reaches: Sequence[PlainArray]) -> PlainArray | None:
    """The elementwise maximum of the finite bounds; None where no bound is given."""
    if not reaches:
        return None
    with quiet():
        return functools.reduce(np.fmax, [np.where(np.isfinite(r), r, np.nan) for r in reaches])


def apart(found: Any, expected: Ball | PlainArray) -> PlainArray:
    """The largest distance of a run by other formulas from the expected values: its radius plus the distance of the centres."""
    centre, radius = parts(found)
    value, _ = parts(expected)
    with quiet():
        return radius + np.where(centre == value, 0.0, np.abs(centre - value))


def _confined(f: Function, operands: Sequence[Any], active: Sequence[int]) -> Function:
    """f as a function of the operands at ``active``; the others stay constant."""

    def call(*xs: Any) -> Any:
        full = list(operands)
        for k, x in zip(active, xs, strict=True):
            full[k] = x
        return f(*full)

    return call


def _reach(x: Any) -> PlainArray:
    return parts(x)[1] if isinstance(x, Ball) else np.zeros(np.shape(x))


__all__ = ["Reach", "apart", "functions", "largest", "of_sent", "of_tangent", "of_transposed", "of_value"]
