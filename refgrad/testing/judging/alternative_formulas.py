"""Error bounds of the other formulas that the record of an op names, for one node.

Each function returns one bound per formula: an array of the result's shape. A result whose error lies within such a bound is imprecise
and not wrong. A bound that is not finite explains nothing. Where a formula loses every bit of an element and its record says so
(``blind``), the element is not judged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.formula import by_each
from refgrad.graph import Node
from refgrad.op import Function as FunctionRecord
from refgrad.quiet import quiet
from refgrad.testing.cases.exact_calls import of_the_active
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp

Function = Callable[..., Any]
Result = TypeVar("Result")


class Reach(NamedTuple):
    """The error bound of a formula, and whether the bound applies even where the formula loses every bit (``blind``)."""

    bound: PlainArray
    blind: bool


def each(node: Node, run: Callable[[Function], Result]) -> list[tuple[Result, bool]]:
    """What ``run`` returns for each other formula of a node's op, a function of its operands, each with its ``blind`` flag.

    The ops in a function (refgrad.op.function) have formulas of their own. As from end to end, the function is computed by the first
    formula of each op, by the second one, and so on, and by the blind ones alone (``by_each``). Formulas of the whole function follow.
    """
    op = node.op
    if op is None:
        return []
    found: list[tuple[Result, bool]] = []
    usual = op.usual
    if isinstance(op, FunctionRecord):
        found += by_each(lambda: run(functools.partial(op.forward, **node.params)))
        usual = op.of_whole
    return found + [(run(functools.partial(f.of(op), **node.params)), f.blind) for f in usual]


def _reaches(node: Node, run: Callable[[Function], Any]) -> list[Reach]:
    """The bounds of what ``run`` returns, one per formula."""
    return [Reach(*found) for found in each(node, lambda f: reach_of(run(f)))]


def of_value(node: Node, operands: Sequence[Any]) -> list[Reach]:
    """The bounds of the value, one per formula."""
    return _reaches(node, lambda f: f(*operands))


def of_sent(node: Node, operands: Sequence[Any], y_bar: Any, position: int) -> list[Reach]:
    """The bounds of the cotangent that the node sends to the operand at ``position``, one per formula."""
    return _reaches(node, lambda f: sent(f, operands, y_bar, position))


def sent(f: Function, operands: Sequence[Any], y_bar: Any, position: int) -> Any:
    """The cotangent that a formula sends to the operand at ``position``."""
    return vjp(of_the_active(f, operands, [position]), operands[position])[1](y_bar)[0]


def of_tangent(node: Node, operands: Sequence[Any], tangents: Sequence[Any]) -> list[Reach]:
    """The bounds of the tangent, one per formula. ``tangents`` has one entry for each operand, None for a constant."""
    return _reaches(node, lambda f: pushed(f, operands, tangents))


def pushed(f: Function, operands: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The tangent by a formula."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = tuple([operands[k] for k in active]), tuple([tangents[k] for k in active])
    return jvp(of_the_active(f, operands, active), primals, moving)[1]


def of_transposed(node: Node, operands: Sequence[Any], tangents: Sequence[Any], y_bar: Any) -> list[Reach]:
    """The bounds of a tangent that is computed as the gradient of the gradient with respect to the cotangent."""
    active = [k for k, t in enumerate(tangents) if t is not None]
    primals, moving = [operands[k] for k in active], tuple([tangents[k] for k in active])

    def gradient(f: Function) -> Function:
        return vjp(of_the_active(f, operands, active), *primals)[1]

    return _reaches(node, lambda f: vjp(gradient(f), y_bar)[1](moving)[0])


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


def zero_among_others(reach: Reach, got: PlainArray, expected: Ball | PlainArray) -> PlainArray:
    """The bounds of a formula for a kernel whose formula is hidden: that of a zero which cancellation explains is finite.

    A ``blind`` formula has no bound where it may come to anything, 0 among them. A zero there is imprecise beside elements of twice the
    expected size and more, as imprecision.py says of complete cancellation.
    """
    if not reach.blind:
        return reach.bound
    size = np.abs(parts(expected)[0])
    with quiet():
        small = 2 * size < np.max(size, where=np.isfinite(size), initial=0.0)
        return np.where(np.isinf(reach.bound) & (got == 0) & small, size, reach.bound)


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


def reach_of(x: Any) -> PlainArray:
    """The error bound of a result; zeros where it is exact."""
    return parts(x)[1] if isinstance(x, Ball) else np.zeros(np.shape(x))


__all__ = [
    "Reach",
    "apart",
    "each",
    "largest",
    "of_sent",
    "of_tangent",
    "of_transposed",
    "of_value",
    "pushed",
    "reach_of",
    "sent",
    "widened",
    "zero_among_others",
]
