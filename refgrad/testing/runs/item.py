"""Runs one conformance item: judges and records many cases of a family in one dtype on one device, then shrinks failing ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from refgrad.errors import (
    OUTSIDE,
    CaseInterruptedError,
    CaseTimeout,
    GradientMismatch,
    NoCaseError,
    ResultsWriteError,
)
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import CaseSequence, Family, Wanted
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import ERROR, Verdict
from refgrad.testing.power.audit import Audit
from refgrad.testing.runs.in_flight import CurrentCase
from refgrad.testing.runs.judgement import Observed, failed, judge, judge_together, marked, sampled
from refgrad.testing.runs.results import ResultsFile, results_of
from refgrad.testing.runs.shrinking import Budget, Failure, Shrinker

BLOCK = 50  # cases in one item: few enough that workers share the load evenly
DRAWS_PER_CASE = 2  # at most, for each case of an item: some draws are repetitions
# Most cases that are observed before they are judged. A process that dies loses the observed cases of its sweep, and the rest of its item.
# A sweep has as many cases as were judged before it, so that no more are lost than are kept.
SWEEP = 25

Observe = Callable[[Case], Observation]
Script = Callable[[Case, Verdict], str]


def examine(
    case: Case, observe: Observe, deviations: Sequence[Deviation] = (), audit: Audit | None = None
) -> list[Verdict]:
    """Run a case in the framework and judge it; with an audit, also plant errors.

    An exception becomes a verdict ``error``.
    """
    try:
        seen = observe(case)
        return marked(Observed(case, seen), judge(case, seen, audit), deviations)
    except OUTSIDE:
        raise
    except BaseException as error:
        return [failed(error)]


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
    """The cases that one pytest item judges, and their number after the run.

    Block b draws the cases of its family from number b · BLOCK · DRAWS_PER_CASE on. So every case depends on the family, the dtype, the
    seed and its number alone, and a run with more examples has all cases of a run with fewer.
    """

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
        wanted: Sequence[Wanted] = (),
    ) -> Count:
        """Judge ``examples`` distinct cases, failing ones included; returns their numbers and keeps them in ``count``.

        Cases are observed one by one and judged in sweeps. The verdicts of a sweep are written in the order of its cases. Then one
        failing case for each fault is shrunk, within a budget; the smallest cases are written and marked as shrunk. A case past its time
        limit is an error and is not shrunk. The ``sampled`` cases are audited, and the counts are written at the end. ``wanted`` is what
        the first cases of the family have to be like (sequence.py).

        Raises GradientMismatch with the first failing verdict, ResultsWriteError where a verdict cannot be written.
        """
        sequence = CaseSequence(draw_case, self.family, self.dtype, self.device, self.seed, wanted)
        block = _Block(self, sequence, observe, results, deviations, current, script)
        unwritten = False
        try:
            with current.watched() if current else nullcontext():
                block.run()
                failing = [v for failure in block.failures.values() for v in failure.failed]
                shrunk, unshrunk = block.shrink(budget or Budget())
        except ResultsWriteError:
            unwritten = True
            raise
        finally:
            if not unwritten:
                results.write(*block.audit.records())
        self.count = block.count(shrunk, unshrunk)
        if failing or block.timed_out:
            first = (failing or block.timed_out)[0]
            raise GradientMismatch(first.message or first.reason, report=first)
        return self.count


@dataclass
class _Drawn:
    """A drawn case: its number, its audit, and what became of it."""

    number: int
    case: Case
    audited: bool
    seen: Observation | None = None
    verdicts: list[Verdict] | None = None  # after judging; without an observation, the reason
    timed_out: bool = False


class _Block:
    """The cases of one item while it runs: those judged, and those that fail."""

    def __init__(
        self,
        item: Item,
        sequence: CaseSequence,
        observe: Observe,
        results: ResultsFile,
        deviations: Sequence[Deviation] = (),
        current: CurrentCase | None = None,
        script: Script | None = None,
    ) -> None:
        self.name, self.wanted, self.first = item.name, item.examples, item.block * BLOCK * DRAWS_PER_CASE
        self.sequence, self.observe, self.results = sequence, observe, results
        self.deviations, self.current, self.script = deviations, current, script
        self.audit = Audit()
        self.drawn = 0  # cases, repetitions included
        self.passed: set[str] = set()  # ids of the cases without a failure to shrink
        self.failures: dict[str, Failure] = {}  # by the id of the case
        self.timed_out: list[Verdict] = []  # of the cases past their time limit
        self.judged = 0

    def run(self) -> None:
        """Judge and record all cases of the item. An interrupt leaves its case in the file of ``current``."""
        sweep: list[_Drawn] = []
        try:
            for drawn in self._distinct():
                self._observe(drawn)
                sweep.append(drawn)
                if len(sweep) == min(SWEEP, max(1, self.judged + len(self.timed_out))):
                    observed, sweep = sweep, []
                    self._conclude(observed)
        finally:  # also after an interrupt, or where the family raises an exception
            self._conclude(sweep)

    def _distinct(self) -> Iterator[_Drawn]:
        """The cases of the item without repetitions."""
        ids: set[str] = set()
        for number in range(self.first, self.first + DRAWS_PER_CASE * self.wanted):
            self.drawn += 1
            try:
                case = self.sequence.case(number)
            except NoCaseError:
                continue
            if case.id not in ids:
                ids.add(case.id)
                yield _Drawn(number, case, audited=sampled(case))
                if len(ids) == self.wanted:
                    return

    def _observe(self, drawn: _Drawn) -> None:
        """Run a case in the framework, within its time limit. An exception becomes a verdict."""
        try:
            with self._at_hand(drawn.case):
                drawn.seen = self.observe(drawn.case)
        except (ResultsWriteError, KeyboardInterrupt):
            raise
        except CaseTimeout:
            drawn.verdicts, drawn.timed_out = [self._timeout()], True
        except BaseException as error:  # also SystemExit, or what skips a test
            drawn.verdicts = [failed(error)]
        if self.current:
            self.current.finished()

    def _conclude(self, sweep: list[_Drawn]) -> None:
        """Judge the observed cases of a sweep, and record the verdicts on all of them."""
        observed = [drawn for drawn in sweep if drawn.seen is not None]
        if observed:
            self._judge(observed)
        for drawn in sweep:
            self._record(drawn)

    def _judge(self, observed: list[_Drawn]) -> None:
        """Judge cases together. Where an exception or the time limit prevents it, judge each by itself."""
        audit = Audit()
        sweep = [Observed(d.case, d.seen, audit if d.audited else None) for d in observed if d.seen]
        try:
            with self.current.limited(len(sweep)) if self.current else nullcontext():
                verdicts = judge_together(sweep)
        except (CaseTimeout, Exception):
            for drawn in observed:
                self._judge_alone(drawn)
            return
        self.audit.add(audit)
        for drawn, found in zip(observed, verdicts, strict=True):
            drawn.verdicts = self._explained(drawn, found)

    def _judge_alone(self, drawn: _Drawn) -> None:
        """Judge one observed case within its time limit."""
        assert drawn.seen is not None
        audit = Audit()
        try:
            with self._at_hand(drawn.case):
                [found] = judge_together([Observed(drawn.case, drawn.seen, audit if drawn.audited else None)])
        except ResultsWriteError:
            raise
        except CaseTimeout:
            drawn.verdicts, drawn.timed_out = [self._timeout()], True
            return
        except Exception as error:
            drawn.verdicts = [failed(error)]
            return
        self.audit.add(audit)
        drawn.verdicts = self._explained(drawn, found)

    def _explained(self, drawn: _Drawn, found: list[Verdict]) -> list[Verdict]:
        assert drawn.seen is not None
        try:
            return marked(Observed(drawn.case, drawn.seen), found, self.deviations)
        except Exception as error:
            return [failed(error)]

    def _record(self, drawn: _Drawn) -> None:
        """Write the verdicts on a case, and note whether it fails."""
        assert drawn.verdicts is not None
        drawn.timed_out |= not all(v.repeatable for v in drawn.verdicts)  # in a process of its own
        write(self.results, drawn.case, drawn.verdicts, self.script)
        if drawn.timed_out:
            self.timed_out += drawn.verdicts
        else:
            self.judged += 1
        failed = any(v.failed for v in drawn.verdicts) and not drawn.timed_out
        if failed:
            choices = self.sequence.choices(drawn.number)
            self.failures[drawn.case.id] = Failure(drawn.case, drawn.verdicts, choices)
        else:
            self.passed.add(drawn.case.id)

    def shrink(self, budget: Budget) -> tuple[int, int]:
        """Record the smallest failing case of every fault. Returns the number of faults shrunk, and of those for which no time was left."""
        drawn = set(self.failures)
        shrinker = Shrinker(self.sequence, self._examined, self.failures, self.passed, budget)
        small, shrunk, unshrunk = shrinker.run()
        for failure in small:
            if failure.case.id not in drawn:
                write(self.results, failure.case, failure.verdicts, self.script, shrunk=True)
        if self.current:
            self.current.finished()
        return shrunk, unshrunk

    def _examined(self, case: Case) -> list[Verdict]:
        """The verdicts on a case of the shrinker."""
        try:
            with self._at_hand(case):
                return examine(case, self.observe, self.deviations)
        except CaseTimeout:
            return [self._timeout()]
        except CaseInterruptedError as error:
            return [failed(error)]

    def count(self, shrunk: int, unshrunk: int) -> Count:
        """The numbers of cases and faults."""
        short = self.wanted - self.judged - len(self.timed_out)
        limit = self.current.limit if self.current else None
        why = [
            f"{len(self.timed_out)} without a verdict after {limit or 'too many'} s"
            if self.timed_out
            else "",
            f"{short} not there: {self.drawn} draws gave no more different cases" if short else "",
            f"{unshrunk} faults not shrunk: the time for it was used up" if unshrunk else "",
        ]
        unjudged = len(self.timed_out) + short
        return Count(self.drawn, self.judged, unjudged, shrunk, unshrunk, "; ".join(filter(None, why)))

    def _at_hand(self, case: Case) -> AbstractContextManager[None]:
        """Hold a case in the file of ``current``, and limit its time."""
        return self.current.judging(self.name, case) if self.current else nullcontext()

    def _timeout(self) -> Verdict:
        return timeout(self.current.limit if self.current else None)


def timeout(seconds: float | None) -> Verdict:
    """The verdict on a case past its time limit."""
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
