"""``pytest --refgrad-report DIR``: records the checks in a project's own tests as results.jsonl and report.html.

Each call of gradcheck, check_vjp and check_jvp is recorded when it returns, in the worker that runs it, and errors are planted in its
comparisons. A disagreement fails the run unless its test passes: such a test expects the disagreement. It fails the run as well where the
exception ends a thread: pytest lets such a test pass, with a warning.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import threading
import time
from collections.abc import Generator
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
from refgrad.testing.runs.folder_lock import locked
from refgrad.testing.runs.in_flight import worker_died
from refgrad.testing.runs.results import ResultsFile, now, result_of_check

EXPECTED = "expected by the test"
_RESULTS_PATH = "refgrad_results"  # the key under which a worker finds the path of the results


class UserReport:
    """The plugin in each process of a session. Every process records checks; the main process begins and ends the results file."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        worker_input = getattr(config, "workerinput", None)
        self.worker = str(worker_input["workerid"]) if worker_input else "main"
        self.main = worker_input is None
        self.path = (
            Path(worker_input[_RESULTS_PATH]) if worker_input else (folder / "results.jsonl").absolute()
        )
        self.start, self.planned, self.message = time.monotonic(), False, ""
        self.item: pytest.Item | None = None
        self.checks = 0  # of the current test
        # The disagreements of the current test by id, until its outcome is known, and those of them that ended a thread.
        self.disagreements: dict[str, check_report.Report] = {}
        self.unseen: set[int] = set()  # of their reports the identities
        self.uncollected: set[str] = set()
        self.planting = array_mutations.MutationCounts()
        self.lock = ExitStack()
        if self.main:
            self.lock.enter_context(locked(self.path.parent))
        try:
            self.results = ResultsFile(self.path, fresh=self.main)
            if self.main:
                self.results.write(_header(config))
        except ResultsWriteError:
            self.lock.close()
            raise

    # --- recording of checks --------------------------------------------------------------------------------------------

    def record_check(self, checked: check_report.Report) -> None:
        """Record one check: a result for each dtype and mode."""
        if self.item is None:
            return
        self.checks += 1
        path, line, _ = self.item.location
        for dtype, found in checked.verdicts:
            content = json.dumps([self.item.nodeid, self.checks, checked.name, dtype])
            name = hashlib.sha256(content.encode()).hexdigest()[:16]
            if found.status == DISAGREE:
                self.disagreements[name] = checked
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
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Record checks and plant errors while a test runs."""
        self.item, self.checks, self.disagreements, self.unseen = item, 0, {}, set()
        check_report.LISTENERS.append(self.record_check)
        array_mutations.LISTENERS.append(self.planting)
        try:
            return (yield)
        finally:
            check_report.LISTENERS.remove(self.record_check)
            array_mutations.LISTENERS.remove(self.planting)
            self.item = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Note the disagreements that end a thread, with which nothing in the test has dealt."""
        before = threading.excepthook

        def note(ended: threading.ExceptHookArgs) -> None:
            if isinstance(ended.exc_value, GradientMismatch):
                self.unseen.add(id(ended.exc_value.report))
            before(ended)

        threading.excepthook = note
        try:
            return (yield)
        finally:
            threading.excepthook = before

    pytest_runtest_setup = pytest_runtest_teardown = pytest_runtest_call

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record whether the test expected its disagreements, a failure outside a verdict, and the end of the test."""
        made = yield
        disagreements, self.disagreements = self.disagreements, {}
        records: list[Record] = []
        expected = [name for name, checked in disagreements.items() if id(checked) not in self.unseen]
        if expected and (made.passed or hasattr(made, "wasxfail")):
            records.append(Expected(tuple(expected), EXPECTED))
        error = call.excinfo.value if call.excinfo else None
        is_ours = bool(self.checks) or isinstance(error, RefgradError)
        if (
            made.failed
            and is_ours
            and not disagreements
            and not isinstance(error, (GradientMismatch, ResultsWriteError))
        ):
            reason = f"{type(error).__name__}: {error}"
            records.append(Crash(self.worker, item.nodeid, reason))
        if made.when == "call" or not made.passed:
            records.append(FinishedItem(item.nodeid, round(made.duration, 3)))
        try:
            self.results.write(*records)
        except ResultsWriteError as write_error:
            item.session.shouldfail = str(write_error)
        return made

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the plan of a session without workers."""
        self._plan([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Record the plan of a session with workers, from the first worker that has collected."""
        self._plan(list(ids))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass the path of the results to a worker."""
        node.workerinput[_RESULTS_PATH] = str(self.path)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """In the main process, record tests that cannot be collected, which may contain checks. Every worker reports them."""
        if self.main and report.failed and report.nodeid not in self.uncollected:
            self.uncollected.add(report.nodeid)
            reason = f"cannot be collected: {_error_line(str(report.longrepr))}"
            self.results.write(Crash("", report.nodeid, reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In the main process, record a test in which a worker died."""
        if self.main and worker_died(report):
            self.results.write(Crash("", report.nodeid, str(report.longrepr)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Record the counts of planted errors. The main process, which ends last, ends the file and renders the page."""
        try:
            self.results.write(*self.planting.records())
        except ResultsWriteError as write_error:
            self.message = f"refgrad: {write_error}"
        if self.main:
            self._end(session, exitstatus)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdict."""
        if self.main and self.message:
            terminalreporter.section("refgrad")
            terminalreporter.write_line(self.message)

    def pytest_unconfigure(self) -> None:
        """Release the folder's lock."""
        self.results.close()
        self.lock.close()

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
            self.message, session.exitstatus = (
                f"refgrad: no report: {error}",
                exitstatus or pytest.ExitCode.TESTS_FAILED,
            )
            return
        message = verdict(run)
        if message.exit and exitstatus == pytest.ExitCode.OK:  # a run that proved nothing must not pass
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        ended = int(session.exitstatus)
        said = (
            f"exit {ended}"
            if ended == message.exit
            else f"verdict {message.exit}, and pytest ends with exit code {ended}"
        )
        self.message = f"{said}: {message.sentence}\nreport: {page}"


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


def _error_line(text: str) -> str:
    """The error in the last lines of a traceback as pytest shows it."""
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    return (errors or lines)[-1].strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
