"""Keeps the case that a framework is running in a file, so that it can be recovered when the process dies or hangs.

The folder ``results.jsonl.running`` beside ``results.jsonl`` has a file for each process. The file holds a case while the framework runs
it, and while it is judged by itself. A file that is not empty after its process has ended holds a case without a verdict.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from refgrad.errors import CaseTimeout, ResultsWriteError
from refgrad.testing.cases.case import Case
from refgrad.testing.runs.descriptor import opened
from refgrad.testing.runs.interrupts import Interrupts

JOURNAL = ".journal"  # the suffix of the journals in the folder (journal.py)
IMPORTING = 0.05  # seconds until it is looked again whether an import has ended that was running at the limit
GRACE = 10.0  # seconds, at least, until a process past the limit ends: it may be drawing the next case on a busy machine


class TestReport(Protocol):
    """What is read of a test report of pytest."""

    @property
    def failed(self) -> bool: ...
    @property
    def when(self) -> str | None: ...


@dataclass(frozen=True)
class UnfinishedCase:
    """A case without a verdict, and the traceback that faulthandler left when its process crashed or hung."""

    worker: str
    item: str
    id: str
    case: dict[str, Any]
    trace: str
    overdue: bool


def folder(results: str | Path) -> Path:
    """The folder for the cases that the processes of a run are judging."""
    results = Path(results)
    return results.with_name(results.name + ".running")


class CurrentCase:
    """The file of one process. ``limit`` is the time limit of a case in seconds; None for no limit.

    A case that exceeds its limit is interrupted (CaseTimeout). An import that runs at the limit ends first, and then the time begins anew.
    A case that hangs in compiled code cannot be interrupted: after the limit once more, or GRACE where that is longer, its process ends,
    and the file and the traceback remain. Raises ResultsWriteError where the files cannot be written.
    """

    def __init__(self, results: str | Path, worker: str = "main", limit: float | None = None) -> None:
        self.worker, self.limit = worker, limit
        here = folder(results)
        self._path, self._trace_path = here / f"{os.getpid()}.json", here / f"{os.getpid()}.trace"
        try:
            here.mkdir(parents=True, exist_ok=True)
            self._descriptor = opened(self._path, os.O_WRONLY | os.O_TRUNC)
            self._trace = self._trace_path.open("w", encoding="utf-8")
        except OSError as error:
            raise ResultsWriteError(f"{self._path}: cannot be written: {error.strerror or error}") from error
        self._watching = False
        self._interrupts = Interrupts(self._note)
        self._until = 0.0  # the time at which a process that hangs will end
        self._was_enabled = faulthandler.is_enabled()
        faulthandler.enable(file=self._trace)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Enable the watchdog while an item runs. It ends a process whose case does not end."""
        self._watching = True
        try:
            with self._interrupts.watched():
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._watching, self._until = False, 0.0

    @contextlib.contextmanager
    def judging(self, item: str, case: Case) -> Iterator[None]:
        """Hold a case in the file, and limit its time.

        Raises CaseTimeout past the limit, CaseInterruptedError where judged code raises KeyboardInterrupt, ResultsWriteError where the disk
        is full.
        """
        head = json.dumps({"worker": self.worker, "item": item, "id": case.id})
        data = f'{head[:-1]}, "case": {case.content}}}\n'.encode()
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            if os.write(self._descriptor, data) < len(data):
                raise OSError("the disk is full")
            os.ftruncate(self._descriptor, len(data))
        except OSError as error:
            raise ResultsWriteError(
                f"{self._path}: cannot be written: {error.strerror or error}. What was judged before is in the results"
            ) from error
        with self.limited():
            yield

    @contextlib.contextmanager
    def limited(self, cases: int = 1) -> Iterator[None]:
        """Limit the time of some cases together. Raises CaseTimeout past the limit. Outside of an item the watchdog ends with them."""
        if self.limit is None:
            with self._interrupts.told_apart():
                yield
            return
        if not self._watching:
            with self.watched(), self.limited(cases):
                yield
            return
        limit = cases * self.limit
        now, patience = time.monotonic(), limit + max(self.limit, GRACE)

        def watch() -> None:
            faulthandler.dump_traceback_later(limit + patience, exit=True, file=self._trace)
            self._until = time.monotonic() + limit + patience

        if self._until - now < patience:  # not for every case, because it starts a thread
            watch()
        with _alarm(limit, watch), self._interrupts.told_apart():
            yield

    def finished(self) -> None:
        """Remove the case from the file, after the framework has run it or its verdict has been written."""
        os.ftruncate(self._descriptor, 0)

    def _note(self, line: str) -> None:
        """Say in the file of the traceback why the process ends."""
        with contextlib.suppress(OSError, ValueError):
            self._trace.write(f"{line}\n")
            self._trace.flush()

    def close(self) -> None:
        """Remove the files, when the process ends normally."""
        faulthandler.disable()
        if self._was_enabled and sys.__stderr__ is not None:
            faulthandler.enable(file=sys.__stderr__)
        self._trace.close()
        os.close(self._descriptor)
        with contextlib.suppress(FileNotFoundError):  # a new run has removed the folder
            if not self._path.stat().st_size:
                self._path.unlink()
                self._trace_path.unlink()


