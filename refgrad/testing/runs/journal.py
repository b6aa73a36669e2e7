"""A journal of the lines that each process has written for its current item, so that an interrupted run can be resumed.

Results are written case by case, and their lines name no item. The folder ``results.jsonl.running`` has a journal for each process: the
name of the item that it runs, and the place, length and checksum of every piece that it has written for it. A finished item leaves an
empty journal. So the journals of a killed run say which lines belong to items that did not finish.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from refgrad.errors import ResultsWriteError
from refgrad.testing.runs.descriptor import opened
from refgrad.testing.runs.in_flight import JOURNAL, folder


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a results file: its first byte, its length and its CRC-32."""

    start: int
    length: int
    checksum: int

    def stands_in(self, data: bytes) -> bool:
        """Whether the file has this piece: a process may die between the entry in its journal and the write."""
        found = data[self.start : self.start + self.length]
        return len(found) == self.length and zlib.crc32(found) == self.checksum


class Journal:
    """The journal of one process. Raises ResultsWriteError where it cannot be written."""

    def __init__(self, results: str | Path) -> None:
        self._path = folder(results) / f"{os.getpid()}{JOURNAL}"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = opened(self._path, os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
        except OSError as error:
            raise ResultsWriteError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def begin(self, item: str) -> None:
        """Begin an item. What the journal held before is forgotten."""
        os.ftruncate(self._descriptor, 0)
        self._append([item])

    def note(self, start: int, data: bytes) -> None:
        """Note a piece before it is written."""
        self._append([start, len(data), zlib.crc32(data)])

    def finish(self) -> None:
        """Forget the item, after its last line has been written."""
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Close the journal, and remove it if it is empty."""
        os.close(self._descriptor)
        with contextlib.suppress(FileNotFoundError):  # a new run has removed the folder
            if not self._path.stat().st_size:
                self._path.unlink()

    def _append(self, entry: list[str] | list[int]) -> None:
        data = (json.dumps(entry) + "\n").encode()
        try:
            if os.write(self._descriptor, data) < len(data):
                raise OSError("the disk is full")
        except OSError as error:
            raise ResultsWriteError(
                f"{self._path}: cannot be written: {error.strerror or error}. What was judged before is in the results"
            ) from error


def unfinished_pieces(results: str | Path, finished: Collection[str]) -> list[Piece]:
    """The pieces that belong to items that did not finish, in the order of the file."""
    found = []
    for path in folder(results).glob(f"*{JOURNAL}"):
        entries = _entries(path)
        if entries and len(entries[0]) == 1 and entries[0][0] not in finished:
            found += [Piece(*map(int, entry)) for entry in entries[1:] if len(entry) == 3]
    return sorted(found, key=lambda piece: piece.start)


def _entries(path: Path) -> list[list[str | int]]:
    """The complete lines of a journal; the last line of a killed process may be incomplete."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    return [json.loads(line) for line in lines]
