"""Loading of results files: JSON lines, plain or gzipped.

Other files are refused with the line that does not fit. An incomplete last line is accepted: an interrupted run leaves one.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from refgrad.collector import paused
from refgrad.errors import ArgumentError, CaseFileError
from refgrad.records import SCHEMA, End, Header, Json, encoded
from refgrad.report.analysis.run import Run
from refgrad.report.storage.line_json import parse, short
from refgrad.report.storage.lines import SortedLines
from refgrad.report.storage.merge import merge
from refgrad.report.storage.run_reader import RunReader
from refgrad.testing.runs.in_flight import unfinished_cases

_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20  # bytes


def load(path: str | Path) -> Run:
    """The run in a results file. Several runs in one file, as merged results have them, are merged.

    The file is read once, as a stream; results are counted while it is read. The file of an interrupted run loads, and its run is
    ``partial``. Raises CaseFileError naming file and line where the file is no results file of this schema, or cannot be read.
    """
    parts: list[RunReader] = []
    number, torn = 0, False
    try:
        with paused():
            for number, line, whole in _lines(path):  # noqa: B007 - the number goes into the message below
                record = parse(line, whole, first=not parts)
                if record is None:
                    torn = True
                elif not parts or record.get("type") == "run":
                    parts.append(RunReader(line, _header(record)))
                else:
                    parts[-1].add_line(line, record)
    except CaseFileError as error:
        raise CaseFileError(f"{path}, line {number}: {error}") from error
    except _IncompleteError:
        torn = True
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not parts:
        what = "it is torn off before the end of its first line" if torn else "it is empty"
        raise CaseFileError(f"{path}: not a results file of refgrad: {what}")
    if torn:
        parts[-1].tear()
    if parts[-1].end is None:
        parts[-1].add_unfinished(unfinished_cases(path))
    runs = [part.run(str(path)) for part in parts]
    try:
        return runs[0] if len(runs) == 1 else merge(runs)
    except ArgumentError as error:
        raise CaseFileError(f"{path}: {error}") from error


def ended(run: Run, end: End) -> Run:
    """The run of a loaded file after its end line was written: equal to what ``load`` then gives, without reading the file again."""
    if run.end is not None or not isinstance(run.lines, SortedLines):
        raise ArgumentError("a run of one file without an end line is expected")
    run.lines.last = encoded(end).strip()
    return replace(run, end=end)


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


def header_of(path: str | Path) -> Header:
    """The first line of a results file. Raises CaseFileError where the file is no results file of this schema, or cannot be read."""
    try:
        for _, line, whole in _lines(path):
            return _header(parse(line, whole, first=True) or {})
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (CaseFileError, _IncompleteError) as error:
        raise CaseFileError(f"{path}, line 1: {error}") from error
    raise CaseFileError(f"{path}: not a results file of refgrad: it is empty")


class _IncompleteError(Exception):
    """A compressed file that ends early, or that is damaged. The lines before are read."""


def _lines(path: str | Path) -> Iterator[tuple[int, bytes, bool]]:
    """The lines that are not blank: number, bytes without the newline, and whether the line ends with one.

    Raises OSError where the file cannot be read, _IncompleteError after the last line that can be decompressed.
    """
    number, pieces = 0, []
    for block in _blocks(path):
        if block is None:  # what follows the last newline is incomplete
            raise _IncompleteError
        first, *others = block.split(b"\n")
        pieces.append(first)
        for piece in others:
            number += 1
            if text := b"".join(pieces).strip():
                yield number, text, True
            pieces = [piece]
    if text := b"".join(pieces).strip():
        yield number + 1, text, False


def _blocks(path: str | Path) -> Iterator[bytes | None]:
    """The blocks of a file, decompressed where it is compressed; None after the last one where the compressed stream is incomplete."""
    with Path(path).open("rb") as file:
        head = file.read(max(len(_GZIP), len(codecs.BOM_UTF8)))
        file.seek(0)
        if not head.startswith(_GZIP):
            file.seek(len(codecs.BOM_UTF8) if head == codecs.BOM_UTF8 else 0)  # some editors write one
            while block := file.read(_BLOCK):
                yield block
            return
        try:
            with gzip.open(file) as stream:
                while block := stream.read1(_BLOCK):
                    yield block
        except (EOFError, gzip.BadGzipFile, zlib.error):
            yield None


def _header(record: Json) -> Header:
    if record.get("type") != "run" or "schema" not in record:
        raise CaseFileError(
            'not a results file of refgrad: the first line is no record of type "run" with a schema'
        )
    if record["schema"] != SCHEMA:
        raise CaseFileError(
            f"results of schema {short(record['schema'])}, written by refgrad {record.get('refgrad', '?')}; "
            f"this refgrad reads schema {SCHEMA}. Render them with the version that wrote them"
        )
    return Header.read(record)
