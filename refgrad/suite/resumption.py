"""Resumes an interrupted run: keeps the lines of the items that finished, and names these items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refgrad.errors import ArgumentError, CaseFileError
from refgrad.records import Crash, End, FinishedItem, Header, Plan, Running, Torn
from refgrad.records.fields import cut
from refgrad.report.storage.files import write_atomically
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.journal import unfinished_pieces

# Fields of the header in which a resumed run equals the interrupted one, and the options that set them.
_EQUAL = {
    "refgrad": "another version of refgrad", "backend": "--backend", "address": "--backend, --load, --rounding, --replace",
    "release": "another release of the framework", "seed": "--seed",
    "profile": "--profile", "families": "--family", "ops": "--op", "dtypes": "--dtype", "devices": "--device", "examples": "--examples",
    "budget": "--for", "shard": "--shard", "deviations": "--deviations",
    "left_out": "--backend",
}  # fmt: skip

_KEPT = 1000  # characters of an address that is read
_LISTED = 6  # values of a list, or differences of two, that a message tells


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An interrupted run.

    header     its first line
    finished   the names of the tests that ended, with the seconds that they took
    crashed    the names of the tests that died, or failed without a verdict; their crash is recorded
    planned    the names of all tests; empty where the run ended before it had a plan
    closed     whether its end is recorded
    seconds    the time it ran
    content    the lines to keep
    """

    header: Header
    finished: Mapping[str, float]
    crashed: frozenset[str]
    planned: frozenset[str]
    closed: bool
    seconds: float
    content: bytes

    @property
    def ended(self) -> frozenset[str]:
        """The names of the tests that do not run again."""
        return self.crashed | {*self.finished}

    @property
    def complete(self) -> bool:
        """Whether nothing is left to run."""
        return self.closed and bool(self.planned) and self.planned <= self.ended


def interrupted(path: Path) -> Interrupted | None:
    """The run in a results file; None where there is no file.

    Raises ArgumentError where the file holds no run of this command, or where the journals are missing that say which lines belong to
    unfinished items.
    """
    if not path.exists() or not path.stat().st_size:
        return None
    data = path.read_bytes()
    data = data[: data.rfind(b"\n") + 1]  # the last line of a killed process may be incomplete
    lines = data.splitlines(keepends=True)
    try:
        header = Header.read(json.loads(lines[0]))
        items = [FinishedItem.read(json.loads(line)) for line in lines if _is(line, FinishedItem.TYPE)]
        plans = [Plan.read(json.loads(line)) for line in lines if _is(line, Plan.TYPE)]
        crashes = [Crash.read(json.loads(line)) for line in lines if _is(line, Crash.TYPE)]
        ends = [End.read(json.loads(line)) for line in lines if _is(line, End.TYPE)]
    except (IndexError, ValueError, CaseFileError) as error:
        raise ArgumentError(f"{path}: cannot be resumed: it is no results file of a run: {error}") from error
    if not ends and not in_flight.folder(path).is_dir():
        raise ArgumentError(
            f"{path}: cannot be resumed: the folder {in_flight.folder(path).name} is missing, which says to which items its lines belong. "
            "Run without --resume"
        )
    finished, crashed = {i.item: i.seconds for i in items}, frozenset(c.item for c in crashes)
    seconds = ends[-1].seconds if ends else max(0.0, path.stat().st_mtime - _started(header))
    content = _kept(data, path, frozenset({*finished, *crashed}), header)
    planned = frozenset(name for plan in plans for name in plan.items)
    return Interrupted(header, finished, crashed, planned, bool(ends), seconds, content)


def _kept(data: bytes, path: Path, ended: frozenset[str], header: Header) -> bytes:
    """The lines without those of unfinished items, and without those that say how the run ended.

    The plan of a run with a budget is among these: it names the rounds that were open.
    """
    kept, start = [], 0
    for piece in unfinished_pieces(path, ended):
        if piece.length and piece.stands_in(data):  # an empty piece would stand at the start of another one
            kept.append(data[start : piece.start])
            start = piece.start + piece.length
    kept.append(data[start:])
    last = (End.TYPE, Running.TYPE, Torn.TYPE, *([Plan.TYPE] if header.budget else []))
    lines = b"".join(kept).splitlines(keepends=True)
    return b"".join(line for line in lines if not any(_is(line, kind) for kind in last))


def _is(line: bytes, kind: str) -> bool:
    return line.startswith(f'{{"type":"{kind}"'.encode())


def _started(header: Header) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat(header.started).timestamp()
    except ValueError as error:
        raise ArgumentError(f"cannot be resumed: its beginning {header.started!r} is no time") from error


def check_same(earlier: Header, now: Header) -> None:
    """Raise ArgumentError where a run asks for something else than the one that it is to resume."""
    for name, option in _EQUAL.items():
        before, after = getattr(earlier, name), getattr(now, name)
        after = cut(after, len(before)) if name == "address" and len(before) >= _KEPT else after
        if before != after:
            raise ArgumentError(
                f"--resume: the interrupted run has {_words(name, before, after)}, this command {_words('', after, before)} ({option}): "
                f"repeat the command of that run ({' '.join(earlier.command)}), or leave --resume out to begin anew"
            )


def _words(name: str, value: object, other: object) -> str:
    """A value beside another one, after its name. Of long lists, such as the deviations, only the first differences are told."""
    if not isinstance(value, tuple) or len(value) <= _LISTED:
        told = repr(list(value) if isinstance(value, tuple) else value)
        return f"{name} {told}".lstrip()
    others = other if isinstance(other, tuple) else ()
    apart = [item for item in value if item not in others]
    names = [str(item[0] if isinstance(item, tuple) else item) for item in apart]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    told = (
        f"{', '.join(names[:_LISTED])}{more}, which the other lacks"
        if names
        else "nothing that the other lacks"
    )
    return f"{len(value)} {name}, among them {told}" if name else f"{len(value)}, among them {told}"


def prepare(path: Path, run: Interrupted) -> None:
    """Write the lines to keep, and remove the journals, whose places no longer hold."""
    write_atomically(path, run.content)
    in_flight.clear(path)
