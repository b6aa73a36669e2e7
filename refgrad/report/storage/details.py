"""Cases and results in full, read again from the lines of a run: a run in memory holds neither cases nor scripts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from refgrad.records import CaseRecord, Json, Result, Running
from refgrad.records.fields import cut
from refgrad.report.analysis.run import Run
from refgrad.report.storage.line_json import parse

_MOST_ID = 1000  # characters of an id that are read
# A line as refgrad writes it, by its type and the id that follows.
_WRITTEN = re.compile(rb'\{"type": ?"([a-z]+)"(?:, ?"id": ?"([^"\\]*)")?')


def in_full(run: Run, results: Sequence[Result]) -> list[Result]:
    """These results of a run with their cases, scripts, observations and all wrong elements."""
    ids = {r.id for r in results}
    cases: dict[str, CaseRecord] = {}
    found: dict[tuple[str, ...], Result] = {}
    for data in _records(run, (CaseRecord.TYPE, Result.TYPE), ids) if ids else ():
        if data["type"] == CaseRecord.TYPE:
            case = CaseRecord.read(data)
            cases[case.id] = case
        else:
            r = Result.read(data)
            found[_identity(r)] = r
    full = [found[_identity(r)] for r in results]
    return [
        replace(f, status=r.status, known=r.known).with_case(cases.get(r.id))
        for f, r in zip(full, results, strict=True)
    ]


def _identity(r: Result) -> tuple[str, ...]:
    """The text that distinguishes a result; without its status, which an expected disagreement changes."""
    return r.id, r.family, r.device, r.dtype, r.mode, r.reason, r.message


def each_case(run: Run) -> Iterator[CaseRecord]:
    """The cases in the file: those of results that do not agree, and those in progress when the run was interrupted."""
    for data in _records(run, (CaseRecord.TYPE, Running.TYPE)):
        if data["type"] == CaseRecord.TYPE:
            yield CaseRecord.read(data)
        elif data["case"]:
            yield CaseRecord.of(data["id"], data["case"])


def each_result(run: Run) -> Iterator[Result]:
    """All results in the file, without their cases."""
    for data in _records(run, (Result.TYPE,)):
        yield Result.read(data)


def results_of(run: Run, ids: Collection[str]) -> Iterator[Result]:
    """The results in the file of these cases, without the cases."""
    for data in _records(run, (Result.TYPE,), ids) if ids else ():
        yield Result.read(data)


def _records(run: Run, types: Collection[str], ids: Collection[str] | None = None) -> Iterator[Json]:
    """The lines of these types, and with one of these ids, as plain data. Other lines are not parsed, if refgrad has written them."""
    for line in (line for file in run.files for line in file):
        seen = _WRITTEN.match(line)
        if seen and (
            seen[1].decode() not in types
            or (ids is not None and seen[2] is not None and cut(seen[2].decode(), _MOST_ID) not in ids)
        ):
            continue
        data = parse(line, whole=True, first=False)
        if data and data.get("type") in types and (ids is None or cut(data["id"], _MOST_ID) in ids):
            yield data
