"""One application of an op as reverse mode keeps it: what each operand's VJP rule needs, and the cotangents that the rules give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from refgrad.arrays import Array, Params
from refgrad.op import Op, Rule, shape_of
from refgrad.tracing import complex_operands
from refgrad.tracing.copies import Copies, as_they_are
from refgrad.tracing.cotangents import accumulate, fit
from refgrad.tracing.special_points import met


class Edge(NamedTuple):
    """The way from the result of an op back to one operand."""

    place: int  # of the operand on the tape
    rule: Rule
    saved: tuple[Any, ...]  # what the rule needs beside y_bar
    shape: tuple[int, ...]  # of the operand
    dtype: Any  # of the operand
    position: int  # of the operand among those of the op


_edge: Callable[[tuple[Any, ...]], Edge] = partial(tuple.__new__, Edge)  # Edge(...) in a third of the time


class Entry:
    """One application of an op: an edge for each active operand. The edges of a variadic op share a rule that answers for all of them.

    ordinary    whether the rules are those of the op's record: no operand is at a special point
    """

    __slots__ = ("edges", "op", "ordinary")

    def __init__(self, op: Op, edges: list[Edge], ordinary: bool = True) -> None:
        self.op = op
        self.edges = edges
        self.ordinary = ordinary

    @classmethod
    def of(
        cls,
        op: Op,
        places: Sequence[int],
        values: tuple[Any, ...],
        params: Params,
        active: tuple[bool, ...],
        y: Array,
        copies: Copies | None = None,
    ) -> Entry:
        """The entry of ``op`` applied to ``values`` with result ``y``; ``places`` are those of the operands.

        ``copies`` makes copies of constants and parameters; without it the entry keeps these themselves.
        """
        exceptional = met(op, values, params, y)
        edges: list[Edge] = []
        saved: tuple[Any, ...] | None = None
        variadic, complex_valued = op.signature.variadic, y.dtype.kind == "c"
        rules = op.signature.vjp * len(values) if variadic else op.signature.vjp
        for position, (value, a, needs) in enumerate(zip(values, active, rules, strict=True)):
            if not a or needs is None:
                continue
            if saved is None or not variadic:
                saved = needs.collect(values, y, params, active)
                if copies is not None and (params or not all(active)):
                    saved = as_they_are(needs, saved, active, copies)
            rule = needs.rule if exceptional is None else exceptional.pulled(needs.rule, position)
            dtype = value.dtype
            if complex_valued or dtype.kind == "c":
                dtypes = [getattr(x, "dtype", None) for x in values] if variadic else [dtype]
                rule = complex_operands.pulled(op, rule, dtypes, y.dtype)
            edges.append(_edge((places[position], rule, saved, shape_of(value), dtype, position)))
        return cls(op, edges, exceptional is None)

    def cotangents(self, y_bar: Array) -> list[Array]:
        """What each edge makes of the cotangent of the result: a cotangent of its operand's shape and dtype."""
        return [
            fit(x_bar, shape, dtype, self.op)
            for (_, _, _, shape, dtype, _), x_bar in zip(self.edges, self.answers(y_bar), strict=True)
        ]

    def pull(self, y_bar: Array, bars: list[Any]) -> None:
        """Add to the cotangents of the operands, in ``bars`` by place, what comes of that of the result."""
        for (place, _, _, shape, dtype, _), x_bar in zip(self.edges, self.answers(y_bar), strict=True):
            accumulate(bars, place, fit(x_bar, shape, dtype, self.op))

    def answers(self, y_bar: Array) -> list[Array]:
        """What the rules give, one answer for each edge."""
        if self.op.signature.variadic:
            answers = self.edges[0].rule(y_bar, *self.edges[0].saved) if self.edges else ()
            return [answers[edge.position] for edge in self.edges]
        return [rule(y_bar, *saved) for _, rule, saved, _, _, _ in self.edges]
