"""Shows the progress of a run, and records its plan, so that a report can name the items that did not run."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Collection, Mapping, Sequence

import pytest

from refgrad.errors import ResultsWriteError
from refgrad.pytest_plugin import COUNT, FAILED, UNWRITTEN
from refgrad.records import Plan
from refgrad.suite.scope import Scope
from refgrad.testing.runs.gate import stop
from refgrad.testing.runs.in_flight import worker_died
from refgrad.testing.runs.results import ResultsFile

_BAR = 24  # characters
_DEATHS = 6  # the run ends after so many workers in a row have died before their first test


class Progress:
    """A pytest plugin that shows a progress bar on a terminal, and otherwise a line for every tenth of the cases.

    cases         the number of cases of each test, by name; a test without an entry judges none
    max_failures  the number of failures after which no further item begins; None: no limit
    budget        the seconds that the run may take, where its number of cases is not known beforehand
    planned       whether the plan is recorded by somebody else
    ended         the tests of a resumed run that ended before
    spent         the seconds that a resumed run took before
    """

    def __init__(
        self,
        cases: Mapping[str, int],
        results: ResultsFile,
        max_failures: int | None = None,
        budget: float | None = None,
        planned: bool = False,
        ended: Collection[str] = (),
        spent: float = 0.0,
    ) -> None:
        self.cases, self.blocks = dict(cases), dict[str, int]()
        self.max_failures, self.budget = max_failures, budget
        self.failures = 0  # failing cases, and items that failed without a verdict
        self.names: set[str] = set()  # of all items
        self.collected = False  # whether the items of this session are known
        self.ended = sum(self.cases.get(name, 0) for name in ended)
        self.total = 0  # cases planned
        self.done = self.ended  # cases of the items that have ended
        self.failed = 0  # items
        self.shown = -1  # the last tenth of the total that was shown
        self.judged = self.ended  # cases with a verdict
        self.begun = time.monotonic()  # the first case
        self.start = self.begun - spent  # the run
        self.sizes: dict[str, int] = {}  # the number of cases of each unfinished item
        self.lost: list[tuple[str, str]] = []  # items that never ran or whose worker died, with the reason
        self.results, self.planned = results, planned
        self.unwritten = ""  # why the plan or verdicts could not be recorded
        self.deaths = 0  # workers that have died since the last report of a test

    def extend(self, part: Scope) -> None:
        """Expect another session, with the items of a scope."""
        self.cases |= part.cases
        self.blocks |= part.blocks
        self.collected = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the plan of a run without worker processes."""
        self._plan([item.name for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Record the plan that the first worker has collected."""
        self._plan([_name(nodeid) for nodeid in ids])

    def _plan(self, names: list[str]) -> None:
        if not names or self.collected:
            return
        self.collected = True
        self.names |= {*names}
        if not self.planned:
            self.planned = True
            try:
                self.results.write(Plan(tuple(sorted(names))))
            except ResultsWriteError as error:  # a run without a results file has no purpose
                self.unwritten = str(error)
                pytest.exit(self.unwritten)
        self.sizes = {name: self.cases.get(name, 0) for name in names}
        self.total = self.ended + sum(self.sizes.values())
        self.begun = time.monotonic()
        self._show()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the reason of a failed or skipped collection, of which no test runs; equal reasons of several workers count once."""
        found = (str(report.nodeid), str(report.longrepr)[-2000:])
        if not report.passed and found not in self.lost:
            self.lost.append(found)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """End the run after _DEATHS workers in a row have died before their first test. pytest-xdist itself replaces them without end."""
        self.deaths += bool(error)
        if self.deaths == _DEATHS:
            last = (str(error).strip().splitlines() or [""])[-1]
            why = f"{_DEATHS} in a row died before they had a test to run: {last}"
            self.lost.append(("workers", why))
            pytest.exit(why)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the cases of a finished item. pytest calls this in the main process."""
        self.deaths = 0
        if report.when == "call" or report.failed:
            size = self.sizes.pop(_name(report.nodeid), 0)
            self.done += size
            self.judged += _judged(report)
            self.failed += int(report.failed)
            self._count_failures(report)
            if worker_died(report):
                self.lost.append((_name(report.nodeid), str(report.longrepr)))
            self.unwritten = str(dict(report.user_properties).get(UNWRITTEN, self.unwritten))
            self._show()

    def _count_failures(self, report: pytest.TestReport) -> None:
        """Count the failing cases of an item, and let no further item begin once there are too many."""
        if report.failed:
            self.failures += max(1, int(dict(report.user_properties).get(FAILED, 0)))  # type: ignore[call-overload]
            if self.max_failures is not None and self.failures >= self.max_failures:
                stop(self.results.path)

    def _show(self) -> None:
        if not self.total or sys.stderr is None:
            return
        done = self._share()
        tenth = int(10 * done)
        if _is_terminal():
            room = shutil.get_terminal_size().columns - 1  # a full line wraps on some terminals
            text = self._text()
            bar = f"[{'#' * int(_BAR * done):.<{_BAR}}] "
            line = bar + text if len(bar) + len(text) <= room else text[:room]
            print(f"\r{line:<{room}}", end="", file=sys.stderr, flush=True)
        elif tenth > self.shown:
            print(self._text(), file=sys.stderr, flush=True)
        self.shown = tenth

    def _share(self) -> float:
        """The share of the cases, or of the budget, that is done, from 0 to 1."""
        if self.budget is not None:
            return min(1.0, (time.monotonic() - self.start) / self.budget)
        return self.done / self.total

    def _text(self) -> str:
        """The counts, failures, estimate and time, most important first: a narrow terminal shows the beginning."""
        now = time.monotonic()
        of = f" of {self.total:,}" if self.budget is None else ""
        parts = [f"{self.judged:,}{of} cases judged"]
        if self.failed:
            parts.append(f"{self.failed} item{'s' * (self.failed > 1)} failing")
        here = self.done - self.ended
        if self.budget is not None:
            parts.append(f"about {span(max(0.0, self.budget - (now - self.start)))} left")
        elif here > 0 and self.done < self.total:
            parts.append(f"about {span((now - self.begun) / here * (self.total - self.done))} left")
        return ", ".join([*parts, f"{span(now - self.start)} so far"])

    def finish(self) -> None:
        """End the line of the bar."""
        if self.shown >= 0 and sys.stderr is not None and _is_terminal():
            print(file=sys.stderr)


def _is_terminal() -> bool:
    """Whether standard error is a terminal that can overwrite a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def span(seconds: float) -> str:
    """A duration as text: 45 s, 12 min, 2 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _judged(report: pytest.TestReport) -> int:
    """The cases of an item that have a verdict; 0 where the item reports no counts because it did not finish."""
    counts = dict(report.user_properties).get(COUNT)
    return int(counts.get("judged", 0)) if isinstance(counts, Mapping) else 0


def _name(nodeid: str) -> str:
    """The name of a test without its file."""
    return nodeid.partition("::")[2] or nodeid
