"""How far a run of the suite is: shown on the terminal, and recorded, so that what was not done has a name."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from refgrad.pytest_plugin import cases_of
from refgrad.testing.results import ResultsFile


class Progress:
    """Shows how far the run is: a bar on a terminal, a line every tenth otherwise."""

    def __init__(self, total: int, results: ResultsFile) -> None:
        self.total, self.done, self.failed, self.shown, self.start = total, 0, 0, -1, time.monotonic()
        self.lost: list[tuple[str, str]] = []  # items that never ran or whose worker died, with the reason
        self.results, self.planned = results, False
        self.unwritten = ""  # why a worker could not record its verdicts

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
            self.results.write({"type": "plan", "items": sorted(names)})

    def pytest_collectreport(self, report: Any) -> None:
        """A suite that cannot be collected has judged nothing: keep the reason."""
        if report.failed:
            self.lost.append((str(report.nodeid), str(report.longrepr)[-2000:]))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count the cases of a finished item (pytest calls this in the main process)."""
        if report.when == "call" or report.failed:
            self.done += cases_of(report)
            self.failed += int(report.failed)
            if report.failed and "crashed while running" in str(report.longrepr):
                self.lost.append((_name(report.nodeid), str(report.longrepr)))
            found = re.search(r"ResultsWriteError: (.*)", str(report.longrepr)) if report.failed else None
            self.unwritten = found[1] if found else self.unwritten
            self._show()

    def _show(self) -> None:
        elapsed = time.monotonic() - self.start
        left = f", about {elapsed / self.done * (self.total - self.done):.0f} s left" if self.done else ""
        failed = f", {self.failed} item{'s' * (self.failed > 1)} failing" if self.failed else ""
        text = f"{self.done:,} of {self.total:,} cases, {elapsed:.0f} s{left}{failed}"
        if sys.stderr.isatty():
            filled = min(24, 24 * self.done // max(self.total, 1))
            print(f"\r[{'#' * filled}{'.' * (24 - filled)}] {text}   ", end="", file=sys.stderr, flush=True)
        elif 10 * self.done // max(self.total, 1) > self.shown:
            self.shown = 10 * self.done // max(self.total, 1)
            print(text, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """End the line of the bar."""
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _name(nodeid: str) -> str:
    """The item's own name, without the file it stands in."""
    return nodeid.partition("::")[2] or nodeid
