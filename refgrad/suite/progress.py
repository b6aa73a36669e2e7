"""How far a run of the suite is: shown on the terminal, and recorded, so that what was not done has a name."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from refgrad.errors import ResultsWriteError
from refgrad.pytest_plugin import BLOCK, COUNT
from refgrad.records import Plan
from refgrad.testing.runs.in_flight import died
from refgrad.testing.runs.results import ResultsFile

_FAMILY = "test_family["  # how the name of an item of generated cases begins
_BAR = 24  # characters
_DEATHS = 6  # of workers in a row, none over a test: then the next would die as well


class Progress:
    """Shows how far the run is: a bar on a terminal, a line every tenth otherwise."""

    def __init__(self, examples: int, results: ResultsFile) -> None:
        self.examples = examples  # of each family, dtype and device
        self.total, self.done, self.failed, self.shown = (
            0,
            0,
            0,
            -1,
        )  # cases planned; of items that have ended; items
        self.judged = 0  # cases with a verdict
        self.start = self.begun = time.monotonic()  # the command; the first case
        self.sizes: dict[str, int] = {}  # items that have not come to their end -> cases
        self.lost: list[tuple[str, str]] = []  # items that never ran or whose worker died, with the reason
        self.results, self.planned = results, False
        self.unwritten = ""  # why the plan or verdicts could not be recorded
        self.deaths = 0  # of workers since the last word of a test

    def pytest_collection_finish(self, session: Any) -> None:
        """Record what is to be done, so that what was not done has a name."""
        self._plan([item.name for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """The same, as the first worker says it."""
        self._plan([_name(nodeid) for nodeid in ids])

    def _plan(self, names: list[str]) -> None:
        if names and not self.planned:
            self.planned = True
            try:
                self.results.write(Plan(tuple(sorted(names))))
            except ResultsWriteError as error:  # nothing can be recorded, so nothing is judged
                self.unwritten = str(error)
                pytest.exit(self.unwritten)
            self.sizes = {name: _size(name, self.examples) for name in names}
            self.total = sum(self.sizes.values())
            self.begun = time.monotonic()
            self._show()

    def pytest_collectreport(self, report: Any) -> None:
        """A suite that cannot be collected has judged nothing: keep the reason. Every worker says it."""
        found = (str(report.nodeid), str(report.longrepr)[-2000:])
        if report.failed and found not in self.lost:
            self.lost.append(found)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Workers that die before they have a test say of none what became of it, and are replaced again and again: end that."""
        self.deaths += bool(error)
        if self.deaths == _DEATHS:
            last = (str(error).strip().splitlines() or [""])[-1]
            why = f"{_DEATHS} in a row died before they had a test to run: {last}"
            self.lost.append(("workers", why))
            pytest.exit(why)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count the cases of a finished item (pytest calls this in the main process)."""
        self.deaths = 0
        if report.when == "call" or report.failed:
            size = self.sizes.pop(_name(report.nodeid), 0)
            self.done += size
            self.judged += _judged(report, size)
            self.failed += int(report.failed)
            if died(report):
                self.lost.append((_name(report.nodeid), str(report.longrepr)))
            found = re.search(r"ResultsWriteError: (.*)", str(report.longrepr)) if report.failed else None
            self.unwritten = found[1] if found else self.unwritten
            self._show()

    def _show(self) -> None:
        if not self.total or sys.stderr is None:
            return
        tenth = 10 * self.done // self.total
        if _is_terminal():
            room = shutil.get_terminal_size().columns - 1  # a line that is full would be two
            text = self._said()
            bar = f"[{'#' * (_BAR * self.done // self.total):.<{_BAR}}] "
            line = bar + text if len(bar) + len(text) <= room else text[:room]
            print(f"\r{line:<{room}}", end="", file=sys.stderr, flush=True)
        elif tenth > self.shown:
            print(self._said(), file=sys.stderr, flush=True)
        self.shown = tenth

    def _said(self) -> str:
        """Count, time, estimate: what matters most comes first, for a narrow terminal shows the beginning."""
        now = time.monotonic()
        parts = [f"{self.judged:,} of {self.total:,} cases judged"]
        if self.failed:
            parts.append(f"{self.failed} item{'s' * (self.failed > 1)} failing")
        if 0 < self.done < self.total:
            parts.append(f"about {span((now - self.begun) / self.done * (self.total - self.done))} left")
        return ", ".join([*parts, f"{span(now - self.start)} so far"])

    def finish(self) -> None:
        """End the line of the bar."""
        if self.shown >= 0 and sys.stderr is not None and _is_terminal():
            print(file=sys.stderr)


def _is_terminal() -> bool:
    """Whether a line can be written over: a dumb terminal would keep every one."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def span(seconds: float) -> str:
    """A time as one says it: 45 s, 12 min, 2 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _size(name: str, examples: int) -> int:
    """The cases of an item: a block of a family, one of the textbook; what else the suite does is no case."""
    block = re.fullmatch(re.escape(_FAMILY) + r".*-(\d+)\]", name)
    if block:
        return max(0, min(BLOCK, examples - BLOCK * int(block[1])))
    return int(name.startswith("test_item["))


def _judged(report: Any, size: int) -> int:
    """Of the cases of an item, those that have a verdict. An item of a family says so itself; one that broke off does not."""
    counts = dict(report.user_properties).get(COUNT, {})
    broken = report.when != "call" or _name(report.nodeid).startswith(_FAMILY)
    return int(counts.get("judged", 0 if broken else size))


def _name(nodeid: str) -> str:
    """The item's own name, without the file it stands in."""
    return nodeid.partition("::")[2] or nodeid
