"""pytest plugin; imports nothing heavy until one of its options is used."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from refgrad.records import Record
    from refgrad.testing.runs.expected_seconds import ExpectedSeconds
    from refgrad.testing.runs.in_flight import CurrentCase
    from refgrad.testing.runs.item import Item
    from refgrad.testing.runs.results import ResultsFile

# Properties of a test report. pytest-xdist sends them to the process that shows the progress.
COUNT = "refgrad: cases"  # the counts of the test's cases
FAILED = "refgrad: failed"  # the number of cases that failed
UNWRITTEN = "refgrad: unwritten"  # why verdicts could not be recorded


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --refgrad-report, for the tests of any project, and the options that ``refgrad conformance`` sets."""
    group = parser.getgroup("refgrad", "refgrad: conformance of gradients")
    group.addoption(
        "--refgrad-report",
        metavar="DIR",
        default=None,
        help="record what gradcheck, check_vjp and check_jvp find in these tests; leave report.html and results.jsonl(.gz) there",
    )
    group.addoption(
        "--refgrad-results",
        metavar="FILE",
        default=None,
        help="append verdicts to this JSON-lines file (switches refgrad on)",
    )
    group.addoption(
        "--refgrad-backend", metavar="NAME", default="torch", help="the backend to judge (default: torch)"
    )
    group.addoption(
        "--refgrad-family", action="append", default=None, help="a family to run (repeatable; default: all)"
    )
    group.addoption(
        "--refgrad-op",
        action="append",
        default=None,
        help="an op that the family ops is to draw (repeatable; default: all)",
    )
    group.addoption("--refgrad-dtype", action="append", default=None, help="a dtype to judge (repeatable)")
    group.addoption("--refgrad-device", action="append", default=None, help="a device to judge (repeatable)")
    group.addoption(
        "--refgrad-examples", type=int, default=100, help="cases for each family, dtype and device"
    )
    group.addoption("--refgrad-seed", type=int, default=0, help="seed of the cases")
    group.addoption(
        "--refgrad-shard", metavar="I/N", default=None, help="run the I-th of N parts of the items"
    )
    group.addoption(
        "--refgrad-seconds",
        metavar="FILE",
        default=None,
        help="the table of expected seconds, by which shards are balanced and items ordered",
    )
    group.addoption(
        "--refgrad-measured",
        metavar="FILE",
        default=None,
        help="seconds by test that an earlier run measured, as JSON; they change the order of the items",
    )
    group.addoption(
        "--refgrad-finished", metavar="FILE", default=None, help="the names of tests to leave out, one a line"
    )
    group.addoption(
        "--refgrad-selected", metavar="FILE", default=None, help="the names of the tests to run, one a line"
    )
    group.addoption(
        "--refgrad-shared",
        metavar="FILE",
        default=None,
        help="the ops from which cases are drawn that several backends judge, as JSON",
    )
    group.addoption(
        "--refgrad-cases",
        metavar="FILE",
        default=None,
        help="the cases that test_cases.py judges, one a line",
    )
    group.addoption(
        "--refgrad-until", type=float, default=None, help="when no further block of cases begins (time.time)"
    )
    group.addoption(
        "--refgrad-first", type=int, default=0, metavar="BLOCK", help="the first block of cases to judge"
    )
    group.addoption(
        "--refgrad-least",
        type=int,
        default=1,
        metavar="N",
        help="the blocks of cases that begin whatever the time",
    )
    group.addoption(
        "--refgrad-full", action="store_true", help="judge every step and block of the textbook's long items"
    )
    group.addoption(
        "--refgrad-deviations",
        action="append",
        default=None,
        metavar="FILE",
        help="a deviations file more (repeatable)",
    )
    group.addoption(
        "--refgrad-time-limit", type=float, metavar="SECONDS", default=None, help="what one case may take"
    )


