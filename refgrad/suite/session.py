"""Starts pytest for a run: with worker processes, the longest items first, as one session or in rounds until a budget of time is spent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from refgrad.errors import SignalInterrupt
from refgrad.records import FinishedItem
from refgrad.suite.processes import MOST
from refgrad.suite.scope import FIXED, LECTURES, TEXTBOOK, Scope, location
from refgrad.suite.selection import Failures
from refgrad.testing.cases.vocabulary import Shared, to_json
from refgrad.testing.runs.expected_seconds import ExpectedSeconds
from refgrad.testing.runs.gate import Gate, stopped
from refgrad.testing.runs.in_flight import folder
from refgrad.testing.runs.item import BLOCK
from refgrad.testing.runs.plan import block_of_test

if TYPE_CHECKING:
    from refgrad.suite.progress import Progress

GENERATED, WRITTEN, ASKED, SINGLE_CASES = (
    ("test_families.py", "test_mutants.py"),
    ("test_textbook.py",),
    ("test_lectures.py",),
    ("test_cases.py",),
)
# Without unraisableexception, which walks through all objects five times at the end of each process.
_PLUGINS = (
    "refgrad.pytest_plugin",
    "no:terminal",
    "no:cacheprovider",
    "no:faulthandler",
    "no:unraisableexception",
)
_LONGEST = 1200.0  # seconds that one session of a run with a budget is planned for: pytest collects all its items before the first runs
_SPARE = 1.5  # a session is planned with so many times the rounds that are expected to fit


def measured_seconds(results: Path) -> dict[str, float]:
    """The seconds of the tests in a results file, by name; empty where there is no file."""
    found: dict[str, float] = {}
    if results.exists():
        with results.open("rb") as file:
            for line in file:
                if line.startswith(b'{"type":"item"'):
                    with contextlib.suppress(ValueError):  # an incomplete line
                        item = FinishedItem.read(json.loads(line))
                        found[item.item] = item.seconds
    return found


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that the processes of a run read: measured seconds, tests to leave out, cases and tests to run.

    results    the results file; the lists stand in the folder of its running processes
    measured   seconds by the name of the test
    ended      the names of the tests that a resumed run leaves out
    failures   the failures to judge again
    shared     the ops from which cases are drawn, where several backends judge the same ones
    """

    results: Path
    measured: Mapping[str, float]
    ended: Collection[str]
    failures: Failures | None
    shared: Shared | None = None

    def options(self) -> list[str]:
        """Write the lists. Returns the options of pytest that name them."""
        texts = {"measured": json.dumps(dict(self.measured))}
        if self.ended:
            texts["finished"] = "\n".join(sorted(self.ended))
        if self.shared is not None:
            texts["shared"] = to_json(self.shared)
        if self.failures is not None:
            texts["cases"] = "\n".join(self.failures.cases)
            texts["selected"] = "\n".join(self.failures.tests)
        here = folder(self.results).resolve()
        here.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (here / f"{name}.list").write_text(text, encoding="utf-8")
        table = location()[1] / "seconds.toml"
        return [f"--refgrad-seconds={table}", *(f"--refgrad-{name}={here / name}.list" for name in texts)]


def one_session(
    results: Path, wanted: Scope, options: Sequence[str], lists: Lists, progress: Progress
) -> int:
    """Run all items of a scope. Returns the exit code of pytest."""
    parts = _parts(wanted.families, again=lists.failures is not None)
    return _pytest([*_arguments(results, wanted, parts), *options, *lists.options()], progress)


def rounds(
    results: Path, wanted: Scope, options: Sequence[str], lists: Lists, progress: Progress, spent: float
) -> tuple[int, int]:
    """Run rounds until the budget of the scope is spent, ``spent`` seconds of it before.

    Returns pytest's exit code and the number of rounds. A round has one block of cases of each family, dtype and device. The first round
    of a run and the rounds that an interrupted run has begun run in any case, a later one if it is expected to fit.
    """
    assert wanted.budget is not None
    expected = ExpectedSeconds.read(location()[1] / "seconds.toml")
    until = time.time() + wanted.budget - spent
    first, least = _first_block(wanted, lists.ended), _least_rounds(lists.ended)
    each = sum(expected.of_block(i.family, i.dtype, i.examples) for i in wanted.items) / max(
        1, wanted.workers
    )
    code, parts = 0, _parts(wanted.families)
    while True:
        begun = time.time()
        fitting = min(until - time.time(), _LONGEST) * _SPARE / max(each, 1e-3)
        planned = max(first + 1, first + int(fitting), least)
        part = replace(wanted, examples=planned * BLOCK)
        progress.extend(part)
        limits = [f"--refgrad-until={until!r}", f"--refgrad-first={first}", f"--refgrad-least={least}"]
        code = max(
            code, _pytest([*_arguments(results, part, parts), *options, *limits, *lists.options()], progress)
        )
        done = Gate(results, until, first, least).rounds()
        if code > 1 or done < planned or stopped(results):
            return code, done
        each = (time.time() - begun) / (done - first)  # as this machine takes it
        if time.time() + each > until:
            return code, done
        first, parts = done, ("test_families.py::test_family",)  # the other tests have run


