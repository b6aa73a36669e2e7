"""Reading a results file: JSON lines, plain or gzipped. What is not ours is refused by name; a torn last line is not an error."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

from refgrad.errors import ArgumentError, CaseFileError
from refgrad.records import (
    AGREE,
    SCHEMA,
    TYPES,
    Audit,
    CaseRecord,
    Crash,
    End,
    Expected,
    FinishedItem,
    Header,
    Measured,
    News,
    Plan,
    Record,
    Result,
    Run,
    Running,
    TextbookItem,
    Torn,
    encoded,
)
from refgrad.report.storage.expected import taken_back
from refgrad.report.storage.merge import merge
from refgrad.testing.runs.in_flight import Left, left
from refgrad.testing.runs.results import unfinished

_GZIP = b"\x1f\x8b"


def load(path: str | Path) -> Run:
    """The run that a results file describes. Where the file holds several, as merged results do, they are merged.

    A run that was killed leaves a file without an end line, perhaps with half a line: it loads, and ``partial`` says
    so. Raises CaseFileError, with the file and the line, for anything else that refgrad did not write.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    data, torn = _plain(raw) if raw.startswith(_GZIP) else (raw, False)
    data = data.removeprefix(codecs.BOM_UTF8)  # some editors put it there
    parts: list[_Part] = []
    number = 0
    try:
        for number, line, whole in _lines(data):  # noqa: B007 - the number goes into the message below
            record = _parse(line, whole and not torn, first=not parts)
            if record is None:
                torn = True
            elif not parts or record.get("type") == "run":
                parts.append(_Part(line, record))
            else:
                parts[-1].take(line, record)
    except CaseFileError as error:
        raise CaseFileError(f"{path}, line {number}: {error}") from error
    del raw, data  # the parts hold the lines: a large run needs the room
    if not parts:
        what = "it is torn off before the end of its first line" if torn else "it is empty"
        raise CaseFileError(f"{path}: not a results file of refgrad: {what}")
    parts[-1].torn |= torn
    if parts[-1].end is None:
        parts[-1].add_unfinished(left(path))
    runs = [part.run(str(path)) for part in parts]
    try:
        return runs[0] if len(runs) == 1 else merge(runs)
    except ArgumentError as error:
        raise CaseFileError(f"{path}: {error}") from error


def holds_results(path: str | Path) -> bool:
    """Whether a file begins like a results file, plain or gzipped. What cannot be read does not."""
    try:
        with Path(path).open("rb") as file:
            if file.read(2) == _GZIP:
                return True
            file.seek(0)
            first = json.loads(file.readline().removeprefix(codecs.BOM_UTF8))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.get("type") == Header.TYPE


_TORN = encoded(Torn()).strip()
_SHARED = (CaseRecord, News)  # several processes may write the same: it stands in the run once


class _Part:
    """One run while it is read."""

    def __init__(self, line: bytes, record: dict[str, Any]) -> None:
        self.header = _header(record)
        self.first, self.last = line, b""
        self.found: list[tuple[bytes, Record]] = []
        self.end: End | None = None
        self.torn = False

    def take(self, line: bytes, record: dict[str, Any]) -> None:
        """Take one line further. Raises CaseFileError where it has no place here."""
        kind = record.get("type")
        if kind == "torn":
            self.torn = True
        elif self.end is not None:
            raise CaseFileError("a record after the end of the run; were two files joined?")
        elif kind == "end":
            self.end, self.last = End.read(record), line
        elif isinstance(kind, str) and kind in TYPES:
            self.found.append((line, TYPES[kind](record)))
        else:
            raise CaseFileError(f"a record of type {_short(kind)}; one of {', '.join(TYPES)} is expected")

    def add_unfinished(self, cases: Iterable[Left]) -> None:
        """Cases that were being judged when the run was killed; they lie beside the file and become lines of it."""
        known = {line for line, _ in self.found}
        for case in cases:
            record = unfinished(case)
            line = encoded(record).strip()
            if line not in known:
                self.found.append((line, record))

    def run(self, source: str) -> Run:
        """The whole. Lines are taken in an order of their own: in the file they stand as workers happened to finish."""
        records: dict[type, list[Any]] = defaultdict(list)
        self.found.sort(key=itemgetter(0))
        self.found = [
            (line, record)
            for k, (line, record) in enumerate(self.found)
            if not (k and isinstance(record, _SHARED) and line == self.found[k - 1][0])
        ]
        for _, record in self.found:
            records[type(record)].append(record)
        audits: dict[tuple[bool, str, str, str], Audit] = {}
        for a in records[Audit]:
            audits[a.key] = a + audits[a.key] if a.key in audits else a
        results = _with_cases(taken_back(records[Result], records[Expected]), records[CaseRecord])
        planned = {name for plan in records[Plan] for name in plan.items}
        lines = [
            self.first,
            *(line for line, _ in self.found),
            *([_TORN] if self.torn else []),
            *([self.last] if self.end else []),
        ]
        return Run(
            self.header, tuple(sorted(results, key=lambda r: r.order)), tuple(sorted(audits.values(), key=lambda a: a.key)),
            tuple(sorted(records[Crash], key=lambda c: (c.item, c.worker, c.reason))), self.end, self.torn,
            textbook_items=tuple(sorted(records[TextbookItem], key=lambda x: (x.place, x.id))), measured=tuple(sorted(records[Measured])),
            running=tuple(sorted(records[Running], key=lambda c: (c.item, c.id))),
            items=tuple(sorted(records[FinishedItem])), news=tuple(sorted(records[News])),
            planned=len(planned), unfinished=tuple(sorted(planned - {i.item for i in records[FinishedItem]})),
            lines=b"".join(line + b"\n" for line in lines), source=source,
        )  # fmt: skip


def _with_cases(results: Iterable[Result], cases: Iterable[CaseRecord]) -> list[Result]:
    """The results, with its case in each that is not agreement."""
    by_id = {case.id: case for case in cases}
    return [replace(r, case_record=by_id.get(r.id)) if r.status != AGREE else r for r in results]


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
    """Line number, bytes without the newline, and whether there was one. Blank lines are left out."""
    for number, line in enumerate(io.BytesIO(data), 1):
        if text := line.strip():
            yield number, text, line.endswith(b"\n")


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