@contextlib.contextmanager
def _alarm(seconds: float, watch: Callable[[], None]) -> Iterator[None]:
    """Raise CaseTimeout after a number of seconds, in the main thread of a system with interval timers; elsewhere do nothing.

    Frameworks import parts of themselves when these are first used. An import is not interrupted: it would leave a module half made, and
    every later case that needs it would fail. Its end begins the time anew, and ``watch`` is called. An import that does not end meets
    the watchdog of the process.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    around, importing = _imports(sys._getframe()), False

    def time_is_up(_number: int, frame: FrameType | None) -> None:
        nonlocal importing
        before, importing = importing, _imports(frame) > around
        if importing:
            signal.setitimer(signal.ITIMER_REAL, IMPORTING)
        elif before:
            watch()
            signal.setitimer(signal.ITIMER_REAL, seconds)
        else:
            raise CaseTimeout

    begun, before = time.monotonic(), signal.signal(signal.SIGALRM, time_is_up)
    rest, _ = signal.setitimer(signal.ITIMER_REAL, seconds)  # of an alarm around this one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if rest:
            signal.setitimer(signal.ITIMER_REAL, max(rest - (time.monotonic() - begun), IMPORTING))


def _imports(frame: FrameType | None) -> int:
    """The number of frames of Python's import system in a stack."""
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return found


def worker_died(report: TestReport) -> bool:
    """Whether a test report is about the death of a worker: xdist gives such reports the phase "???"."""
    return bool(report.failed) and report.when == "???"


def unfinished_cases(results: str | Path) -> list[UnfinishedCase]:
    """The cases without a verdict in the folder of a run."""
    found = []
    for path in sorted(folder(results).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            # an incomplete file names no case
            line = path.read_text(encoding="utf-8").partition("\n")[0]
            data = json.loads(line) if line else None
            if data:
                found.append(_unfinished(data, path.with_suffix(".trace")))
    return found


def _unfinished(data: dict[str, Any], trace: Path) -> UnfinishedCase:
    text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
    overdue = text.startswith("Timeout")
    return UnfinishedCase(
        str(data["worker"]), str(data["item"]), str(data["id"]), dict(data["case"]), text[:4000], overdue
    )


def clear(results: str | Path) -> None:
    """Delete the folder of a run."""
    shutil.rmtree(folder(results), ignore_errors=True)


def clear_cases(results: str | Path) -> None:
    """Delete the unfinished cases of a run, after they have been recorded. The journals, by which the run can be resumed, remain."""
    for path in folder(results).glob("*"):
        if path.suffix != JOURNAL:
            path.unlink(missing_ok=True)


def move(results: str | Path, elsewhere: str | Path) -> None:
    """Move the folder along with the results file, so that the unfinished cases of a killed run stay beside its results."""
    clear(elsewhere)
    if unfinished_cases(results):
        folder(results).replace(folder(elsewhere))
    clear(results)