# With these options pytest runs no test, and the report of the last run is kept.
NO_TESTS = (
    "help",
    "version",
    "markers",
    "collectonly",
    "showfixtures",
    "show_fixtures_per_test",
    "setuponly",
    "setupplan",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the recorder or the report that an option selects."""
    folder = config.getoption("--refgrad-report")
    if folder == "":
        raise pytest.UsageError("--refgrad-report: the name of a folder is expected, and got an empty one")
    if folder is not None and not any(config.getoption(name, default=False) for name in NO_TESTS):
        from refgrad.errors import ArgumentError, ResultsWriteError
        from refgrad.pytest_report import UserReport

        try:
            report = UserReport(config, config.invocation_params.dir / folder)
        except (ArgumentError, ResultsWriteError) as error:
            raise pytest.UsageError(f"--refgrad-report: {error}") from error
        config.pluginmanager.register(report, "refgrad-report")
    path = config.getoption("--refgrad-results")
    if path:
        config.pluginmanager.register(Recorder(config, Path(path)), "refgrad-recorder")


class Recorder:
    """A plugin of every worker: parametrizes the items, and writes their outcomes to the results file."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        from refgrad import collector
        from refgrad.testing.runs.gate import Gate

        collector.spare_exit()
        self.config = config
        self.path = path
        option = config.getoption
        self.gate = Gate(
            path, option("--refgrad-until"), option("--refgrad-first"), option("--refgrad-least")
        )
        self._file: ResultsFile | None = None
        self._current: CurrentCase | None = None

    @property
    def results(self) -> ResultsFile:
        """The results file, opened on first use in this process."""
        if self._file is None:
            from refgrad.testing.runs.journal import Journal
            from refgrad.testing.runs.results import ResultsFile

            self._file = ResultsFile(self.path, journal=Journal(self.path))
        return self._file

    @property
    def current(self) -> CurrentCase:
        """The file with the current case of this process, opened on first use."""
        if self._current is None:
            from refgrad.testing.runs.in_flight import CurrentCase

            self._current = CurrentCase(
                self.path, _worker(self.config), self.config.getoption("--refgrad-time-limit")
            )
        return self._current

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Create one item for each family, dtype, device and block of cases."""
        if "conformance_item" not in metafunc.fixturenames:
            return
        from refgrad.bounds.formats import DTYPES
        from refgrad.testing.runs.plan import items

        option, families = self.config.getoption, metafunc.module.FAMILIES
        found = items(
            [f for f in option("--refgrad-family") or families if f in families],
            option("--refgrad-device") or ["cpu"],
            option("--refgrad-dtype") or DTYPES,
            int(option("--refgrad-examples")),
            int(option("--refgrad-seed")),
        )
        drawn = metafunc.module.can_draw
        found = [
            i for i in found if i.block >= int(option("--refgrad-first")) and drawn(i.family, None, i.dtype)
        ]
        metafunc.parametrize("conformance_item", found, ids=[i.name for i in found])

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the items of other shards and the finished ones; order the others, longest first.

        With a budget of time the items of one block of cases come before those of the next, and the other tests before all.
        """
        from refgrad.records.shards import Shard
        from refgrad.testing.runs.expected_seconds import ExpectedSeconds

        option = self.config.getoption
        table, shard, finished, selected = (
            option(f"--refgrad-{name}") for name in ("seconds", "shard", "finished", "selected")
        )
        expected = ExpectedSeconds.read(table, option("--refgrad-measured")) if table else ExpectedSeconds()
        seconds = {item.name: _seconds(item, expected) for item in items}
        kept = set(Shard.read(shard).part(seconds, seconds)) if shard else set(seconds)
        if finished:
            kept -= set(Path(finished).read_text(encoding="utf-8").splitlines())
        if selected:
            kept &= set(Path(selected).read_text(encoding="utf-8").splitlines())
        left_out = [item for item in items if item.name not in kept]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.name in kept]
        if table:
            rounds = option("--refgrad-until") is not None
            seconds |= {name: s for name, s in expected.measured.items() if name in seconds}
            items.sort(key=lambda item: (_round(item) if rounds else 0, -seconds[item.name]))

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Load the modules without a search for cycles; later searches pass over them."""
        from refgrad import collector

        with collector.loading():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Pass over an item that may not begin: the run was stopped, or its budget of time is spent."""
        return None if self.gate.admits(_block(item)) else True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note that the next lines belong to this item. A process that dies leaves the note."""
        self.results.begin(item.name)
        return (yield)

    def pytest_runtest_logfinish(self) -> None:
        """Forget the item, whose last line has been written."""
        if self._file is not None:
            self._file.finish()

    @pytest.fixture
    def refgrad_results(self) -> ResultsFile:
        """The results file of this run."""
        return self.results

    @pytest.fixture(scope="session")
    def refgrad_current(self) -> CurrentCase:
        """The file with the current case of this process."""
        return self.current

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record the end of an item; where anything but a verdict made it fail, record a crash, too."""
        report = yield
        from refgrad.console import printable
        from refgrad.errors import GradientMismatch, ResultsWriteError
        from refgrad.records import Crash, FinishedItem

        if report.failed:  # pytest-xdist cannot send a lone surrogate, which a kernel's message may have
            report.longrepr = printable(report.longrepr)
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, ResultsWriteError):  # a run without a results file has no purpose
            item.session.shouldstop = str(error)
            report.user_properties.append((UNWRITTEN, str(error)))
            return report
        records: list[Record] = []
        skipped = report.skipped and _conformance_item(item) is not None  # no block of cases is passed over
        if skipped or (report.failed and not isinstance(error, GradientMismatch)):
            reason = f"{type(error).__name__}: {error}"
            records.append(Crash(_worker(self.config), item.name, reason))
        if report.when == "call" or report.skipped:  # a skipped item has ended as well
            count = _count(item)
            records.append(FinishedItem(item.name, round(report.duration, 3), **count))
            report.user_properties += [(COUNT, count)] if count else []
            report.user_properties.append((FAILED, len(self.results.failed)))
        try:
            self.results.write(*records)
        except ResultsWriteError as full:
            item.session.shouldstop = str(full)
        return report

    def pytest_unconfigure(self) -> None:
        """Remove the files of the current case and of the current item."""
        if self._current is not None:
            self._current.close()
        if self._file is not None:
            self._file.close()


def _count(item: pytest.Item) -> dict[str, Any]:
    """The counts of a conformance item that finished; empty for other tests."""
    found = _conformance_item(item)
    count = None if found is None else found.count
    return dataclasses.asdict(count) if count else {}


def _conformance_item(item: pytest.Item) -> Item | None:
    """The block of cases that a test judges; None for other tests."""
    call = getattr(item, "callspec", None)
    found: Item | None = call.params.get("conformance_item") if call else None
    return found


def _block(item: pytest.Item) -> int | None:
    found = _conformance_item(item)
    return None if found is None else found.block


def _round(item: pytest.Item) -> int:
    """The place of a test in the order of rounds: its block of cases; -1, before all blocks, for a test without one."""
    block = _block(item)
    return -1 if block is None else block


def _seconds(item: pytest.Item, expected: ExpectedSeconds) -> float:
    """The seconds that the table expects of a test."""
    found = _conformance_item(item)
    if found is None:
        return expected.of_test(item.name)
    return expected.of_block(found.family, found.dtype, found.examples)


def _worker(config: pytest.Config) -> str:
    return str(getattr(config, "workerinput", {}).get("workerid", "main"))
