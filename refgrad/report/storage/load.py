"""Loading of results files: JSON lines, plain or gzipped.

Other files are refused with the line that does not fit. An incomplete last line is accepted: an interrupted run leaves one.
"""

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
    Json,
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
from refgrad.report.storage.expected import apply_expected
from refgrad.report.storage.merge import merge
from refgrad.testing.runs.in_flight import UnfinishedCase, unfinished_cases
from refgrad.testing.runs.results import running_record

_GZIP = b"\x1f\x8b"


def load(path: str | Path) -> Run:
    """The run in a results file. Several runs in one file, as merged results have them, are merged.

    The file of an interrupted run loads, and its run is ``partial``. Raises CaseFileError naming file and line where the file is no
    results file of this schema, or cannot be read.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    data, torn = _decompressed(raw) if raw.startswith(_GZIP) else (raw, False)
    data = data.removeprefix(codecs.BOM_UTF8)  # some editors write one
    parts: list[_RunReader] = []
    number = 0
    try:
        for number, line, whole in _lines(data):  # noqa: B007 - the number goes into the message below
            record = _parse(line, whole and not torn, first=not parts)
            if record is None:
                torn = True
            elif not parts or record.get("type") == "run":
                parts.append(_RunReader(line, record))
            else:
                parts[-1].add_line(line, record)
    except CaseFileError as error:
        raise CaseFileError(f"{path}, line {number}: {error}") from error
    del raw, data  # frees memory: the parts hold the lines
    if not parts:
        what = "it is torn off before the end of its first line" if torn else "it is empty"
        raise CaseFileError(f"{path}: not a results file of refgrad: {what}")
    parts[-1].torn |= torn
    if parts[-1].end is None:
        parts[-1].add_unfinished(unfinished_cases(path))
    runs = [part.run(str(path)) for part in parts]
    try:
        return runs[0] if len(runs) == 1 else merge(runs)
    except ArgumentError as error:
        raise CaseFileError(f"{path}: {error}") from error


def holds_results(path: str | Path) -> bool:
    """Whether a file begins like a results file, plain or gzipped; False where it cannot be read."""
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
_SHARED = (CaseRecord, News)  # several processes may write equal lines of these types; one of them is kept


class _RunReader:
    """One run while its lines are read."""

    def __init__(self, line: bytes, record: Json) -> None:
        self.header = _header(record)
        self.first, self.last = line, b""
        self.found: list[tuple[bytes, Record]] = []
        self.end: End | None = None
        self.torn = False

    def add_line(self, line: bytes, record: Json) -> None:
        """Add one line. Raises CaseFileError where it does not belong to a run, or comes after its end."""
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

    def add_unfinished(self, cases: Iterable[UnfinishedCase]) -> None:
        """Add the cases that were being judged when the run was killed. They are stored in files next to the results."""
        known = {line for line, _ in self.found}
        for case in cases:
            record = running_record(case)
            line = encoded(record).strip()
            if line not in known:
                self.found.append((line, record))

    def run(self, source: str) -> Run:
        """The run. Lines and records are sorted, because their order in the file depends on the order in which workers finish."""
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
        results = _with_cases(apply_expected(records[Result], records[Expected]), records[CaseRecord])
        planned = {name for plan in records[Plan] for name in plan.items}
        lines = [
            self.first,
            *(line for line, _ in self.found),
            *([_TORN] if self.torn else []),
            *([self.last] if self.end else []),
        ]
        return Run(
            header=self.header,
            results=tuple(sorted(results, key=lambda r: r.order)),
            audits=tuple(sorted(audits.values(), key=lambda a: a.key)),
            crashes=tuple(sorted(records[Crash], key=lambda c: (c.item, c.worker, c.reason))),
            end=self.end,
            truncated=self.torn,
            textbook_items=tuple(sorted(records[TextbookItem], key=lambda x: (x.place, x.id))),
            measured=tuple(sorted(records[Measured])),
            running=tuple(sorted(records[Running], key=lambda c: (c.item, c.id))),
            items=tuple(sorted(records[FinishedItem])),
            news=tuple(sorted(records[News])),
            planned=len(planned),
            unfinished=tuple(sorted(planned - {i.item for i in records[FinishedItem]})),
            lines=b"".join(line + b"\n" for line in lines),
            source=source,
        )


def _with_cases(results: Iterable[Result], cases: Iterable[CaseRecord]) -> list[Result]:
    """The results; each that does not agree gets its case."""
    by_id = {case.id: case for case in cases}
    return [replace(r, case_record=by_id.get(r.id)) if r.status != AGREE else r for r in results]


def _not_strict(literal: str) -> NoReturn:
    raise ValueError(f'{literal} is not JSON; non-finite numbers are the strings "nan", "inf" and "-inf"')


_DECODER = json.JSONDecoder(parse_constant=_not_strict)


def _decompressed(raw: bytes) -> tuple[bytes, bool]:
    """The decompressed bytes, and whether the stream is incomplete. The bytes before its end are kept."""
    out = io.BytesIO()
    try:
        with gzip.open(io.BytesIO(raw)) as stream:
            while chunk := stream.read1(1 << 20):
                out.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return out.getvalue(), True
    return out.getvalue(), False


def _lines(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """The lines that are not blank: number, bytes without the newline, and whether the line ends with one."""
    for number, line in enumerate(io.BytesIO(data), 1):
        if text := line.strip():
            yield number, text, line.endswith(b"\n")


def _parse(line: bytes, whole: bool, *, first: bool) -> Json | None:
    """The JSON object on one line; None where the line is incomplete. Raises CaseFileError for anything else."""
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
    """The data with a question mark for each lone surrogate, which UTF-8 cannot encode."""
    if isinstance(x, str):
        return x.encode("utf-8", "replace").decode()
    if isinstance(x, list):
        return [_encodable(v) for v in x]
    if isinstance(x, dict):
        return {_encodable(k): _encodable(v) for k, v in x.items()}
    return x


def _header(record: Json) -> Header:
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
