"""One conformance item: many cases of a family in one dtype on one device, examined and recorded as they come."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from refgrad.errors import GradientMismatch, ResultsWriteError
from refgrad.testing import judge
from refgrad.testing.audit import EVERY, Audit
from refgrad.testing.case import Case
from refgrad.testing.deviations import Deviation, mark
from refgrad.testing.observation import Observation
from refgrad.testing.results import ResultsFile, results_of
from refgrad.testing.running import CaseTimeout, Running
from refgrad.testing.source import Source
from refgrad.testing.verdict import ERROR, Verdict

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
        mark(verdicts, list(deviations), case.dtype, case.device, case.family)
        return verdicts
    except Exception as error:
        trace = traceback.format_exc(limit=-3)
        return [Verdict("value", ERROR, reason=f"{type(error).__name__}: {error}", message=trace)]


@dataclass
class Item:
    """What one pytest item runs."""

    family: str
    dtype: str
    device: str
    block: int
    examples: int
    seed: int

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
    ) -> int:
        """Examine ``examples`` cases; returns how many. Raises GradientMismatch with the smallest failing case.

        Hypothesis draws and shrinks. The first failing case is written at once, the smallest when shrinking has ended. A case past
        its time is an error that is not shrunk: the next one follows. Every so many cases are audited, and the counts written at
        the end. Raises ResultsWriteError where a verdict cannot be written.
        """
        import hypothesis
        from hypothesis import HealthCheck, Phase

        from refgrad.testing.strategies import cases

        seen: set[str] = set()
        failing: list[tuple[Case, list[Verdict]]] = []
        stopped: list[ResultsWriteError] = []
        overdue: list[Verdict] = []
        audit = Audit()

        def body(case: Case) -> None:
            case = case.on(self.device)
            if stopped or (case.id in seen and not failing):
                return  # Hypothesis repeats itself now and then
            sampled = (
                not failing and len(seen) % EVERY == 1
            )  # not the very first, which Hypothesis makes as simple as can be
            late = False
            try:
                with running.over(self.name, case) if running else nullcontext():
                    verdicts = examine(case, observe, deviations, audit if sampled else None)
            except CaseTimeout:
                late, verdicts = True, [_overdue(running)]
            except ResultsWriteError as error:  # not an exception for Hypothesis to shrink
                stopped.append(error)
                return
            bad = [v for v in verdicts if v.failed]
            if not failing or late:
                seen.add(case.id)
                try:
                    write(results, case, verdicts, script)
                except ResultsWriteError as error:
                    stopped.append(error)
                    return
            if running:
                running.judged()
            if late:
                overdue.extend(verdicts)
            elif bad:
                failing.append((case, verdicts))
                raise GradientMismatch(bad[0].message or bad[0].reason, report=bad[0])

        test = hypothesis.given(cases(draw_case, self.dtype))(body)
        test = hypothesis.seed(self.seed * 1_000_003 + self.block)(test)
        test = hypothesis.settings(
            max_examples=self.examples, deadline=None, database=None, derandomize=False, print_blob=False, report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
        )(test)  # fmt: skip
        try:
            with running.watched() if running else nullcontext():
                test()
        except GradientMismatch:
            first, last = failing[0], failing[-1]
            if last[0].id != first[0].id:
                write(results, *last, script)
            raise
        finally:
            if not stopped:
                results.write(*audit.records())
        if stopped:
            raise stopped[0]
        if overdue:
            raise GradientMismatch(overdue[0].reason, report=overdue[0])
        return len(seen)


def _overdue(running: Running | None) -> Verdict:
    seconds = running.limit if running else None
    return Verdict("value", ERROR, reason=f"time limit: no verdict after {seconds} s", again=False)


def write(results: ResultsFile, case: Case, verdicts: list[Verdict], script: Script | None = None) -> None:
    """Record the verdicts of one case, all at once; ``script`` writes the program of a disagreement without refgrad."""
    results.write(*results_of(case, verdicts, functools.partial(script, case) if script else None))
