"""The results file: whole lines, whatever happens to those who write them."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from refgrad.errors import ResultsWriteError
from refgrad.records import News
from refgrad.testing.results import ResultsFile, previous


def said(text: str) -> News:
    return News("kind", "name", text)


def texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def write_many(path: Path, name: str) -> None:
    file = ResultsFile(path)
    for _ in range(200):
        file.write(said(name * 300), said(name * 300))


def test_lines_of_many_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, name)) for name in "abc"]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    found = texts(path)
    assert len(found) == 1200
    assert all(len(set(text)) == 1 for text in found)
    assert all(
        a == b for a, b in zip(found[::2], found[1::2], strict=True)
    )  # lines given together stay together


def test_half_a_line_of_a_killed_writer_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    file = ResultsFile(path)
    file.write(said("a"))
    for torn in ("{", '{"text":"' + "b" * 200_000):
        with path.open("a") as killed:
            killed.write(torn)
        file.write(said("c"))
    assert texts(path) == ["a", "c", "c"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    file = ResultsFile(path)
    file.write(said("a"))
    before, write, calls = path.read_bytes(), os.write, []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:7])  # room for half a line

    monkeypatch.setattr("os.write", full)
    with pytest.raises(
        ResultsWriteError, match=r"results\.jsonl: cannot be written: No space left on device"
    ):
        file.write(said("b"))
    assert path.read_bytes() == before
    monkeypatch.undo()
    file.write(said("c"))
    assert texts(path) == ["a", "c"]


def test_a_new_run_keeps_the_results_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for text in "abc":
        ResultsFile(path, fresh=True).write(said(text))
    assert texts(path) == ["c"]
    assert texts(previous(path)) == ["b"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.jsonl", "results.previous.jsonl"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsWriteError, match="cannot be written"):
        ResultsFile(tmp_path / "file" / "results.jsonl")
