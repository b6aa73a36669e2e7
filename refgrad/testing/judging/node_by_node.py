"""Node-by-node judgement: every node is judged from the framework's own operand values and incoming gradients.

So a bound covers the rounding of one op and one accumulation, and does not grow with depth. The framework's own values decide each branch.
The first wrong node is known by name.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.graph import Node
from refgrad.modes import FORWARD, REVERSE, VALUE
from refgrad.op import FUNCTIONS, Function
from refgrad.ops import arithmetic
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.grid import on_grid
from refgrad.testing.judging import alternative_formulas, special_points
from refgrad.testing.judging.alternative_formulas import Reach
from refgrad.testing.judging.contributions import Contribution, sum_bounds, sum_with_numbers
from refgrad.testing.judging.derived_formats import ranged, without_kinks
from refgrad.testing.judging.function_kernels import hidden_formula, undecided_where_lost
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.infinite_derivatives import in_numbers
from refgrad.testing.judging.judge import AlternativeBounds, Draft, Judge, WithNumbersOf
from refgrad.testing.judging.observation import Observation, Place
from refgrad.testing.judging.settlement import settle
from refgrad.testing.judging.shared_sums import Terms, totals
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import Verdict
from refgrad.tracing.ball import Ball, exact, remembering


def settle_node_by_node(drafts: Sequence[Draft | Verdict]) -> list[Verdict]:
    """The verdicts on drafts of node-by-node judges, in their order."""
    judges = {
        id(j): j for d in drafts if isinstance(d, Draft) for j, _ in d.places if isinstance(j, NodeByNode)
    }
    sums = [(judge, place, terms) for judge in judges.values() for place, terms in judge.sums]
    added = totals([(judge.fmt, terms) for judge, _, terms in sums])
    for (judge, place, _), expected in zip(sums, added, strict=True):
        judge.expectations[place].expected = expected
    for judge in judges.values():
        judge.sums = []
    settled = iter(settle([d for d in drafts if isinstance(d, Draft)]))
    return [next(settled) if isinstance(d, Draft) else d for d in drafts]


class NodeByNode(Judge):
    """Judges one observation of one case. ``value()``, ``reverse()`` and ``forward()`` return a verdict each."""

    def __init__(self, case: Case, seen: Observation, fmt: Format | None = None) -> None:
        fmt = format_of(case.dtype, case.device, seen.profile, on_grid(case)) if fmt is None else fmt
        super().__init__(case, seen, fmt if case.order == 1 else ranged(fmt))
        self.order = case.graph.order()
        # by node; shared_evaluation.py fills all of them for several cases at once
        self.recomputed: dict[int, Any] = {}
        self.values_without_kinks: dict[int, Any] = {}
        self.without_derivative: dict[int, PlainArray | None] = {}
        self.contributions: dict[int, list[tuple[int, int, Any]]] = {}
        self.pushed: dict[int, Any] = {}
        self.second: dict[tuple[str, ...], list[Any]] = {}  # what second_order.py has computed
        self.sums: list[tuple[Place, Terms]] = []  # the expected sums that are not computed yet
        self.hidden_formulas: dict[str, Hidden] = {}  # by function
        # bounds of other formulas: of the cotangents that a node sends, by node and operand, and of its tangent, by node
        self.bounds_of_sent: dict[int, dict[int, list[Reach]]] = {}
        self.bounds_of_tangent: dict[int, list[Reach]] = {}
        # judges the run that gave the tangents, where it had other values
        self._of_primals: NodeByNode | None = None

    @functools.cached_property
    def balls(self) -> list[Any]:
        """The framework's own value of every node, taken as exact; None where it gave none."""
        balls: list[Any] = [None] * len(self.graph.nodes)
        for k in self.order:
            if self.seen.values[k] is not None:
                balls[k] = self._exact(self.seen.values[k])
        return balls

    @functools.cached_property
    def tangents(self) -> list[Any]:
        """The framework's own tangent of every node, taken as exact; None where it gave none."""
        return [None if t is None else exact(t, self.fmt) for t in self.seen.tangents]

    @property
    def fmt_without_kinks(self) -> Format:
        """The judged format, in which a jump that is met exactly is not read from either side."""
        return without_kinks(self.fmt)

    def _exact(self, x: PlainArray) -> Any:
        return remembering(exact(x, self.fmt)) if x.dtype.kind == "f" else x

    def recomputed_value(self, k: int) -> Any:
        """The value of node k, recomputed from its operands with the rounding of one op; derivative rules use it as y."""
        if k not in self.recomputed:
            node = self.graph.nodes[k]
            self.recomputed[k] = node.applied([self.balls[j] for j in node.of])
        return self.recomputed[k]

    def missing(self, k: int) -> PlainArray | None:
        """A mask of the elements of the value of node k that have no derivative; None where all have one."""
        if k not in self.without_derivative:
            self.without_derivative[k] = special_points.without_derivative(
                self.recomputed_value(k), self.seen.values[k]
            )
        return self.without_derivative[k]

    def value(self) -> Verdict:
        """The verdict on the values: each op is recomputed from the framework's own operands."""
        return self._now(self.draft_of_value())

    def draft_of_value(self) -> Draft | Verdict:
        """The verdict on the values; a draft where there is something to compare."""
        tally = self.tally(VALUE)
        if VALUE in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[VALUE])
        self._expect_values(tally, "value")
        return self.draft(tally)

    @staticmethod
    def _now(draft: Draft | Verdict) -> Verdict:
        return settle_node_by_node([draft])[0]

    def _expect_values(self, tally: Tally, what: str) -> None:
        for k in self.order:
            node = self.graph.nodes[k]
            if node.op is None or self.seen.values[k] is None:
                continue
            expected = self._value(k, node)
            self.expect(
                tally,
                Place("values", k),
                k,
                node.op.name,
                expected,
                f"{what} of {node.op.name} (node {k})",
                alternatives=functools.partial(type(self)._value_bounds, k=k) if node.op.usual else None,
            )

    def hidden(self, op: str, *, second_order: bool = False) -> Hidden | None:
        """What is known about the formula of a function of this name; None for an op."""
        if self.fmt.on_grid and not second_order:
            return None  # every known formula rounds nothing in value, gradient and tangent
        if op in FUNCTIONS and op not in self.hidden_formulas:
            node = next(self.graph.nodes[k] for k in self.order if str(self.graph.nodes[k]) == op)
            self.hidden_formulas[op] = hidden_formula(node, self._operands(node), self.fmt)
        return self.hidden_formulas.get(op)

    def _value(self, k: int, node: Node) -> Any:
        """The expected value of node k."""
        expected = self.recomputed_value(k)
        assert node.op is not None
        if node.op.domain.smooth or getattr(expected, "radius", None) is None:
            return expected
        # The Ball may be the hull of both sides of a jump. That is valid for derivatives, not for values.
        again = functools.partial(self._value_without_kinks, node)
        if k not in self.values_without_kinks:
            self.values_without_kinks[k] = again()
        found = self.values_without_kinks[k]
        return undecided_where_lost(found, again) if isinstance(node.op, Function) else found

    def _value_without_kinks(self, node: Node) -> Any:
        fmt = self.fmt_without_kinks
        return node.applied([exact(x.value, fmt) if isinstance(x, Ball) else x for x in self._operands(node)])

    def _operands(self, node: Node) -> list[Any]:
        return [self.balls[j] for j in node.of]

    def _value_bounds(self, *, k: int) -> list[Reach]:
        """The bounds of the value by the other formulas of the op."""
        node = self.graph.nodes[k]
        return alternative_formulas.of_value(node, self._operands(node))

    def forward(self) -> Verdict:
        """The verdict on the tangents: the JVP of each op from the framework's own operand values and tangents."""
        return self._now(self.draft_of_forward())

    def draft_of_forward(self) -> Draft | Verdict:
        """The verdict on the tangents; a draft where there is something to compare."""
        tally = self.tally(FORWARD)
        if FORWARD in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[FORWARD])
        earlier = None
        if self.seen.primals is not None:  # the tangents were computed from these values
            self._of_primals = type(self)(
                self.case, replace(self.seen, values=self.seen.primals, primals=None), self.fmt
            )
            self._of_primals._expect_values(tally, "forward mode's value")
            earlier = self._of_primals.draft(tally)
        for k in self.order:
            node = self.graph.nodes[k]
            if node.op is None or not all(self._shaped(self.seen.tangents[j], j) for j in node.of):
                continue
            expected = (
                self._tangent(k, node)
                if self._of_primals is None
                else self._of_primals._tangent(k, node, self.tangents)
            )
            with_numbers: WithNumbersOf | None = functools.partial(type(self)._tangent_with_numbers, k=k)
            if expected is None and self.seen.tangents[k] is not None:
                # a piecewise constant op: its tangent is zero
                expected, with_numbers = exact(np.zeros(self.seen.values[k].shape), self.fmt), None
            if expected is not None:
                alternatives = functools.partial(type(self)._tangent_bounds, k=k)
                self.expect(
                    tally,
                    Place("tangents", k),
                    k,
                    node.op.name,
                    expected,
                    f"tangent of {node.op.name} (node {k})",
                    with_numbers=with_numbers,
                    alternatives=alternatives if node.op.usual else None,
                )
        return self.draft(tally, earlier)

    def _tangent(self, k: int, node: Node, tangents: list[Any] | None = None) -> Any:
        """The expected tangent of node k for these tangents (the observed ones by default); None where no derivative reaches it."""
        if k in self.pushed and (tangents is None or tangents is self.tangents):
            return self.pushed[k]
        tangents = self.tangents if tangents is None else tangents
        x_dots = [tangents[j] for j in node.of]
        expected = None
        if any(x_dot is not None for x_dot in x_dots):
            expected = node.tangent(self._operands(node), self.recomputed_value(k), x_dots)
            expected = None if expected is None else special_points.without(expected, self.missing(k))
        if tangents is self.tangents:
            self.pushed[k] = expected
        return expected

    def _shaped(self, x: PlainArray | None, k: int) -> bool:
        """Whether a derivative has the shape of node k. One of another shape is wrong itself, and nothing can be expected from it."""
        value = self.seen.values[k]
        return x is None or value is None or x.shape == value.shape

    def _tangent_bounds(self, *, k: int) -> list[Reach]:
        """The bounds of the tangent by the other formulas of the op."""
        node, judge, tangents = self.graph.nodes[k], self._of_primals or self, self.tangents
        if k not in judge.bounds_of_tangent:
            moving = [tangents[j] for j in node.of]
            judge.bounds_of_tangent[k] = alternative_formulas.of_tangent(node, judge._operands(node), moving)
        return judge.bounds_of_tangent[k]

    def _tangent_with_numbers(self, sign: float, *, k: int) -> Any:
        """The expected tangent of node k with finite numbers in place of infinite tangents of its operands."""
        tangents, node = self.tangents, self.graph.nodes[k]
        numbers = list(tangents)
        for j in node.of:
            if tangents[j] is not None:
                numbers[j] = exact(in_numbers(tangents[j].value, sign, self.fmt), self.fmt)
        return (self._of_primals or self)._tangent(k, node, numbers)

    def reverse(self) -> Verdict:
        """The verdict on the gradients: the VJP of each user from the framework's own gradients, and the sum over the users of a value.

        Where a value has several users and the observation has the contribution of each, each is judged by itself, so that a disagreement
        names one op.
        """
        return self._now(self.draft_of_reverse())

    def draft_of_reverse(self) -> Draft | Verdict:
        """The verdict on the gradients; a draft where there is something to compare."""
        tally = self.tally(REVERSE)
        if REVERSE in self.seen.unavailable:
            return unanswered(tally, self.graph, self.seen.unavailable[REVERSE])
        sent: dict[int, list[Contribution]] = {}  # by node
        required: set[int] = set()  # nodes that a derivative reaches: a missing gradient is wrong
        for k in reversed(self.order):
            node = self.graph.nodes[k]
            if k in sent and (
                self.seen.cotangents[k] is not None or (k in required and self._differentiable(k))
            ):
                self._expect_gradient(tally, k, sent[k])
            y_bar = self.seen.cotangents[k]
            if node.op is not None and y_bar is not None and self._shaped(y_bar, k):
                y_bar = special_points.undefined_outputs(self.missing(k), y_bar)
                if k not in self.contributions:
                    self.contributions[k] = self._sent(k, y_bar)
                contributions = self.contributions[k]
                required.update(j for _, j, _ in contributions)
                for position, j, x_bar in [
                    *contributions,
                    *self._zeros(node, k, {position for position, *_ in contributions}),
                ]:
                    name, part = node.op.name, self.seen.parts.get((k, position))
                    with_numbers: WithNumbersOf | None = functools.partial(
                        type(self)._sent_with_numbers, k=k, y_bar=y_bar, position=position, x_bar=x_bar
                    )
                    alternatives: AlternativeBounds | None = None
                    if node.op.usual:
                        alternatives = functools.partial(
                            type(self)._sent_bounds, k=k, y_bar=y_bar, position=position
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
                        name, x_bar = arithmetic.fan_in.name, part
                        with_numbers = alternatives = None  # a sum with one infinity is infinite in any order
                    sent.setdefault(j, []).append(Contribution(name, x_bar, with_numbers, alternatives))
        return self.draft(tally)

    def _expect_gradient(self, tally: Tally, k: int, sent: list[Contribution]) -> None:
        """Expect the sum of what the users of node k send back as its gradient."""
        node = self.graph.nodes[k]
        what = f"input {node.name!r}" if node.op is None else f"node {k} ({node.op.name})"
        users, x_bars, _, bounds = zip(*sent, strict=True)
        suspects = list(dict.fromkeys(users))
        place = Place("cotangents", k)
        if len(x_bars) > 1:
            self.sums.append((place, x_bars))
        elif type(x_bars[0]) is np.ndarray:
            x_bars = (exact(x_bars[0], self.fmt),)
        self.expect(
            tally,
            place,
            k,
            " or ".join(suspects),
            x_bars[0],
            f"gradient of {what}",
            suspects,
            functools.partial(sum_with_numbers, sent=sent),
            functools.partial(sum_bounds, sent=sent) if any(bounds) else None,
        )

    def _sent(self, k: int, y_bar: PlainArray) -> list[tuple[int, int, Any]]:
        """The expected contributions of node k to its operands: (position, node of the operand, cotangent)."""
        node = self.graph.nodes[k]
        return node.contributions(self._operands(node), self.recomputed_value(k), exact(y_bar, self.fmt))

    def _sent_bounds(self, *, k: int, y_bar: PlainArray, position: int) -> list[Reach]:
        """The bounds of a contribution of a node to one operand by the other formulas of its op."""
        found, node = self.bounds_of_sent.setdefault(k, {}), self.graph.nodes[k]
        if position not in found:
            y_bar_ball = exact(y_bar, self.fmt)
            found[position] = alternative_formulas.of_sent(node, self._operands(node), y_bar_ball, position)
        return found[position]

    def _sent_with_numbers(
        self, sign: float, *, k: int, y_bar: PlainArray, position: int, x_bar: Ball | PlainArray
    ) -> Any:
        """The expected contribution of node k to one operand (x_bar) with finite numbers in place of the infinite elements of y_bar."""
        if not np.isinf(y_bar).any():
            return x_bar
        sent = {i: with_numbers for i, _, with_numbers in self._sent(k, in_numbers(y_bar, sign, self.fmt))}
        return sent.get(position, x_bar)

    def _zeros(self, node: Node, k: int, sending: set[int]) -> list[tuple[int, int, Any]]:
        """Zero contributions to operands with a zero derivative (of a piecewise constant op), where the framework gave a contribution."""
        if len(sending) == len(node.of):
            return []
        constant = [
            (i, j)
            for i, j in enumerate(node.of)
            if i not in sending and self.seen.values[j] is not None and self.seen.values[j].dtype.kind == "f"
        ]
        only_gradient = [
            (i, j)
            for i, j in constant
            if (k, i) not in self.seen.parts and self.seen.cotangents[j] is not None
        ]
        contributed = [(i, j) for i, j in constant if self.seen.parts.get((k, i)) is not None]
        return [
            (i, j, exact(np.zeros(self.seen.values[j].shape), self.fmt))
            for i, j in [*only_gradient, *contributed]
        ]

    def _differentiable(self, k: int) -> bool:
        """Whether node k has to have a gradient: constants and nodes computed from constants alone have none."""
        node = self.graph.nodes[k]
        if node.op is None:
            return bool(node.name) and self.seen.values[k].dtype.kind == "f"
        return node.op.signature.differentiable and any(self._differentiable(j) for j in node.of)
