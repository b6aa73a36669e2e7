"""One conformance item: many cases of a family in one dtype on one device, judged and recorded as they come; then failing ones shrink."""

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
from refgrad.testing.runs.in_flight import CaseTimeout, Running
from refgrad.testing.runs.judgement import judge
from refgrad.testing.runs.results import ResultsFile, results_of
from refgrad.testing.runs.shrinking import Budget, Draw, Failure, Shrinker

DRAWN_FOR_ONE = (
    2  # how often Hypothesis may draw for each case wanted: of its draws, about one in eight is a repetition
)

Observe = Callable[[Case], Observation]
Family = Callable[[Source, str], Case]
Script = Callable[[Case, Verdict], str]


def examine(
    case: Case, observe: Observe, deviations: Sequence[Deviation] = (), audit: Audit | None = None
) -> list[Verdict]:
    """Ask the framework and judge; with an audit, also plant errors.

    Whatever goes wrong inside is a verdict ``error``, never a lost case.
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
    """What became of the cases of one item.

    drawn      cases drawn, those included that were drawn before
    judged     different cases with a verdict
    unjudged   cases that were asked for and have none
    shrunk     faults (an op in a mode) of which the smallest case was looked for
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
    """What one pytest item runs."""

    family: str
    dtype: str
    device: str
    block: int
    examples: int
    seed: int
    count: Count | None = None  # of a ``run`` that came to its end

    @property
    def name(self) -> str:
        """What the item is called, on every machine and with any number of workers."""
        return f"{self.family}-{self.dtype}-{self.device}-{self.block}"

    def run(
        self,
        draw_case: Family,
        observe: Observe,
        results: ResultsFile,
        deviations: Sequence[Deviation] = (),
        running: Running | None = None,
        script: Script | None = None,
        budget: Budget | None = None,
    ) -> Count:
        """Examine ``examples`` cases, whatever fails among them; returns what became of them and keeps it in ``count``.

        Every verdict is written as soon as it is known. Then the failing cases are shrunk, one for each fault, within a budget; the
        smallest ones are written and marked as shrunk. A case past its time is an error that is not shrunk. Every so many cases are
        audited, and the counts are written at the end.

        Raises GradientMismatch with the first failing verdict, ResultsWriteError where a verdict cannot be written.
        """
        from refgrad.testing.cases.strategies import each

        def draw(body: Callable[[Case], None], shrink: bool = True) -> None:
            most, seed = DRAWN_FOR_ONE * self.examples, self.seed * 1_000_003 + self.block
            each(draw_case, self.dtype, most, seed, lambda case: body(case.on(self.device)), shrink)

        block = _Block(self.name, self.examples, observe, results, deviations, running, script)
        unwritten: ResultsWriteError | None = None
        try:
            with running.watched() if running else nullcontext():
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
        if failing or block.overdue:
            first = (failing or block.overdue)[0]
            raise GradientMismatch(first.message or first.reason, report=first)
        return self.count


class _Unwritten(BaseException):
    """A verdict cannot be written. No Exception: Hypothesis would take it for a failure of the case, and draw on."""

    def __init__(self, error: ResultsWriteError) -> None:
        super().__init__(str(error))
        self.error = error


class _Block:
    """The cases of one item while it runs: what was judged, what fails."""

    def __init__(
        self,
        name: str,
        wanted: int,
        observe: Observe,
        results: ResultsFile,
        deviations: Sequence[Deviation],
        running: Running | None,
        script: Script | None,
    ) -> None:
        self.name, self.wanted, self.observe, self.results = name, wanted, observe, results
        self.deviations, self.running, self.script = deviations, running, script
        self.audit = Audit()
        self.drawn = 0
        self.sound: set[str] = set()  # ids of the cases without a failure to shrink
        self.failures: dict[str, Failure] = {}  # by the id of the case
        self.overdue: list[Verdict] = []  # of the cases past their time
        self.judged = 0

    def take(self, case: Case) -> None:
        """Judge a case that was drawn, and record it. Hypothesis repeats itself now and then."""
        self.drawn += 1
        if case.id in self.sound or case.id in self.failures:
            return
        # The very first case, which Hypothesis makes as simple as can be, is not among those audited.
        verdicts, late = self._examined(case, self.audit if self.seen % EVERY == 1 else None)
        failure = Failure(case, verdicts)
        self._write(failure)
        self.overdue += verdicts if late else []
        if failure.failed and not late:
            self.failures[case.id] = failure
        else:
            self.sound.add(case.id)
        if self.seen == self.wanted:
            raise StopDrawing

    @property
    def seen(self) -> int:
        """Different cases so far."""
        return len(self.sound) + len(self.failures)

    def shrink(self, draw: Draw, budget: Budget) -> tuple[int, int]:
        """Record the smallest failing case of every fault; how many faults were shrunk, and for how many no time was left."""
        drawn, self.judged = set(self.failures), self.seen - len(self.overdue)
        shrinker = Shrinker(draw, lambda case: self._examined(case)[0], self.failures, self.sound, budget)
        small, shrunk, unshrunk = shrinker.run()
        if self.running:
            self.running.judged()
        for failure in small:
            if failure.case.id not in drawn:
                self._write(failure, shrunk=True)
        return shrunk, unshrunk

    def count(self, shrunk: int, unshrunk: int) -> Count:
        """What became of the cases."""
        short = self.wanted - self.judged - len(self.overdue)
        limit = self.running.limit if self.running else None
        why = [
            f"{len(self.overdue)} without a verdict after {limit} s" if self.overdue else "",
            f"{short} not there: {self.drawn} draws gave no more different cases" if short else "",
            f"{unshrunk} faults not shrunk: the time for it was used up" if unshrunk else "",
        ]
        unjudged = len(self.overdue) + short
        return Count(self.drawn, self.judged, unjudged, shrunk, unshrunk, "; ".join(filter(None, why)))

    def _examined(self, case: Case, audit: Audit | None = None) -> tuple[list[Verdict], bool]:
        """The verdicts on a case, and whether its time ran out."""
        try:
            with self.running.over(self.name, case) if self.running else nullcontext():
                return examine(case, self.observe, self.deviations, audit), False
        except CaseTimeout:
            return [_overdue(self.running)], True
        except ResultsWriteError as error:
            raise _Unwritten(error) from error

    def _write(self, failure: Failure, shrunk: bool = False) -> None:
        try:
            write(self.results, failure.case, failure.verdicts, self.script, shrunk=shrunk)
        except ResultsWriteError as error:
            raise _Unwritten(error) from error
        if self.running:
            self.running.judged()


def _overdue(running: Running | None) -> Verdict:
    seconds = running.limit if running else None
    return Verdict("value", ERROR, reason=f"time limit: no verdict after {seconds} s", repeatable=False)


def write(
    results: ResultsFile,
    case: Case,
    verdicts: list[Verdict],
    script: Script | None = None,
    shrunk: bool = False,
) -> None:
    """Record the verdicts of one case, all at once; ``script`` writes the program of a disagreement without refgrad.

    ``shrunk`` says that the case was not drawn but made while shrinking.
    """
    results.write(*results_of(case, verdicts, functools.partial(script, case) if script else None, shrunk))
