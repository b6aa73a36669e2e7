"""What a rounding rule receives: one evaluation of an op in a judged format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format

# A radius: an array, a number that stands for one at every element, or None where the result is exact. Rules add and compare all three.
Radius: TypeAlias = Any


class Repeated(tuple[int, ...]):
    """The axes of a sum along which an operand was broadcast: its gradient. Other axes, though they are the same, are not equal to it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Repeated and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Repeated, tuple(self)))


class Evaluation(NamedTuple):
    """One evaluation of an op.

    fmt      the format judged
    forward  the op's raw forward: ``forward(*xs, **params)``
    y        its value, in the wide format of the reference
    xs       its operands, in the wide format
    es       the radii of the operands: an array for each, or None for an exact operand
    params   its parameters

    ``run._replace(xs=...)`` is the evaluation with other fields.
    """

    fmt: Format
    forward: Any
    y: PlainArray
    xs: tuple[PlainArray, ...]
    es: tuple[Radius, ...]
    params: Mapping[str, Any]


RoundingRule = Callable[[Evaluation], Radius]


def zero(e: Radius) -> Radius:
    """The radius as a number: 0 for exact."""
    return 0.0 if e is None else e
