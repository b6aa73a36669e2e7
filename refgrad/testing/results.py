"""Results as JSON lines: every line is written the moment it is known, in one piece, so a killed run keeps what it had."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refgrad.encode import number
from refgrad.testing.case import Case
from refgrad.testing.verdict import DISAGREE, ERROR, Element, Verdict

SCHEMA = 1


class ResultsFile:
    """An append-only file of JSON lines that several processes may write to at once.

    Each line goes out in a single write on a descriptor opened for appending, so lines of different workers never mix.
    """

    def __init__(self, path: str | Path, *, fresh: bool = False) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
        self._descriptor = os.open(self.path, flags, 0o644)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        data = (json.dumps(strict(line), allow_nan=False, separators=(",", ":")) + "\n").encode()
        written = os.write(self._descriptor, data)
        while written < len(data):  # a full disk or a signal: say so rather than lose half a line in silence
            written += os.write(self._descriptor, data[written:])

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def result_line(case: Case, verdict: Verdict) -> dict[str, Any]:
    """One verdict on one case as a line; the case itself travels along where it is needed to reproduce."""
    line = verdict_line(case.id, case.family, case.dtype, case.device, verdict)
    if verdict.status in (DISAGREE, ERROR):
        line["case"] = case.to_dict()
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
