"""The case that a process is judging right now, on disk: when the process dies or hangs, this says over what.

Beside ``results.jsonl`` stands a folder ``results.jsonl.running`` with a file a process. It holds the case from the moment before
the framework is asked until its verdict is written; what is left in it after the process has ended is a case without a verdict.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from refgrad.errors import ResultsWriteError
from refgrad.testing.cases.case import Case

GRACE = 10.0  # seconds; between two cases a process draws the next one, and on a busy machine that takes a while, whatever the limit


class CaseTimeout(BaseException):
    """A case exceeded its time limit. Derived from BaseException, so that no ``except Exception`` on the way catches it."""


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


class Running:
    """The file of one process. ``limit`` is the time a case may take, in seconds; None for any.

    A case past its limit is interrupted (CaseTimeout). One that does not answer for as long again, or for GRACE where that is longer,
    because it hangs in compiled code, ends its process; the file and the traceback stay behind. Raises ResultsWriteError where there is
    no room for them.
    """

    def __init__(self, results: str | Path, worker: str = "main", limit: float | None = None) -> None:
        self.worker, self.limit = worker, limit
        here = folder(results)
        self._path, self._trace_path = here / f"{os.getpid()}.json", here / f"{os.getpid()}.trace"
        try:
            here.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            self._trace = self._trace_path.open("w", encoding="utf-8")
        except OSError as error:
            raise ResultsWriteError(f"{self._path}: cannot be written: {error.strerror or error}") from error
        self._until = 0.0  # when a process that does not move on will be ended
        self._listened = faulthandler.is_enabled()
        faulthandler.enable(file=self._trace)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Enable the watchdog while an item runs: a process whose case does not end is ended. Between items it is off."""
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._until = 0.0

    @contextlib.contextmanager
    def over(self, item: str, case: Case) -> Iterator[None]:
        """While a case is judged. Raises CaseTimeout when its time is up, ResultsWriteError on a full disk."""
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
        if self.limit is None:
            yield
            return
        now, patience = time.monotonic(), self.limit + max(self.limit, GRACE)
        if self._until - now < patience:  # not for every case: it starts a thread
            faulthandler.dump_traceback_later(self.limit + patience, exit=True, file=self._trace)
            self._until = now + self.limit + patience
        with _alarm(self.limit):
            yield

    def judged(self) -> None:
        """Remove the case, whose verdict is written."""
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Remove the files of a process that ends regularly."""
        faulthandler.disable()
        if self._listened and sys.__stderr__ is not None:
            faulthandler.enable(file=sys.__stderr__)
        self._trace.close()
        os.close(self._descriptor)
        with contextlib.suppress(FileNotFoundError):  # a new run has begun in this folder
            if not self._path.stat().st_size:
                self._path.unlink()
                self._trace_path.unlink()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise CaseTimeout after so many seconds, where the system can and this is the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _time_is_up(_number: int, _frame: FrameType | None) -> None:
    raise CaseTimeout


def worker_died(report: Any) -> bool:
    """Whether a test report says that its worker died: xdist writes such reports with the phase "???"."""
    return bool(report.failed) and report.when == "???"


def unfinished_cases(results: str | Path) -> list[UnfinishedCase]:
    """The cases without a verdict in the folder of a run."""
    found = []
    for path in sorted(folder(results).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # half a file names no case
            line = path.read_text(encoding="utf-8").partition("\n")[0]
            data = json.loads(line) if line else None
            if data:
                found.append(_left(data, path.with_suffix(".trace")))
    return found


def _left(data: dict[str, Any], trace: Path) -> UnfinishedCase:
    text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
    overdue = text.startswith("Timeout")
    return UnfinishedCase(
        str(data["worker"]), str(data["item"]), str(data["id"]), dict(data["case"]), text[:4000], overdue
    )


def clear(results: str | Path) -> None:
    """Delete the folder of a run."""
    shutil.rmtree(folder(results), ignore_errors=True)


def put_aside(results: str | Path, elsewhere: str | Path) -> None:
    """Rename the folder with the results file, so that the unfinished cases of a killed run stay beside its results."""
    clear(elsewhere)
    if unfinished_cases(results):
        folder(results).replace(folder(elsewhere))
    clear(results)