def _first_block(wanted: Scope, ended: Collection[str]) -> int:
    """The first block of cases that has an item left to run."""
    block = 0
    while ended:
        names = replace(wanted, examples=(block + 1) * BLOCK).blocks
        if not {name for name, k in names.items() if k == block} <= set(ended):
            break
        block += 1
    return block


def _least_rounds(ended: Collection[str]) -> int:
    """The rounds in which a test ended, so that none of them stays in part; 1 where no round has begun."""
    return max((block + 1 for name in ended if (block := block_of_test(name)) is not None), default=1)


def _pytest(arguments: Sequence[str], progress: Progress) -> int:
    import pytest

    with _signals_interrupt(), _no_other_plugins():
        try:
            return int(pytest.main(list(arguments), plugins=[progress]))
        except KeyboardInterrupt:  # a second Ctrl-C, while pytest stops the workers
            return int(pytest.ExitCode.INTERRUPTED)


@contextlib.contextmanager
def _no_other_plugins() -> Iterator[None]:
    """Exclude other pytest plugins and PYTEST_ADDOPTS from the run, because they could change it or deselect items.

    The plugin of refgrad is passed by -p. REFGRAD_PYTEST_ADDOPTS and REFGRAD_PYTEST_PLUGINS replace the variables of pytest; the tests use
    them to shorten runs and to break workers.
    """
    settings = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": os.environ.get("REFGRAD_PYTEST_ADDOPTS", ""),
        "PYTEST_PLUGINS": os.environ.get("REFGRAD_PYTEST_PLUGINS", ""),
    }
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:  # as before, whatever a kernel did to it
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Treat SIGTERM, by which CI systems cancel jobs, as Ctrl-C: the results so far are reported.

    The same applies to SIGHUP (the terminal was closed), unless the signal is ignored (nohup).
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise SignalInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, before[number])


def _arguments(path: Path, wanted: Scope, parts: Sequence[str]) -> list[str]:
    """The command line of pytest for a run whose results file is ``path``."""
    _, suite = location()
    options: dict[str, Sequence[object]] = {
        "backend": [wanted.backend.address],
        "family": wanted.families,
        "op": wanted.ops,
        "dtype": wanted.dtypes,
        "device": wanted.devices,
        "examples": [wanted.examples],
        "seed": [wanted.seed],
        "shard": [wanted.shard] if wanted.shard else [],
        "results": [path.resolve()],
    }
    arguments = [
        *[str(suite / name) for name in parts],
        *[f"-p{name}" for name in _PLUGINS],
        f"-c{os.devnull}",
        "-Wignore",  # overrides python -W and PYTHONWARNINGS, which could turn warnings into failures
        f"--confcutdir={suite}",  # an environment may be inside a project whose conftest.py must not apply
        f"--rootdir={suite}",
        "--import-mode=importlib" if suite.name == "_suite" else "--import-mode=prepend",
        *[f"--refgrad-{name}={value}" for name, values in options.items() for value in values],
    ]
    if wanted.workers:  # also for one worker, so that its crash does not end the run
        of_use = max(MOST, len(wanted.cases)) if SINGLE_CASES[0] not in parts else wanted.workers
        number = min(wanted.workers, of_use)  # a process without a block of cases would start for nothing
        arguments += ["-p", "xdist.plugin", "-n", str(number), "--max-worker-restart=100"]
        # A worker holds one item and the next, so that long items at the beginning are shared out.
        arguments += ["--maxschedchunk=1"]
    arguments += ["--refgrad-full"] if wanted.profile == "nightly" else []
    return arguments


def _parts(wanted: Collection[str], again: bool = False) -> tuple[str, ...]:
    """The test files of these families; with ``again`` also that of single cases."""
    return (
        *(SINGLE_CASES if again else ()),
        *(WRITTEN if TEXTBOOK in wanted else ()),
        *(ASKED if LECTURES in wanted else ()),
        *(GENERATED if set(wanted) - FIXED else ()),
    )
