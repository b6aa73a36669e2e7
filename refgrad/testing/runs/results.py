"""Results as JSON lines. Each line is written in one piece as soon as it is known, so that a killed run keeps its results."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from refgrad.errors import ResultsWriteError
from refgrad.records import (
    AGREE,
    ERROR,
    FAILURES,
    KNOWN,
    CaseRecord,
    Observed,
    Record,
    Result,
    Running,
    encoded,
)
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import Verdict
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.descriptor import opened
from refgrad.testing.runs.fallback_script import fallback
from refgrad.testing.runs.in_flight import UnfinishedCase
from refgrad.testing.runs.journal import Journal
from refgrad.testing.runs.observed_numbers import observed as observed_numbers


class ResultsFile:
    """An append-only file of JSON lines that several processes may write to at once.

    A lock serializes the writers. The lines of one call of ``write`` are written completely or not at all: an incomplete line of a killed
    writer, and lines that exceed the disk, are removed. So the file always consists of complete lines.

    ``fresh`` begins a new file. An older file of that name is kept beside it (``results.previous.jsonl``), with the unfinished cases of
    its run. A ``journal`` notes which lines belong to the current item.
    """

    def __init__(self, path: str | Path, *, fresh: bool = False, journal: Journal | None = None) -> None:
        self.path, self.journal = Path(path), journal
        self.failed: set[str] = set()  # the ids of the cases that failed since ``begin``
        self._cases: set[str] = set()  # the ids of those written
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if fresh:
                self._keep_previous()
            self._descriptor = opened(self.path, os.O_RDWR | os.O_APPEND | (os.O_TRUNC if fresh else 0))
        except OSError as error:
            raise ResultsWriteError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def _keep_previous(self) -> None:
        if self.path.exists() and self.path.stat().st_size:
            in_flight.move(self.path, previous(self.path))
            self.path.replace(previous(self.path))
        in_flight.clear(self.path)

    def begin(self, item: str) -> None:
        """Begin a test item. The next lines belong to it."""
        self.failed.clear()
        if self.journal is not None:
            self.journal.begin(item)

    def finish(self) -> None:
        """End the test item, after its last line."""
        if self.journal is not None:
            self.journal.finish()

    def write(self, *records: Record) -> None:
        """Append a line for each record, except for cases that this process has written before.

        Raises ResultsWriteError where the lines cannot be written; the file is then unchanged.
        """
        cases = {r.id for r in records if isinstance(r, CaseRecord)}
        data = b"".join(
            encoded(r) for r in records if not (isinstance(r, CaseRecord) and r.id in self._cases)
        )
        if not data:
            return
        with _exclusive(self._descriptor):
            end = self._complete_lines()
            if self.journal is not None:
                self.journal.note(end, data)
            try:
                written = os.write(self._descriptor, data)
                while written < len(data):  # the disk is full: the next write raises
                    written += os.write(self._descriptor, data[written:])
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, end)
                raise ResultsWriteError(
                    f"{self.path}: cannot be written: {error.strerror or error}. What was judged before is in it"
                ) from error
        self._cases |= cases
        self.failed |= {r.id for r in records if isinstance(r, Result) and r.failed and not r.shrunk}

    def _complete_lines(self) -> int:
        """The length of the file, after an incomplete last line has been removed."""
        size = end = os.fstat(self._descriptor).st_size
        if sys.platform == "win32" or not size or os.pread(self._descriptor, 1, size - 1) == b"\n":
            return size
        tail = b""
        while end and not tail.endswith(b"\n"):
            start = max(0, end - 65536)
            tail = os.pread(self._descriptor, end - start, start)
            end = start + tail.rfind(b"\n") + 1
            tail = tail[: end - start]
        if end < size:
            os.ftruncate(self._descriptor, end)
        return end

    def close(self) -> None:
        """Close the file and the journal."""
        os.close(self._descriptor)
        if self.journal is not None:
            self.journal.close()


def previous(path: Path) -> Path:
    """The file that keeps the results of the previous run."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


