"""Results as JSON lines: every line is written the moment it is known, in one piece, so a killed run keeps what it had."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refgrad.encode import number
from refgrad.errors import ResultsWriteError
from refgrad.testing import running
from refgrad.testing.case import Case
from refgrad.testing.running import Left
from refgrad.testing.verdict import DISAGREE, ERROR, Element, Verdict

SCHEMA = 1


class ResultsFile:
    """An append-only file of JSON lines that several processes may write to at once.

    Lines given together go out together or not at all: writers take turns by a lock, what a killed writer left of a line is taken
    off again, and so is what did not fit the disk. So the file consists of whole lines, whatever happens.

    ``fresh`` begins a new file; an older one of that name is kept beside it (``results.previous.jsonl``), with the cases that were being
    judged when its run was killed.
    """

    def __init__(self, path: str | Path, *, fresh: bool = False) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if fresh:
                self._put_aside()
            self._descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0), 0o644
            )
        except OSError as error:
            raise ResultsWriteError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def _put_aside(self) -> None:
        if self.path.exists() and self.path.stat().st_size:
            running.put_aside(self.path, previous(self.path))
            self.path.replace(previous(self.path))
        running.clear(self.path)

    def write(self, *lines: dict[str, Any]) -> None:
        """Append lines. Raises ResultsWriteError where they do not fit; the file is then as it was before."""
        data = b"".join(encoded(line) for line in lines)
        with _turn(self._descriptor):
            end = self._mended()
            try:
                written = os.write(self._descriptor, data)
                while written < len(data):  # the disk has become full: the next write says so
                    written += os.write(self._descriptor, data[written:])
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, end)
                raise ResultsWriteError(
                    f"{self.path}: cannot be written: {error.strerror or error}. What was judged before is in it"
                ) from error

    def _mended(self) -> int:
        """The length of the file, without what a writer that was killed left of its last line."""
        size = end = os.fstat(self._descriptor).st_size
        if sys.platform == "win32":
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
        """Close the file."""
        os.close(self._descriptor)


def previous(path: Path) -> Path:
    """Where the results of the run before are kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


@contextlib.contextmanager
def _turn(descriptor: int) -> Iterator[None]:
    """Wait for the other writers. The system gives the lock back when a process ends, however it ends."""
    if sys.platform == "win32":  # no such lock: single appending writes have to do
        yield
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def encoded(line: dict[str, Any]) -> bytes:
    """One line of a results file, with the newline."""
    return (json.dumps(strict(line), allow_nan=False, separators=(",", ":")) + "\n").encode()


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def result_line(case: Case, verdict: Verdict, script: str = "") -> dict[str, Any]:
    """One verdict on one case as a line; the case itself travels along where it is needed to reproduce."""
    line = verdict_line(case.id, case.family, case.dtype, case.device, verdict)
    if verdict.status in (DISAGREE, ERROR):
        line["case"] = case.to_dict()
        line["script"] = script
    return line


def verdict_line(name: str, family: str, dtype: str, device: str, verdict: Verdict) -> dict[str, Any]:
    """One verdict as a line, for whatever was judged under that name."""
    line: dict[str, Any] = {
        "type": "result", "id": name, "family": family, "dtype": dtype, "device": device, "mode": verdict.mode,
        "status": verdict.status, "reason": verdict.reason, "elements": verdict.elements, "loose": verdict.loose, "blind": verdict.blind,
        "worst": _element(verdict.worst), "sensitivity": verdict.sensitivity, "ops": verdict.ops,
        "first_wrong": None if verdict.first_wrong is None else {"node": verdict.first_wrong[0], "op": verdict.first_wrong[1]},
        "message": verdict.message, "known": verdict.known,
    }  # fmt: skip
    if verdict.status in (DISAGREE, ERROR):
        line["worst_elements"] = [e.to_dict() for e in verdict.wrong]
    return line


def result_line_of_check(name: str, dtype: str, title: str, verdict: Verdict) -> dict[str, Any]:
    """One verdict of a check by itself, which has no case: ``title`` stands where the name of an op would."""
    rows = verdict.ops.values()
    ops = {title: [sum(r[0] for r in rows), sum(r[1] for r in rows), max((r[2] for r in rows), default=0.0)]}
    line: dict[str, Any] = {
        "type": "result", "id": name, "dtype": dtype, "mode": verdict.mode, "status": verdict.status, "reason": verdict.reason,
        "elements": verdict.elements, "loose": verdict.loose, "blind": verdict.blind, "worst": _element(verdict.worst),
        "sensitivity": verdict.sensitivity, "ops": ops, "message": verdict.message,
        "first_wrong": None if verdict.first_wrong is None else {"node": -1, "op": title},
    }  # fmt: skip
    if verdict.status in (DISAGREE, ERROR):
        line["worst_elements"] = [e.to_dict() for e in verdict.wrong]
    if line["worst"] is not None:
        line["worst"]["op"] = title
    return line


def died_over(case: Left) -> dict[str, Any]:
    """The line of a case over which a process died or hung: an error, with the case to reproduce it."""
    trace = case.trace.strip()
    what = trace.splitlines()[0] if trace else "no traceback: ended from outside, as for want of memory"
    reason = "time limit: the process hung and was ended" if case.overdue else f"crashed: {what}"
    return {
        **_without_verdict(case),
        "type": "result",
        "mode": "value",
        "status": ERROR,
        "reason": reason,
        "elements": 0,
        "message": trace,
    }


def unfinished(case: Left) -> dict[str, Any]:
    """The line of a case that was being judged when the run was ended: nothing is held against it."""
    return {**_without_verdict(case), "type": "running", "worker": case.worker, "item": case.item}


def _without_verdict(case: Left) -> dict[str, Any]:
    return {
        "id": case.id,
        **{key: str(case.case.get(key, "")) for key in ("family", "dtype", "device")},
        "case": case.case,
    }


def _element(e: Element | None) -> dict[str, Any] | None:
    if e is None:
        return None
    return {
        "ratio": e.ratio,
        "ulp": e.ulp,
        "got": e.got,
        "expected": e.expected,
        "bound": e.bound,
        "node": e.node,
        "op": e.op,
        "element": list(e.element),
    }


def strict(x: Any) -> Any:
    """Strict JSON: non-finite floats as strings, tuples as lists."""
    if isinstance(x, float):
        return number(x)
    if isinstance(x, dict):
        return {str(k): strict(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [strict(v) for v in x]
    return x
