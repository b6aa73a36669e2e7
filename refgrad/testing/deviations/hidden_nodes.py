"""Known disagreements of ops inside a graph of which the backend tells the output alone.

A fused backend is judged from end to end. What is recorded of an op reaches the output and the gradients through the other ops of a graph.
So the graph is computed once more over Balls: an op of which a disagreement is recorded gives what the record says, where the conditions of
the record are met, and every other op is right. A wrong number is known where that run gives it within its bound.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.rounding import nearest
from refgrad.bounds.rules import reference_slack
from refgrad.quiet import quiet
from refgrad.testing.deviations.element_setting import Setting, Site
from refgrad.testing.deviations.narrowing import Narrowing
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, moving
from refgrad.testing.deviations.wrong_formulas import FORMULAS
from refgrad.testing.judging.observation import Observation, Place
from refgrad.testing.judging.sweep import Sweep
from refgrad.testing.judging.verdict import Element, Verdict
from refgrad.tracing.ball import Ball, lift, parts

# What an entry without a formula says of a number by its kind.
_ALONE = {frozenset({"nan"}): np.nan, frozenset({"zero"}): 0.0}
Key = int | str  # the position of an operand, VALUE or TANGENT


class Entry(Protocol):
    """What is asked of an entry of a deviations file (Deviation)."""

    @property
    def id(self) -> str: ...
    @property
    def ops(self) -> frozenset[str]: ...
    @property
    def narrow(self) -> Narrowing: ...
    @property
    def stands(self) -> Callable[[], bool]: ...
    def concerns(self, mode: str, setting: Setting) -> bool: ...


def inside(v: Verdict, deviations: Sequence[Entry], setting: Setting) -> str:
    """The ids of the entries about ops inside the graph that explain all wrong numbers of a verdict on a fused backend; else ""."""
    if not setting.fused or any(c.note or c.every_wrong is None for _, _, c in v.wrong_nodes):
        return ""
    wrong = [(c.place, e) for _, _, c in v.wrong_nodes if c.every_wrong is not None for e in c.every_wrong()]

    def explaining(entries: Sequence[Entry]) -> list[Entry]:
        """Those that changed a number of a run that explains all wrong numbers; none where it does not."""
        run = _Recorded(v.mode, entries, setting)
        results = {place: run.result(place) for place, _ in wrong}
        return run.used if all(explains(results[place], e, setting) for place, e in wrong) else []

    entries = [d for d in deviations if d.narrow.computable]
    while used := explaining(entries):
        for d in used:
            fewer = [e for e in used if e is not d]
            used = fewer if explaining(fewer) else used
        mended = [d for d in used if not d.stands()]
        if not mended:
            return ", ".join(d.id for d in used)
        entries = [d for d in entries if d not in mended]
    return ""


def explains(ball: Any, e: Element, setting: Setting) -> bool:
    """Whether a wrong number is that of the run at its place. NaN explains NaN alone, a number without a bound nothing."""
    if ball is None:
        return False
    value, radius = parts(ball)
    v, r = value[e.element], radius[e.element] * reference_slack(setting.fmt)
    if np.isnan(v):
        return bool(np.isnan(e.got))
    return bool(np.isfinite(r) and (e.got == v or abs(e.got - v) <= r))


class _Recorded(Sweep):
    """A run of the graph in which ops give what is recorded of them.

    used  the entries that changed a number, in the order in which the run met them
    """

    def __init__(self, mode: str, entries: Sequence[Entry], setting: Setting) -> None:
        self.mode, self.entries, self.setting = mode, entries, setting
        self.used: list[Entry] = []
        super().__init__(setting.case, setting.fmt)

    def result(self, place: Place) -> Any:
        """The array at a place of the observation."""
        of = self.values if place.part == "values" else getattr(self, place.part)
        return of[place.key]

    def value(self, k: int, y: Any) -> Any:
        """The value of node k as it is recorded."""
        return self._recorded(Site(k, self.graph.nodes[k], None), VALUE, y)

    def sent(self, k: int, position: int, x_bar: Any, y_bar: Any) -> Any:
        """What node k sends to an operand as it is recorded."""
        return self._recorded(Site(k, self.graph.nodes[k], position), position, x_bar, y_bar)

    def moved(self, k: int, y_dot: Any, x_dots: list[Any]) -> Any:
        """The tangent of node k as it is recorded."""
        return self._recorded(Site(k, self.graph.nodes[k], None), TANGENT, y_dot, x_dots=x_dots)

    def _recorded(
        self, site: Site, key: Key, right: Any, y_bar: Any = None, x_dots: Sequence[Any] = ()
    ) -> Any:
        """What is recorded of a node, in the place of the right result."""
        mode = VALUE if key == VALUE else self.mode
        for d in self.entries:
            if str(site.node) not in d.ops or not d.concerns(mode, self.setting):
                continue
            with quiet():
                found = self._by(d, site, key, right, y_bar, x_dots)
            if found is not None:
                right = found
                self.used += [] if d in self.used else [d]
        return right

    def _by(self, d: Entry, site: Site, key: Key, right: Any, y_bar: Any, x_dots: Sequence[Any]) -> Any:
        """The result with the numbers of one entry; None where it changes none."""
        value, radius = parts(right)
        narrow = d.narrow
        if narrow.formula:
            xs = tuple([self._ball(x) for x in self.operands(site.node)])
            dots = moving(self.graph, site.node, xs, tuple(x_dots) or (None,) * len(xs), self.fmt)
            given = Inputs(False, xs, site.node.params, y_bar, dots, self.fmt)
            balls = FORMULAS[narrow.formula](given).get(key)
            if not balls:
                return None
            centre, reach = _hull(balls)
        else:
            centre, reach = np.full(value.shape, _ALONE[narrow.got]), np.zeros(value.shape)
        if centre.shape != value.shape:
            return None
        at = np.zeros(value.shape, bool)
        for element in np.ndindex(value.shape):
            at[element] = self._applies(d, site, key, element, float(value[element]), float(centre[element]))
        changed = at & ~((np.abs(centre - value) + reach <= radius) | (np.isnan(centre) & np.isnan(value)))
        if not changed.any():
            return None
        return Ball(np.where(changed, centre, value), np.where(changed, reach, radius), self.fmt)

    def _ball(self, x: Any) -> Any:
        """An operand as a formula expects it: a Ball where it holds floating-point numbers."""
        return x if isinstance(x, Ball) or np.asarray(x).dtype.kind != "f" else lift(x, self.fmt)

    def _applies(
        self, d: Entry, site: Site, key: Key, element: tuple[int, ...], due: float, given: float
    ) -> bool:
        """Whether the conditions of an entry are met at an element."""
        part: Any = "values" if key == VALUE else "tangents" if key == TANGENT else "parts"
        place = Place(part, (site.k, site.position) if part == "parts" else site.k)
        e = Element(given, due, 0.0, 0.0, 0.0, element, place=place)
        return d.narrow.holds(e, [str(site.node)], self._stored)

    @functools.cached_property
    def _stored(self) -> Setting:
        """The setting with the values of this run, as the format stores them."""

        def stored(x: Any) -> PlainArray | None:
            if x is None:
                return None
            value, _ = parts(x)
            return nearest(value, self.fmt) if value.dtype.kind == "f" else value

        seen = self.setting.seen
        nothing = [None] * len(self.graph.nodes)
        with quiet():
            values = [stored(x) for x in self.values]
        return Setting(self.case, Observation(values, nothing, nothing, {}, {}, profile=seen.profile))


def _hull(balls: Sequence[Any]) -> tuple[PlainArray, PlainArray]:
    """Centre and radius of the Ball that holds all these Balls."""
    both = [parts(ball) for ball in balls]
    if len(both) == 1:
        return both[0][0], np.broadcast_to(both[0][1], both[0][0].shape)
    low = functools.reduce(np.minimum, [v - r for v, r in both])
    high = functools.reduce(np.maximum, [v + r for v, r in both])
    return (low + high) / 2, (high - low) / 2
