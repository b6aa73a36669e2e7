"""Runs one conformance item: judges and records many cases of a family in one dtype on one device, then shrinks failing ones."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from refgrad.errors import GradientMismatch, ResultsWriteError
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source, StopDrawing
from refgrad.testing.deviations.deviation import Deviation, mark
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import ERROR, Verdict
from refgrad.testing.power.audit import EVERY, Audit
from refgrad.testing.runs.in_flight import CaseTimeout, CurrentCase
from refgrad.testing.runs.judgement import judge
from refgrad.testing.runs.results import ResultsFile, results_of
from refgrad.testing.runs.shrinking import Budget, Draw, Failure, Shrinker

DRAWS_PER_CASE = (
    2  # at most, for each case of an item: about one in eight draws of Hypothesis is a repetition
)

Observe = Callable[[Case], Observation]
Family = Callable[[Source, str], Case]
Script = Callable[[Case, Verdict], str]


def examine(
    case: Case, observe: Observe, deviations: Sequence[Deviation] = (), audit: Audit | None = None
) -> list[Verdict]:
    """Run a case in the framework and judge it; with an audit, also plant errors.

    An exception becomes a verdict ``error``.
    """
    try:
        seen = observe(case)
        verdicts = judge(case, seen, audit)
        for v in verdicts:
            v.seen = seen if v.evidence is not None else None
        mark(verdicts, deviations, Setting(case, seen))
        return verdicts
    except Exception as error:
        trace = traceback.format_exc(limit=-3)
        return [Verdict("value", ERROR, reason=f"{type(error).__name__}: {error}", message=trace)]


@dataclass(frozen=True, slots=True)
class Count:
    """The numbers of cases and faults of one item.

    drawn      cases drawn, repetitions included
    judged     distinct cases with a verdict
    unjudged   requested cases without a verdict
    shrunk     faults (an op in a mode) whose smallest case was searched for
    unshrunk   faults for which no time was left; the cases that show them are recorded as they were drawn
    why        why cases were not judged and faults not shrunk; empty where there are none
    """

    drawn: int
    judged: int
    unjudged: int
    shrunk: int
    unshrunk: int
    why: str


@dataclass
class Item:
    """The cases that one pytest item judges, and their number after the run."""

    family: str
    dtype: str
    device: str
    block: int
    examples: int
    seed: int
    count: Count | None = None  # after a complete ``run``

    @property
    def name(self) -> str:
        """The name of the item. It does not depend on the machine or on the number of workers."""
        return f"{self.family}-{self.dtype}-{self.device}-{self.block}"

    def run(
        self,
        draw_case: Family,
        observe: Observe,
        results: ResultsFile,
        deviations: Sequence[Deviation] = (),
        current: CurrentCase | None = None,
        script: Script | None = None,
        budget: Budget | None = None,
    ) -> Count:
        """Judge ``examples`` cases, failing ones included; returns their numbers and keeps them in ``count``.

        Every verdict is written as soon as it is known. Then one failing case for each fault is shrunk, within a budget; the smallest cases
        are written and marked as shrunk. A case past its time limit is an error and is not shrunk. One case in EVERY is audited, and the
        counts are written at the end.

        Raises GradientMismatch with the first failing verdict, ResultsWriteError where a verdict cannot be written.
        """
        from refgrad.testing.cases.strategies import each

        def draw(body: Callable[[Case], None], shrink: bool = True) -> None:
            most, seed = DRAWS_PER_CASE * self.examples, self.seed * 1_000_003 + self.block
            each(draw_case, self.dtype, most, seed, lambda case: body(case.on(self.device)), shrink)

        block = _Block(self.name, self.examples, observe, results, deviations, current, script)
        unwritten: ResultsWriteError | None = None
        try:
            with current.watched() if current else nullcontext():
                draw(block.take, shrink=False)
                failing = [v for failure in block.failures.values() for v in failure.failed]
                shrunk, unshrunk = block.shrink(draw, budget or Budget())
        except _Unwritten as stop:
            unwritten = stop.error
        finally:
            if unwritten is None:
                results.write(*block.audit.records())
        if unwritten is not None:
            raise unwritten
        self.count = block.count(shrunk, unshrunk)
        if failing or block.timed_out:
            first = (failing or block.timed_out)[0]
            raise GradientMismatch(first.message or first.reason, report=first)
        return self.count


class _Unwritten(BaseException):
    """A verdict cannot be written. It is a BaseException, because Hypothesis would treat an Exception as a failure of the case."""

    def __init__(self, error: ResultsWriteError) -> None:
        super().__init__(str(error))
        self.error = error


class _Block:
    """The cases of one item while it runs: those judged, and those that fail."""

    def __init__(
        self,
        name: str,
        wanted: int,
        observe: Observe,
        results: ResultsFile,
        deviations: Sequence[Deviation],
        current: CurrentCase | None,
        script: Script | None,
    ) -> None:
        self.name, self.wanted, self.observe, self.results = name, wanted, observe, results
        self.deviations, self.current, self.script = deviations, current, script
        self.audit = Audit()
        self.drawn = 0
        self.passed: set[str] = set()  # ids of the cases without a failure to shrink
        self.failures: dict[str, Failure] = {}  # by the id of the case
        self.timed_out: list[Verdict] = []  # of the cases past their time limit
        self.judged = 0

    def take(self, case: Case) -> None:
        """Judge a drawn case and record it, unless it is a repetition."""
        self.drawn += 1
        if case.id in self.passed or case.id in self.failures:
            return
        # The first case is not audited, because Hypothesis makes it as simple as possible.
        verdicts, timed_out = self._examined(case, self.audit if self.seen % EVERY == 1 else None)
        failure = Failure(case, verdicts)
        self._write(failure)
        self.timed_out += verdicts if timed_out else []
        if failure.failed and not timed_out:
            self.failures[case.id] = failure
        else:
            self.passed.add(case.id)
        if self.seen == self.wanted:
            raise StopDrawing

    @property
    def seen(self) -> int:
        """The number of distinct cases so far."""
        return len(self.passed) + len(self.failures)

    def shrink(self, draw: Draw, budget: Budget) -> tuple[int, int]:
        """Record the smallest failing case of every fault. Returns the number of faults shrunk, and of those for which no time was left."""
        drawn, self.judged = set(self.failures), self.seen - len(self.timed_out)
        shrinker = Shrinker(draw, lambda case: self._examined(case)[0], self.failures, self.passed, budget)
        small, shrunk, unshrunk = shrinker.run()
        if self.current:
            self.current.finished()
        for failure in small:
            if failure.case.id not in drawn:
                self._write(failure, shrunk=True)
        return shrunk, unshrunk

    def count(self, shrunk: int, unshrunk: int) -> Count:
        """The numbers of cases and faults."""
        short = self.wanted - self.judged - len(self.timed_out)
        limit = self.current.limit if self.current else None
        why = [
            f"{len(self.timed_out)} without a verdict after {limit} s" if self.timed_out else "",
            f"{short} not there: {self.drawn} draws gave no more different cases" if short else "",
            f"{unshrunk} faults not shrunk: the time for it was used up" if unshrunk else "",
        ]
        unjudged = len(self.timed_out) + short
        return Count(self.drawn, self.judged, unjudged, shrunk, unshrunk, "; ".join(filter(None, why)))

    def _examined(self, case: Case, audit: Audit | None = None) -> tuple[list[Verdict], bool]:
        """The verdicts on a case, and whether it exceeded its time limit."""
        try:
            with self.current.judging(self.name, case) if self.current else nullcontext():
                return examine(case, self.observe, self.deviations, audit), False
        except CaseTimeout:
            return [_timeout(self.current)], True
        except ResultsWriteError as error:
            raise _Unwritten(error) from error

    def _write(self, failure: Failure, shrunk: bool = False) -> None:
        try:
            write(self.results, failure.case, failure.verdicts, self.script, shrunk=shrunk)
        except ResultsWriteError as error:
            raise _Unwritten(error) from error
        if self.current:
            self.current.finished()


def _timeout(current: CurrentCase | None) -> Verdict:
    seconds = current.limit if current else None
    return Verdict("value", ERROR, reason=f"time limit: no verdict after {seconds} s", repeatable=False)


def write(
    results: ResultsFile,
    case: Case,
    verdicts: list[Verdict],
    script: Script | None = None,
    shrunk: bool = False,
) -> None:
    """Record the verdicts of one case in one write.

    ``script`` writes the program that shows a failure; ``shrunk`` marks a case that shrinking has made.
    """
    results.write(*results_of(case, verdicts, functools.partial(script, case) if script else None, shrunk))
