"""The lines of a results file in sorted order, whatever their number: an external merge sort.

Lines beyond CHUNK bytes are sorted in chunks and kept, compressed, in a temporary file. Iteration merges the chunks.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from typing import IO

from refgrad.errors import CaseFileError
from refgrad.records import CaseRecord, News, Torn, encoded

CHUNK = 32 << 20  # bytes of lines that are sorted in memory
_BLOCK = 1 << 16  # bytes that are read from the temporary file at once
# Several processes may write equal lines of these types; one of them is kept.
_SHARED = (CaseRecord.TYPE, News.TYPE)
_TORN = encoded(Torn()).strip()


class SortedLines:
    """The lines of one run. The first line stays first; the end line and a marker of an incomplete line stand last.

    Iteration yields them without newlines, and may be repeated. The order in which lines are added does not matter.
    """

    def __init__(self, first: bytes) -> None:
        self.first, self.last, self.torn = first, b"", False
        self._lines: list[bytes] = []
        self._size = 0
        self._chunks: list[tuple[int, int]] = []  # begin and end in the temporary file
        self._file: IO[bytes] | None = None
        self._digest = b""

    def add(self, line: bytes) -> None:
        """Add one line."""
        self._lines.append(line)
        self._size += len(line)
        if self._size > CHUNK:
            self._store()

    def _store(self) -> None:
        """Move the lines in memory to the temporary file. Raises CaseFileError where it cannot be written."""
        try:
            self._store_chunk()
        except OSError as error:
            raise CaseFileError(
                f"the temporary file that sorts the lines cannot be written in {tempfile.gettempdir()}: {error.strerror or error}; "
                "TMPDIR names another folder"
            ) from error

    def _store_chunk(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with this object
            weakref.finalize(self, self._file.close)
        self._lines.sort()
        begin = self._file.seek(0, 2)
        packer = zlib.compressobj(1)
        for k in range(0, len(self._lines), 4096):
            self._file.write(packer.compress(b"".join(line + b"\n" for line in self._lines[k : k + 4096])))
        self._file.write(packer.flush())
        self._chunks.append((begin, self._file.tell()))
        self._lines, self._size = [], 0

    def __iter__(self) -> Iterator[bytes]:
        yield self.first
        self._lines.sort()
        streams = [self._stored(begin, end) for begin, end in self._chunks]
        merged = heapq.merge(self._lines, *streams) if streams else iter(self._lines)
        before = next(merged, None)
        if before is not None:
            yield before
            for line in merged:
                if line != before or not _shared(line):
                    yield line
                before = line
        if self.torn:
            yield _TORN
        if self.last:
            yield self.last

    def _stored(self, begin: int, end: int) -> Iterator[bytes]:
        """The lines of one chunk."""
        assert self._file is not None
        unpacker, rest = zlib.decompressobj(), b""
        while begin < end:
            self._file.seek(begin)
            block = self._file.read(min(_BLOCK, end - begin))
            begin += len(block)
            *lines, rest = (rest + unpacker.decompress(block)).split(b"\n")
            yield from lines

    @property
    def digest(self) -> bytes:
        """A hash of all lines."""
        if not self._digest:
            found = hashlib.sha256()
            for line in self:
                found.update(line)
                found.update(b"\n")
            self._digest = found.digest()
        return self._digest


def _shared(line: bytes) -> bool:
    return json.loads(line)["type"] in _SHARED
