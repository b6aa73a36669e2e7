"""``pytest --refgrad-report DIR``: the checks that a project's own tests make, as results.jsonl and report.html.

Every call of gradcheck, check_vjp and check_jvp is recorded the moment it ends, in whichever worker it runs, with errors planted in its
comparisons. A disagreement counts against the run until its test has passed: then the test has asked for it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad import __version__, report
from refgrad.errors import GradientMismatch, RefgradError, ResultsWriteError
from refgrad.records import Crash, End, Expected, FinishedItem, Header, Plan, Record
from refgrad.report.analysis.verdict import verdict
from refgrad.testing.checks import check_report
from refgrad.testing.judging.verdict import DISAGREE
from refgrad.testing.power import array_mutations
from refgrad.testing.runs.folder_lock import alone
from refgrad.testing.runs.in_flight import died
from refgrad.testing.runs.results import ResultsFile, now, result_of_check

EXPECTED = "expected by the test"
_TOLD = "refgrad_results"  # how a worker is told where the results are


class UserReport:
    """Lives in every process of a session: all record, the main one begins and ends."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        told = getattr(config, "workerinput", None)
        self.worker = str(told["workerid"]) if told else "main"
        self.main = told is None
        self.path = Path(told[_TOLD]) if told else (folder / "results.jsonl").absolute()
        self.start, self.planned, self.said = time.monotonic(), False, ""
        self.item: pytest.Item | None = None
        self.checks = 0  # made by the test that runs
        self.wrong: list[str] = []  # the ids of its disagreements, until it is known whether it fails by them
        self.uncollected: set[str] = set()
        self.planting = array_mutations.Planting()
        self.held = ExitStack()
        if self.main:
            self.held.enter_context(alone(self.path.parent))
        try:
            self.results = ResultsFile(self.path, fresh=self.main)
            if self.main:
                self.results.write(_header(config))
        except ResultsWriteError:
            self.held.close()
            raise

    # --- what the checks say --------------------------------------------------------------------------------------------

    def heard(self, checked: check_report.Report) -> None:
        """Record one check, a result for each dtype and mode."""
        if self.item is None:
            return
        self.checks += 1
        path, line, _ = self.item.location
        for dtype, found in checked.verdicts:
            content = json.dumps([self.item.nodeid, self.checks, checked.name, dtype])
            name = hashlib.sha256(content.encode()).hexdigest()[:16]
            if found.status == DISAGREE:
                self.wrong.append(name)
            result = replace(
                result_of_check(name, dtype, checked.name, found),
                family=path.replace("\\", "/"),
                device=checked.device,
                again=f"pytest {shlex.quote(self.item.nodeid)}",
                where=f"{path}:{(line or 0) + 1}",
            )
            self.results.write(result)

    # --- hooks ----------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Listen while a test runs."""
        self.item, self.checks, self.wrong = item, 0, []
        check_report.LISTENERS.append(self.heard)
        array_mutations.ACTIVE.append(self.planting)
        try:
            return (yield)
        finally:
            check_report.LISTENERS.remove(self.heard)
            array_mutations.ACTIVE.remove(self.planting)
            self.item = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Now it is known whether the test wanted its disagreements; a test that broke after a check is recorded as that."""
        made = yield
        wrong, self.wrong = self.wrong, []
        records: list[Record] = []
        if wrong and not made.failed:
            records.append(Expected(tuple(dict.fromkeys(wrong)), EXPECTED))
        error = call.excinfo.value if call.excinfo else None
        ours = bool(self.checks) or isinstance(error, RefgradError)
        if (
            made.failed
            and ours
            and not wrong
            and not isinstance(error, (GradientMismatch, ResultsWriteError))
        ):
            reason = f"{type(error).__name__}: {error}"
            records.append(Crash(self.worker, item.nodeid, reason))
        if made.when == "call" or not made.passed:
            records.append(FinishedItem(item.nodeid, round(made.duration, 3)))
        try:
            self.results.write(*records)
        except ResultsWriteError as full:
            item.session.shouldfail = str(full)
        return made

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: what is to be done."""
        self._plan([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """With workers: the same, from the first that knows."""
        self._plan(list(ids))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the results are."""
        node.workerinput[_TOLD] = str(self.path)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """In the main process: tests that cannot be collected are not known, and may hold checks. Every worker says so."""
        if self.main and report.failed and report.nodeid not in self.uncollected:
            self.uncollected.add(report.nodeid)
            reason = f"cannot be collected: {_last_word(str(report.longrepr))}"
            self.results.write(Crash("", report.nodeid, reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In the main process: a worker that died over a test leaves no other word of it."""
        if self.main and died(report):
            self.results.write(Crash("", report.nodeid, str(report.longrepr)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Every process adds what its planted errors came to; the main one, which ends last, ends the file and renders the page."""
        try:
            self.results.write(*self.planting.records())
        except ResultsWriteError as full:
            self.said = f"refgrad: {full}"
        if self.main:
            self._end(session, exitstatus)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The verdict in the last lines."""
        if self.main and self.said:
            terminalreporter.section("refgrad")
            terminalreporter.write_line(self.said)

    def pytest_unconfigure(self) -> None:
        """Others may write to the folder again."""
        self.results.close()
        self.held.close()

    # --- the main process -----------------------------------------------------------------------------------------------

    def _plan(self, names: list[str]) -> None:
        if self.main and names and not self.planned:
            self.planned = True
            self.results.write(Plan(tuple(sorted(set(names)))))

    def _end(self, session: pytest.Session, exitstatus: int) -> None:
        page = self.path.with_name("report.html")
        try:
            if exitstatus in (
                pytest.ExitCode.OK,
                pytest.ExitCode.TESTS_FAILED,
                pytest.ExitCode.NO_TESTS_COLLECTED,
            ):
                code = report.exit_code(report.load(self.path), complete=True)
                seconds = round(time.monotonic() - self.start, 1)
                self.results.write(End(code, now(), seconds))
            run = report.load(self.path)
            report.write_results(run, page.parent)
            report.write(run, page)
        except (OSError, RefgradError) as error:
            self.said, session.exitstatus = (
                f"refgrad: no report: {error}",
                exitstatus or pytest.ExitCode.TESTS_FAILED,
            )
            return
        said = verdict(run)
        self.said = f"exit {said.exit}: {said.sentence}\nreport: {page}"
        if said.exit and exitstatus == pytest.ExitCode.OK:  # a gate that proved nothing has not passed
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _header(config: pytest.Config) -> Header:
    around = {
        "python": platform.python_version(), "numpy": np.__version__, "torch": _version("torch"), "pytest": pytest.__version__,
        "platform": f"{platform.system()}-{platform.machine()}",
    }  # fmt: skip
    why = "the test that made the check passed: it is there to see this disagreement"
    return Header(
        refgrad=__version__, started=now(), command=("pytest", *map(str, config.invocation_params.args)), profile="pytest",
        environment=around, deviations=((EXPECTED, why, ""),),
    )  # fmt: skip


def _last_word(text: str) -> str:
    """Of a traceback as pytest shows it, the error."""
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    return (errors or lines)[-1].strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
