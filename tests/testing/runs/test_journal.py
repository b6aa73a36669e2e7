"""The journal names the lines of the item that a process was running when it died, and no others."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from refgrad.errors import ResultsWriteError
from refgrad.records import Crash, FinishedItem
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.journal import Journal, unfinished_pieces
from refgrad.testing.runs.results import ResultsFile


def line(word: str) -> Crash:
    return Crash("", "", word)


def unfinished(path: Path, finished: tuple[str, ...] = ()) -> bytes:
    data = path.read_bytes()
    pieces = unfinished_pieces(path, finished)
    return b"".join(data[p.start : p.start + p.length] for p in pieces if p.stands_in(data))


def test_the_lines_of_the_current_item_are_named(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    file, other = ResultsFile(path, journal=Journal(path)), ResultsFile(path)
    file.begin("first")
    file.write(line("a"))
    file.finish()
    file.begin("second")
    file.write(line("b"), line("c"))
    other.write(line("of another process"))
    file.write(line("d"))
    assert [word in unfinished(path) for word in (b'"a"', b'"b"', b'"c"', b'"d"', b"another")] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert unfinished(path, ("second",)) == b""  # it ended between its last line and the end of its journal
    file.write(FinishedItem("second"))
    file.finish()
    assert unfinished(path) == b""
    file.close()
    assert not list(in_flight.folder(path).iterdir())


def test_a_piece_that_was_noted_and_not_written_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    journal = Journal(path)
    file, other = ResultsFile(path, journal=journal), ResultsFile(path)
    file.begin("item")
    journal.note(0, b"a line that its process did not live to write\n")
    other.write(line("somebody else's line, which is longer than the one that was noted"))
    assert unfinished(path) == b""
    [piece] = unfinished_pieces(path, ())
    assert (piece.start, piece.length) == (0, 46)
    with next(in_flight.folder(path).glob("*.journal")).open("a") as torn:
        torn.write("[50, 1")
    assert unfinished_pieces(path, ()) == [piece]


def test_a_journal_without_room_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "results.jsonl")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResultsWriteError, match=r"\.journal: cannot be written: No space left"):
        journal.begin("item")


def test_the_journals_outlive_the_recorded_cases(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Journal(path).begin("item")
    here = in_flight.folder(path)
    (here / "1.json").write_text("")
    in_flight.clear_cases(path)
    assert [p.suffix for p in here.iterdir()] == [".journal"]
