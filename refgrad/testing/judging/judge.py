"""Judge: compares the arrays of an observation with their expected values.

Each expectation is stored, so that another observation can be compared with it. The audit of planted errors uses this to measure what the
same comparison would have caught.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.grid import on_grid
from refgrad.testing.judging.alternative_formulas import Reach, largest, widened, zero_among_others
from refgrad.testing.judging.compare import Pair, compare, compare_all
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.infinite_derivatives import undecidable, without
from refgrad.testing.judging.observation import Observation, Part, Place
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import Comparison, Verdict
from refgrad.tracing.ball import Ball


def _not_compared() -> Comparison:
    """The finding of a pending expectation."""
    return Comparison()


AlternativeBounds = Callable[["Judge"], list[Reach]]
WithNumbersOf = Callable[["Judge", float], Any]


@dataclass(slots=True, eq=False)
class Expectation:
    """One judged array: its expected value, the node and op that made it, and the finding of the comparison.

    Functions receive the judge that holds the expectation. They do not refer to it, so that judges are released without a search for
    cycles of references.

    what           the name of the array in messages
    users          in reverse mode the ops that may be to blame; None: ``op`` alone
    with_numbers   gives the expected array for finite numbers in place of arriving infinities; None where no infinity can arrive
    alternatives   gives the bounds of the other formulas that the record of the op names; called where an element is out of bounds, once:
                   the audit judges many wrong arrays by one expectation
    """

    mode: str
    node: int
    op: str
    expected: Ball | PlainArray
    what: str
    users: list[str] | None
    with_numbers: WithNumbersOf | None
    alternatives: AlternativeBounds | None = None
    _found: Comparison | Callable[[], Comparison] = _not_compared
    _reaches: list[Reach] | None = None

    def reaches(self, judge: Judge) -> list[Reach]:
        """The bounds of the other formulas."""
        if self._reaches is None:
            self._reaches = [] if self.alternatives is None else self.alternatives(judge)
        return self._reaches

    @property
    def found(self) -> Comparison:
        """The finding of the comparison."""
        if not isinstance(self._found, Comparison):
            self._found = self._found()
        return self._found

    @found.setter
    def found(self, found: Comparison | Callable[[], Comparison]) -> None:
        self._found = found


@dataclass(slots=True)
class Draft:
    """A verdict whose comparisons are not made yet: the tally, and the places to compare by the judge that holds their expectations."""

    tally: Tally
    places: list[tuple[Judge, list[Place]]]


class Judge:
    """Judges the arrays of one observation of one case. ``fmt`` is the format whose rounding is allowed, by default the case's."""

    def __init__(self, case: Case, seen: Observation, fmt: Format | None = None) -> None:
        self.case, self.seen, self.graph = case, seen, case.graph
        self.fmt: Format = (
            format_of(case.dtype, case.device, seen.profile, on_grid(case)) if fmt is None else fmt
        )
        self.expectations: dict[Place, Expectation] = {}
        self._pending: list[Place] = []  # the places whose expectations are not compared yet

    def tally(self, mode: str) -> Tally:
        """An empty tally for a verdict on this case."""
        return Tally(mode, self.case.dtype, self.case.device)

    def expect(
        self,
        tally: Tally,
        place: Place,
        node: int,
        op: str,
        expected: Ball | PlainArray,
        what: str,
        users: list[str] | None = None,
        with_numbers: WithNumbersOf | None = None,
        alternatives: AlternativeBounds | None = None,
    ) -> None:
        """Add an expectation for the array at a place; ``verdict`` compares it. The arguments are the fields of Expectation."""
        mode = tally.result.mode
        self.expectations[place] = Expectation(
            mode, node, op, expected, what, users, with_numbers, alternatives
        )
        self._pending.append(place)

    def draft(self, tally: Tally, earlier: Draft | None = None) -> Draft:
        """A verdict on the pending expectations, and on those of an ``earlier`` draft before them."""
        places, self._pending = self._pending, []
        return Draft(tally, [*([] if earlier is None else earlier.places), (self, places)])

    def verdict(self, tally: Tally) -> Verdict:
        """The verdict on the pending expectations, counted in the order in which they were added."""
        places, self._pending = self._pending, []
        self.compare(tally, places)
        return tally.verdict()

    def compare(self, tally: Tally, places: list[Place]) -> None:
        """Compare the arrays at some places in one pass and add the findings to the tally."""
        for place, found in zip(places, self._compared(self.seen, places), strict=True):
            expectation = self.expectations[place]
            expectation.found, found.place = found, place
            for e in found.wrong:
                e.operand, e.place = self._magnitude(place[0], expectation.node, e.element), place
            tally.add(expectation.node, expectation.op, found, expectation.users)

    def rejudge(self, place: Place, seen: Observation) -> Verdict:
        """The verdict on the array at a place of another observation, by the expectation of this one.

        All other arrays are those of this observation. So it is the verdict on a framework that is wrong at this place alone. A place
        without an expectation gives a verdict that compared nothing.
        """
        expectation = self.expectations.get(place)
        if expectation is None:
            return self.tally("").verdict()
        tally = self.tally(expectation.mode)
        tally.add(expectation.node, expectation.op, self._compared(seen, [place])[0], expectation.users)
        return tally.verdict()

    def _magnitude(self, part: Part, node: int, element: tuple[int, ...]) -> float:
        """The magnitude of the element of the first operand, or of the operand whose gradient it is; NaN where the shapes differ."""
        of = self.graph.nodes[node].of
        k = node if part in ("cotangents", "parts") else of[0]
        x = self.seen.values[k]
        there = (
            x is not None
            and len(element) == np.ndim(x)
            and all(i < n for i, n in zip(element, np.shape(x), strict=True))
        )
        return abs(float(x[element])) if there else np.nan

    def _compared(self, seen: Observation, places: list[Place]) -> list[Comparison]:
        """Compare an observation with the expectations at some places. Either all places are values or none is.

        The numbers of an array of a wrong dtype, or on a wrong device, are compared as well: one mistake does not hide another.
        """
        there = [place for place in places if seen.at(place) is not None]
        pairs: list[Pair] = [
            (seen.at(place), self.expectations[place].expected, self.expectations[place].what)
            for place in there
        ]
        nan = bool(places) and places[0][0] == "values"  # NaN is the expected result there
        found = dict(zip(there, compare_all(pairs, self.fmt, nan=nan), strict=True))
        return [self._noted(seen, place, found.get(place)) for place in places]

    def _noted(self, seen: Observation, place: Place, found: Comparison | None) -> Comparison:
        """The finding of the numbers at a place, None where there are none, with the note of what else is wrong."""
        note = self.note(seen, place)
        if found is None:
            return Comparison(note=note)
        found = self._reconsidered(seen, place, found)
        found.note = found.note or note  # a wrong shape is the graver mistake
        return found

    def _reconsidered(self, seen: Observation, place: Place, found: Comparison) -> Comparison:
        """The finding without the wrong elements that an infinite derivative leaves undecided or another formula explains."""
        if not found.wrong:
            return found
        expectation, got = self.expectations[place], seen.at(place)
        expected, changed = expectation.expected, False
        if expectation.with_numbers is not None and any(math.isinf(e.expected) for e in found.wrong):
            free = undecidable(got, expected, functools.partial(expectation.with_numbers, self))
            changed = bool(free.any())
            expected = without(expected, free, self.fmt) if changed else expected
        rounded = isinstance(expected, Ball)  # an array is exact by any formula
        reaches = expectation.reaches(self) if rounded else []
        hidden = self.hidden(expectation.op)
        bounds = [r.bound if hidden is None else zero_among_others(r, got, expected) for r in reaches]
        reach = largest(bounds)
        if reach is None and hidden is None and not changed:
            return found
        expected = widened(expected, got, reaches)
        nan = place[0] == "values"
        return compare(got, expected, self.fmt, expectation.what, nan=nan, reach=reach, hidden=hidden)

    def hidden(self, op: str) -> Hidden | None:  # noqa: ARG002 - NodeByNode uses it
        """What is known about the formula behind the results of a function of this name; None for an op."""
        return None

    def note(self, seen: Observation, place: Place) -> str:
        """What is wrong with the array at a place apart from its numbers, for a message; empty where nothing is."""
        if seen.at(place) is None:
            return f"{self.expectations[place].what}: the framework gave none, one is due"
        return self._wrong_dtype_or_device(seen, place)

    def _wrong_dtype_or_device(self, seen: Observation, place: Place) -> str:
        """A dtype or device other than that of the case, for a message; empty where both are right."""
        part, key = place
        dtype, device = seen.dtype_at(place), seen.device_at(place)
        if dtype is not None and dtype != self.fmt.storage:
            return f"{part[:-1]} of node {key} has dtype {dtype}, expected {self.fmt.storage}"
        if device is not None and device != self.case.device:
            return f"{part[:-1]} of node {key} is on device {device}, expected {self.case.device}"
        return ""
