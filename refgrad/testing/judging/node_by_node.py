"""Anchored judging: every node on its own, from the framework's own operand values and its own incoming gradients.

The bound then covers one op and one accumulation. Nothing grows with depth, the framework's own values decide each branch, and
the first wrong node is known by name.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format, format_of
from refgrad.graph import Node
from refgrad.modes import FORWARD, REVERSE, VALUE
from refgrad.ops import arithmetic
from refgrad.testing.cases.case import Case
from refgrad.testing.judging import alternative_formulas, special_points
from refgrad.testing.judging.alternative_formulas import Reach
from refgrad.testing.judging.infinite_derivatives import WithNumbers, in_numbers
from refgrad.testing.judging.judge import AlternativeBounds, Judge
from refgrad.testing.judging.observation import Observation, Place
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import Verdict
from refgrad.tracing.ball import Ball, exact, parts, remembering

Array = Any


class NodeByNode(Judge):
    """Judges one case against one observation; ``value()``, ``reverse()`` and ``forward()`` each give a verdict."""

    def __init__(self, case: Case, seen: Observation, fmt: Format | None = None) -> None:
        fmt = format_of(case.dtype, case.device, seen.profile) if fmt is None else fmt
        super().__init__(case, seen, fmt if case.order == 1 else replace(fmt, ranged=True))
        self.order = case.graph.order()
        self.fmt_without_kinks = replace(self.fmt, kinks=False)
        self.balls: list[Any] = [None] * len(
            self.graph.nodes
        )  # the framework's own value of every node, taken as exact
        for k in self.order:
            if seen.values[k] is not None:
                self.balls[k] = self._exact(seen.values[k])
        self.recomputed: dict[int, Any] = {}
        self._missing: dict[int, Array | None] = {}

    def _exact(self, x: Array) -> Any:
        return remembering(exact(x, self.fmt)) if x.dtype.kind == "f" else x

    def recomputed_value(self, k: int) -> Any:
        """The value of node k from its operands, with the rounding of one op: what a rule may know as y."""
        if k not in self.recomputed:
            node = self.graph.nodes[k]
            self.recomputed[k] = node.applied([self.balls[j] for j in node.of])
        return self.recomputed[k]

    def missing(self, k: int) -> Array | None:
        """Which elements of the value of node k have no derivative; None where all have one."""
        if k not in self._missing:
            self._missing[k] = special_points.without_derivative(
                self.recomputed_value(k), self.seen.values[k]
            )
        return self._missing[k]

    def value(self) -> Verdict:
        """Forward values: each op redone from the framework's own operands."""
        tally = self.tally(VALUE)
        if VALUE in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[VALUE])
        self._expect_values(tally, "value")
        return self.verdict(tally)

    def _expect_values(self, tally: Tally, what: str) -> None:
        for k in self.order:
            node = self.graph.nodes[k]
            if node.op is None or self.balls[k] is None:
                continue
            expected = self.recomputed_value(k)
            if not node.op.domain.smooth and getattr(expected, "radius", None) is not None:
                # It may be the hull of a jump, which a derivative may be read from, but not a value.
                balls = [self.balls[j] for j in node.of]
                operands = [
                    exact(b.value, self.fmt_without_kinks) if isinstance(b, Ball) else b for b in balls
                ]
                expected = node.applied(operands)
            self.expect(
                tally,
                Place("values", k),
                k,
                node.op.name,
                expected,
                f"{what} of {node.op.name} (node {k})",
                alternatives=self._alternatives(node, functools.partial(self._value_bounds, node)),
            )

    def _operands(self, node: Node) -> list[Any]:
        return [self.balls[j] for j in node.of]

    def _value_bounds(self, node: Node) -> list[Reach]:
        """The bounds of the value by other formulas of the op."""
        return alternative_formulas.of_value(node, self._operands(node))

    @staticmethod
    def _alternatives(node: Node, bounds: AlternativeBounds) -> AlternativeBounds | None:
        """The bounds of other formulas of a node's op; None where its record names none."""
        return bounds if node.op is not None and node.op.usual else None

    def forward(self) -> Verdict:
        """Tangents: each op's JVP from the framework's own operand values and tangents."""
        tally = self.tally(FORWARD)
        if FORWARD in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[FORWARD])
        tangents = [None if t is None else exact(t, self.fmt) for t in self.seen.tangents]
        tangent_judge = self
        if self.seen.primals is not None:  # the tangents belong to these values
            tangent_judge = type(self)(
                self.case, replace(self.seen, values=self.seen.primals, primals=None), self.fmt
            )
            tangent_judge._expect_values(tally, "forward mode's value")
            tangent_judge.verdict(tally)
        for k in self.order:
            node = self.graph.nodes[k]
            if node.op is None:
                continue
            expected = tangent_judge._tangent(k, node, tangents)
            with_numbers: WithNumbers | None = functools.partial(
                tangent_judge._tangent_with_numbers, k, node, tangents
            )
            if expected is None and tangents[k] is not None:  # a step: a tangent there is zero
                expected, with_numbers = exact(np.zeros(self.balls[k].shape), self.fmt), None
            if expected is not None:
                what = f"tangent of {node.op.name} (node {k})"
                alternatives = self._alternatives(
                    node, functools.partial(tangent_judge._tangent_bounds, node, tangents)
                )
                self.expect(
                    tally,
                    Place("tangents", k),
                    k,
                    node.op.name,
                    expected,
                    what,
                    with_numbers=with_numbers,
                    alternatives=alternatives,
                )
        return self.verdict(tally)

    def _tangent(self, k: int, node: Node, tangents: list[Any]) -> Any:
        """The expected tangent of node k, None where no derivative reaches it."""
        x_dots = [tangents[j] for j in node.of]
        if all(x_dot is None for x_dot in x_dots):
            return None
        expected = node.tangent([self.balls[j] for j in node.of], self.recomputed_value(k), x_dots)
        if expected is None:
            return None
        return special_points.without(expected, self.missing(k))

    def _tangent_bounds(self, node: Node, tangents: list[Any]) -> list[Reach]:
        """The bounds of the tangent by other formulas of the op."""
        return alternative_formulas.of_tangent(node, self._operands(node), [tangents[j] for j in node.of])

    def _tangent_with_numbers(self, k: int, node: Node, tangents: list[Any], sign: float) -> Any:
        """The expected tangent of node k with numbers for infinite ones."""
        numbers = list(tangents)
        for j in node.of:
            if tangents[j] is not None:
                numbers[j] = exact(in_numbers(tangents[j].value, sign, self.fmt), self.fmt)
        return self._tangent(k, node, numbers)

    def reverse(self) -> Verdict:
        """Gradients of every node: what each user sends back, by its VJP from the framework's own gradients, and their sum.

        Where a value has several users and the framework told what each sent, each is judged on its own, so that one op is to blame.
        """
        tally = self.tally(REVERSE)
        if REVERSE in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[REVERSE])
        sent: dict[
            int, list[tuple[str, Any, WithNumbers | None, AlternativeBounds | None]]
        ] = {}  # by node: (op to blame, Ball, see Expectation.with_numbers and Expectation.alternatives)
        due: set[int] = (
            set()
        )  # nodes that a derivative reaches: the framework may not leave their gradient out
        for k in reversed(self.order):
            node = self.graph.nodes[k]
            if k in sent and (self.seen.cotangents[k] is not None or (k in due and self._differentiable(k))):
                users, x_bars, _, bounds = zip(*sent[k], strict=True)
                blamed = list(dict.fromkeys(users))
                self.expect(
                    tally,
                    Place("cotangents", k),
                    k,
                    " or ".join(blamed),
                    _sum(x_bars),
                    self._gradient_of(node, k),
                    blamed,
                    functools.partial(_sum_with_numbers, sent[k]),
                    functools.partial(_sum_bounds, sent[k]) if any(bounds) else None,
                )
            y_bar = self.seen.cotangents[k]
            if node.op is not None and y_bar is not None:
                y_bar = special_points.undefined_outputs(self.missing(k), y_bar)
                arrived = self._sent(k, y_bar)
                due.update(j for _, j, _ in arrived)
                for position, j, x_bar in [
                    *arrived,
                    *self._nothing(node, k, {position for position, *_ in arrived}),
                ]:
                    name, part = node.op.name, self.seen.parts.get((k, position))
                    with_numbers: WithNumbers | None = functools.partial(
                        self._sent_with_numbers, k, y_bar, position, x_bar
                    )
                    alternatives = self._alternatives(
                        node, functools.partial(self._sent_bounds, node, y_bar, position)
                    )
                    if part is not None:
                        what = f"what {name} (node {k}, operand {position}) sends to node {j}"
                        self.expect(
                            tally,
                            Place("parts", (k, position)),
                            j,
                            name,
                            x_bar,
                            what,
                            with_numbers=with_numbers,
                            alternatives=alternatives,
                        )
                        name, x_bar = arithmetic.fan_in.name, exact(part, self.fmt)
                        with_numbers = alternatives = None  # a sum with one infinity is infinite in any order
                    sent.setdefault(j, []).append((name, x_bar, with_numbers, alternatives))
        return self.verdict(tally)

    def _sent(self, k: int, y_bar: Array) -> list[tuple[int, int, Any]]:
        """What node k is to send back: (position, operand's node, cotangent)."""
        node = self.graph.nodes[k]
        operands = [self.balls[j] for j in node.of]
        return node.contributions(operands, self.recomputed_value(k), exact(y_bar, self.fmt))

    def _sent_bounds(self, node: Node, y_bar: Array, position: int) -> list[Reach]:
        """The bounds of what a node sends to one operand by other formulas of its op."""
        return alternative_formulas.of_sent(node, self._operands(node), exact(y_bar, self.fmt), position)

    def _sent_with_numbers(self, k: int, y_bar: Array, position: int, x_bar: Any, sign: float) -> Any:
        """What node k is to send to one operand (x_bar) with numbers for the infinite elements of y_bar."""
        if not np.isinf(y_bar).any():
            return x_bar
        sent = {i: with_numbers for i, _, with_numbers in self._sent(k, in_numbers(y_bar, sign, self.fmt))}
        return sent.get(position, x_bar)

    def _nothing(self, node: Node, k: int, sending: set[int]) -> list[tuple[int, int, Any]]:
        """Zeros, from operands of which the op has no derivative but zero (a step's), where the framework sent something all the same."""
        if len(sending) == len(node.of):
            return []
        told = [(i, j) for i, j in enumerate(node.of) if i not in sending and isinstance(self.balls[j], Ball)]
        alone = [
            (i, j) for i, j in told if (k, i) not in self.seen.parts and self.seen.cotangents[j] is not None
        ]
        heard = [(i, j) for i, j in told if self.seen.parts.get((k, i)) is not None]
        return [(i, j, exact(np.zeros(self.balls[j].shape), self.fmt)) for i, j in [*alone, *heard]]

    def _differentiable(self, k: int) -> bool:
        """Whether a gradient is due: a constant has none, nor has what is computed from constants alone."""
        node = self.graph.nodes[k]
        if node.op is None:
            return bool(node.name) and self.seen.values[k].dtype.kind == "f"
        return node.op.signature.differentiable and any(self._differentiable(j) for j in node.of)

    def _gradient_of(self, node: Node, k: int) -> str:
        return (
            f"gradient of input {node.name!r}"
            if node.op is None
            else f"gradient of node {k} ({node.op.name})"
        )


def _sum(x_bars: Sequence[Any]) -> Any:
    """What arrives at a value from all its users."""
    return arithmetic.fan_in(*x_bars) if len(x_bars) > 1 else x_bars[0]


def _sum_bounds(sent: Sequence[tuple[str, Any, WithNumbers | None, AlternativeBounds | None]]) -> list[Reach]:
    """The bounds of that sum where users send what other formulas of their ops give: all first ones, all second ones, ..."""
    each = [[] if alternatives is None else alternatives() for *_, alternatives in sent]
    found = []
    for n in range(max(map(len, each))):
        some = [reaches[min(n, len(reaches) - 1)] if reaches else None for reaches in each]
        balls = [
            x if r is None else Ball(x.value, r.bound, x.fmt)
            for (_, x, *_), r in zip(sent, some, strict=True)
        ]
        found.append(Reach(parts(_sum(balls))[1], all(r is None or r.blind for r in some)))
    return found


def _sum_with_numbers(
    sent: Sequence[tuple[str, Any, WithNumbers | None, AlternativeBounds | None]], sign: float
) -> Any:
    return _sum(
        [with_numbers(sign) if with_numbers is not None else x_bar for _, x_bar, with_numbers, _ in sent]
    )
