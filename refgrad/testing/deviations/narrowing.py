"""Narrowing: conditions under which a known disagreement covers a wrong number of its ops, modes and dtypes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    FORWARD_END_TO_END,
    FUNCTIONAL_FORWARD,
    SECOND,
    TRANSPOSED_REVERSE,
    VALUE,
)
from refgrad.testing.deviations.element_setting import Setting, Site
from refgrad.testing.deviations.operand_conditions import PLACES
from refgrad.testing.deviations.recorded_formula import (
    OTHER_MODES,
    PAIRING,
    TANGENT,
    Inputs,
    Outcomes,
    moving,
    within,
)
from refgrad.testing.deviations.result_conditions import RESULT_PLACES
from refgrad.testing.deviations.wrong_formulas import FORMULAS
from refgrad.testing.judging.verdict import Element, Verdict
from refgrad.tracing.ball import exact, parts

KINDS = ("nan", "inf", "zero", "number")
# case -> mode -> "count", "elements" ([what, element, got] of the worst)
Numbers = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Narrowing:
    """Conditions that every wrong element has to meet. An empty condition is always met.

    got       kinds of the observed number: nan, inf, zero, number
    expected  kinds of the expected number
    operand   least and greatest magnitude of the first operand of an elementwise op, or of the operand whose gradient it is
    where     a condition on all operands and the value, by its name in ``operand_conditions.PLACES``
    formula   what the framework computes instead, by its name in ``wrong_formulas.FORMULAS``
    note      a part of the note about what is wrong apart from numbers
    error     the first line of an exception; * matches any text
    numbers   recorded cases and elements with the observed numbers
    """

    got: frozenset[str] = frozenset()
    expected: frozenset[str] = frozenset()
    operand: tuple[float, ...] = ()
    where: str = ""
    formula: str = ""
    note: str = ""
    error: str = ""
    numbers: Numbers | None = field(default=None, hash=False)

    @property
    def narrow(self) -> bool:
        """Whether the conditions exclude an ordinary wrong number at ordinary operands."""
        kinds = any(names and "number" not in names for names in (self.got, self.expected))
        return kinds or bool(
            self.operand or self.where or self.formula or self.note or self.error or self.numbers is not None
        )

    def admits(self, v: Verdict, setting: Setting) -> bool:
        """Whether a verdict meets ``numbers``: a recorded case with the recorded count of wrong elements and the recorded worst ones."""
        if self.numbers is None:
            return True
        there = self.numbers.get(setting.case.id, {}).get(v.mode)
        if there is None or there["count"] != sum(c.count for _, _, c in v.wrong_nodes):
            return False
        return all(any(_same(e, *r) for r in there["elements"]) for e in v.wrong)

    def noted(self, note: str, e: Element, ops: Sequence[str], setting: Setting) -> bool:
        """Whether a note (a wrong dtype or shape, a missing gradient) meets the conditions. ``e`` is any element of its array."""
        if not self.note or self.note not in note:
            return False
        sites = setting.sites(e, ops) if self.where else []
        return not self.where or any(np.any(_places(self.where, s, setting)) for s in sites)

    def raised(self, v: Verdict, setting: Setting, ops: frozenset[str] = frozenset()) -> bool:
        """Whether an error meets the conditions. Where no node is known that raised it, those of ``ops`` may have."""
        there = self.numbers is None or v.mode in self.numbers.get(setting.case.id, {})
        words = ".*".join(map(re.escape, self.error.split("*")))
        if not (there and self.error and re.fullmatch(words, first_line(v.reason))):
            return False
        graph = setting.case.graph
        found = [k for k in graph.order() if str(graph.nodes[k]) in ops]
        nodes = found if v.first_wrong is None else [v.first_wrong[0]]
        return not self.where or any(
            np.any(_places(self.where, Site(k, graph.nodes[k], None), setting)) for k in nodes
        )

    def meets(self, e: Element, mode: str, ops: Sequence[str], setting: Setting) -> bool:
        """Whether a wrong element meets the conditions."""
        if self.note or self.error or not self.holds(e, ops, setting):
            return False
        sites = setting.sites(e, ops) if self.formula else []
        return not self.formula or (len(sites) == 1 and self._computed(e, mode, sites[0], setting))

    @property
    def computable(self) -> bool:
        """Whether the conditions say which number the framework gives: by a formula, or NaN alone, or zero alone."""
        said = self.formula or self.got in ({"nan"}, {"zero"})
        return bool(said) and not self.note and not self.error and self.numbers is None

    def holds(self, e: Element, ops: Sequence[str], setting: Setting) -> bool:
        """Whether an element meets the conditions on its numbers and operands: all but ``formula``."""
        if self.got and kind(e.got) not in self.got:
            return False
        if self.expected and kind(e.expected) not in self.expected:
            return False
        if self.operand and not self.operand[0] <= setting.magnitude(e, ops) <= self.operand[1]:
            return False
        sites = setting.sites(e, ops) if self.where else []
        return not self.where or any(setting.meets(e, s, _places(self.where, s, setting)) for s in sites)

    def _computed(self, e: Element, mode: str, site: Site, setting: Setting) -> bool:
        """Whether the observed number equals the result of the formula within its rounding bound."""
        second, fmt = mode in SECOND, setting.fmt
        given = setting.once(
            (self.formula, site.k, second),
            lambda: FORMULAS[self.formula](_inputs(site, setting, fmt, second=second)),
        )
        others = (
            given.get(OTHER_MODES if e.element else PAIRING)
            if mode == AGREEMENT and e.along is None
            else None
        )
        if others is not None:
            return any(within(e.got, ball, e.element, reference_slack(fmt)) for ball in others)
        if e.along is not None:
            return _paired(given, e, site, setting)
        if mode == AGREEMENT:
            apart, reach = _apart(given, e, site, setting)
            return bool(abs(e.got - e.expected - apart) <= reach)
        key: int | str = (
            VALUE
            if mode == VALUE
            else TANGENT
            if mode in (FORWARD, FORWARD_END_TO_END, FUNCTIONAL_FORWARD, TRANSPOSED_REVERSE)
            else site.position or 0
        )
        return any(within(e.got, ball, e.element, reference_slack(fmt)) for ball in given.get(key, ()))


def _places(where: str, site: Site, setting: Setting) -> Any:
    """The places of a node that a condition covers."""
    xs = setting.operands(site)
    given = (*xs, setting.value(site)) if where in RESULT_PLACES else xs
    return np.asarray(PLACES[where](given, site.node.params, setting.fmt))


def _inputs(site: Site, setting: Setting, fmt: Format, *, second: bool) -> Inputs:
    case, of = setting.case, site.node.of

    def ball(x: Any) -> Any:
        return None if x is None else exact(x, fmt) if np.asarray(x).dtype.kind == "f" else x

    xs = tuple(ball(x) for x in setting.operands(site))
    if second:
        names = [case.graph.nodes[j].name for j in of]
        return Inputs(
            True,
            xs,
            site.node.params,
            ball(case.cotangent),
            tuple(ball(case.tangents.get(n)) for n in names),
            fmt,
        )
    xs_dot = moving(case.graph, site.node, xs, [ball(x) for x in setting.operand_tangents(site)], fmt)
    return Inputs(False, xs, site.node.params, ball(setting.cotangent(site)), xs_dot, fmt)


def _apart(given: Outcomes, e: Element, site: Site, setting: Setting) -> tuple[Any, float]:
    """How far two modes are apart that both compute the formula, and within which bound: in one element, or in the sum over all elements.

    They are apart where the modes of the formula itself disagree.
    """
    numbers = {k: parts(balls[0]) for k, balls in given.items()}  # in the wide format, as the pairings are
    unknown = np.asarray(np.nan), np.asarray(np.nan)
    if e.element:
        _, radius = numbers.get(site.position or 0, unknown)
        return 0.0, math.nan if radius.ndim != len(e.element) else 2 * float(radius[e.element])
    value, radius = numbers.get(TANGENT, unknown)
    apart, reach = (np.sum(f(setting.case.cotangent) * x) for f, x in ((np.asarray, value), (np.abs, radius)))
    for k, j in enumerate(site.node.of):
        x_dot = setting.case.tangents.get(setting.case.graph.nodes[j].name)
        if x_dot is None:  # a constant, such as an index
            continue
        value, radius = numbers.get(k, unknown)
        apart, reach = apart - np.sum(x_dot * value), reach + np.sum(np.abs(x_dot) * radius)
    reach += np.spacing(abs(e.got)) + np.spacing(abs(e.expected))  # both pairings are rounded to float64
    return (0.0 if np.isinf(reach) else apart), float(reach)  # any two numbers where there is no bound


def _paired(given: Outcomes, e: Element, site: Site, setting: Setting) -> bool:
    """Whether a sum over tied elements is that of the formula's gradients."""
    assert e.along is not None
    value = reach = 0.0
    for k, j in enumerate(site.node.of):
        direction = e.along.get(setting.case.graph.nodes[j].name)
        if direction is None or not np.any(direction):
            continue
        if k not in given:
            return False
        x_bar, radius = parts(given[k][0])
        moved = direction != 0
        value, reach = (
            value + np.sum((direction * x_bar)[moved]),
            reach + np.sum((np.abs(direction) * radius)[moved]),
        )
    return bool(abs(e.got - value) <= reach * reference_slack(setting.fmt) + np.spacing(abs(e.got)))


def _same(e: Element, what: str, element: Sequence[int], got: float) -> bool:
    """Whether an element is the recorded one: at the same place, and the same number within its bound."""
    if e.what != what or tuple(element) != e.element:
        return False
    return e.got == got or (math.isnan(e.got) and math.isnan(got)) or abs(e.got - got) <= e.bound


def first_line(text: str) -> str:
    """The first line of an error message."""
    return text.splitlines()[0].strip() if text.strip() else ""


def kind(x: float) -> str:
    """The kind of a number: one of KINDS."""
    return "nan" if math.isnan(x) else "inf" if math.isinf(x) else "zero" if x == 0 else "number"