@contextlib.contextmanager
def _exclusive(descriptor: int) -> Iterator[None]:
    """Hold the lock of the writers. The operating system releases it when a process ends."""
    if sys.platform == "win32":  # Windows has no such lock: each write is a single append
        yield
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def results_of(
    case: Case,
    verdicts: Iterable[Verdict],
    script: Callable[[Verdict], str] | None = None,
    shrunk: bool = False,
) -> list[Record]:
    """The verdicts on one case as records; the case comes first, unless all verdicts agree.

    ``script`` writes the program that shows a failure; ``shrunk`` marks a case that shrinking has made. A failure contains the observed
    numbers around the first wrong node.
    """
    results: list[Record] = [
        result_of(
            case.id,
            case.family,
            case.dtype,
            case.device,
            v,
            script=script(v) if script and v.status in FAILURES else "",
            observed=observed_numbers(case, v.seen, v) if v.failed and v.seen is not None else None,
            shrunk=shrunk,
        )
        for v in verdicts
    ]
    agreed = all(v.status == AGREE for v in verdicts)
    return results if agreed else [CaseRecord(case.id, case.content), *results]


def result_of(
    name: str,
    family: str,
    dtype: str,
    device: str,
    verdict: Verdict,
    *,
    script: str = "",
    observed: Observed | None = None,
    shrunk: bool = False,
) -> Result:
    """One verdict as a record, under the name of a case or a check."""
    return Result(
        id=name,
        family=family,
        dtype=dtype,
        device=device,
        mode=verdict.mode,
        status=KNOWN if verdict.known and verdict.status in FAILURES else verdict.status,
        reason=verdict.reason,
        elements=verdict.elements,
        skipped=verdict.skipped,
        loose=verdict.loose,
        blind=verdict.blind,
        imprecise=verdict.imprecise,
        digits=verdict.digits,
        worst=verdict.worst,
        sensitivity=verdict.sensitivity,
        ops={op: (int(nodes), int(elements), worst) for op, (nodes, elements, worst) in verdict.ops.items()},
        first_wrong=verdict.first_wrong,
        message=verdict.message,
        worst_elements=tuple(verdict.wrong),
        known=verdict.known,
        wrong=sum(c.count for _, _, c in verdict.wrong_nodes),
        script=script,
        observed=observed,
        shrunk=shrunk,
    )


def result_of_check(name: str, dtype: str, title: str, verdict: Verdict) -> Result:
    """One verdict of a check, which has no case: ``title`` takes the place of the name of an op."""
    result = result_of(name, "", dtype, "", verdict)
    rows = result.ops.values()
    return replace(
        result,
        ops={
            title: (sum(r[0] for r in rows), sum(r[1] for r in rows), max((r[2] for r in rows), default=0.0))
        },
        worst=None if result.worst is None else replace(result.worst, op=title),
        first_wrong=None if result.first_wrong is None else (-1, title),
    )


def crash_records(case: UnfinishedCase, backend: str = "torch") -> list[Record]:
    """The case during which a process died or hung, and its result: an error."""
    trace = case.trace.strip()
    what = (
        trace.splitlines()[0]
        if trace
        else "no traceback: the process ended itself, or was killed, as for want of memory"
    )
    reason = "time limit: the process hung and was ended" if case.overdue else f"crashed: {what}"
    family, dtype, device = (str(case.case.get(key, "")) for key in ("family", "dtype", "device"))
    record = CaseRecord.of(case.id, case.case)
    why = f"the process that asked {backend} {'hung' if case.overdue else 'died'}"
    script = fallback(case.id, record.content, f"value, {dtype} on {device}", why, backend=backend)
    return [
        record,
        Result(case.id, family, dtype, device, "value", ERROR, reason=reason, message=trace, script=script),
    ]


def running_record(case: UnfinishedCase) -> Running:
    """The record of a case that was being judged when the run ended. It is no failure."""
    return Running(case.worker, case.item, case.id, case.case)
