"""Reading a results file: JSON lines, plain or gzipped. What is not ours is refused by name; a torn last line is not an error."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from refgrad.errors import CaseFileError
from refgrad.report import fields
from refgrad.report.lessons import Lesson
from refgrad.report.records import Audit, Crash, End, Header, Result, Run, Running
from refgrad.testing.running import left

SCHEMA = 1
_GZIP = b"\x1f\x8b"


def load(path: str | Path) -> Run:
    """The run that a results file describes.

    A run that was killed leaves a file without an end line, perhaps with half a line: it loads, and ``partial`` says
    so. Raises CaseFileError, with the file and the line, for anything else that refgrad did not write.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    data, torn = _plain(raw) if raw.startswith(_GZIP) else (raw, False)
    header: Header | None = None
    results: list[Result] = []
    audits: dict[tuple[bool, str, str, str], Audit] = {}
    crashes: list[Crash] = []
    lessons: list[Lesson] = []
    running: list[Running] = []
    planned: set[str] = set()
    finished: set[str] = set()
    end: End | None = None
    number = 0
    try:
        for number, line, whole in _lines(data):  # noqa: B007 - the number goes into the message below
            record = _parse(line, whole and not torn, first=header is None)
            if record is None:
                torn = True
            elif header is None:
                header = _header(record)
            elif end is not None:
                raise CaseFileError("a record after the end of the run; were two files joined?")
            else:
                match record.get("type"):
                    case "result":
                        results.append(Result.read(record))
                    case "audit":
                        a = Audit.read(record)
                        audits[a.key] = a + audits[a.key] if a.key in audits else a
                    case "textbook":
                        lessons.append(Lesson.read(record))
                    case "crash":
                        crashes.append(Crash.read(record))
                    case "plan":
                        planned |= set(fields.texts(record, "items"))
                    case "item":
                        finished.add(fields.text(record, "item"))
                    case "running":
                        running.append(Running.read(record))
                    case "end":
                        end = End.read(record)
                    case "run":
                        raise CaseFileError("a second run begins here; one file holds one run")
                    case other:
                        raise CaseFileError(
                            f"a record of type {_short(other)}; run, plan, result, textbook, audit, item, crash, running or end is expected"
                        )
    except CaseFileError as error:
        raise CaseFileError(f"{path}, line {number}: {error}") from error
    if header is None:
        raise CaseFileError(f"{path}: not a results file of refgrad: it is empty")
    if end is None:
        running += [Running(c.worker, c.item, c.id, c.case) for c in left(path)]
    results.sort(key=lambda r: r.order)
    crashes.sort(key=lambda c: (c.item, c.worker, c.reason))
    running.sort(key=lambda c: (c.item, c.id))
    return Run(
        header, tuple(results), tuple(sorted(audits.values(), key=lambda a: a.key)), tuple(crashes), end, torn,
        lessons=tuple(sorted(lessons, key=lambda x: (x.place, x.id))), running=tuple(running), planned=len(planned),
        unfinished=tuple(sorted(planned - finished)),
    )  # fmt: skip


def _not_strict(literal: str) -> NoReturn:
    raise ValueError(f'{literal} is not JSON; non-finite numbers are the strings "nan", "inf" and "-inf"')


_DECODER = json.JSONDecoder(parse_constant=_not_strict)


def _plain(raw: bytes) -> tuple[bytes, bool]:
    """The decompressed bytes, and whether the stream ends too early. What precedes the tear is kept."""
    out = io.BytesIO()
    try:
        with gzip.open(io.BytesIO(raw)) as stream:
            while chunk := stream.read1(1 << 20):
                out.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return out.getvalue(), True
    return out.getvalue(), False


def _lines(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Line number, bytes, and whether the line is whole (ended by a newline). Blank lines are left out."""
    for number, line in enumerate(io.BytesIO(data), 1):
        if line.strip():
            yield number, line, line.endswith(b"\n")


def _parse(line: bytes, whole: bool, *, first: bool) -> dict[str, Any] | None:
    """The object on one line; None where the line was torn off."""
    try:
        record = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if first:
            raise CaseFileError(
                f"not a results file of refgrad: the first line is not a JSON object ({error})"
            ) from error
        if not whole:
            return None
        raise CaseFileError(f"not JSON: {error}") from error
    if b"\\u" in line:
        record = _encodable(record)
    if not isinstance(record, dict):
        raise CaseFileError(f"a JSON object is expected, got {_short(record)}")
    return record


def _encodable(x: Any) -> Any:
    """The same data, with a question mark for each half of a surrogate pair, which no file could hold."""
    if isinstance(x, str):
        return x.encode("utf-8", "replace").decode()
    if isinstance(x, list):
        return [_encodable(v) for v in x]
    if isinstance(x, dict):
        return {_encodable(k): _encodable(v) for k, v in x.items()}
    return x


def _header(record: dict[str, Any]) -> Header:
    if record.get("type") != "run" or "schema" not in record:
        raise CaseFileError(
            'not a results file of refgrad: the first line is no record of type "run" with a schema'
        )
    if record["schema"] != SCHEMA:
        raise CaseFileError(
            f"results of schema {_short(record['schema'])}, written by refgrad {record.get('refgrad', '?')}; "
            f"this refgrad reads schema {SCHEMA}. Render them with the version that wrote them"
        )
    return Header.read(record)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
