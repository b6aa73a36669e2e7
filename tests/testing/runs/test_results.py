"""The results file: whole lines, whatever happens to those who write them."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.errors import ResultsWriteError
from refgrad.graph import Graph
from refgrad.records import FAILURES, STATUSES, CaseRecord, Element, News, Result, encoded
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import Verdict
from refgrad.testing.runs.in_flight import UnfinishedCase
from refgrad.testing.runs.results import ResultsFile, crash_records, previous, result_of, results_of


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
    # Lines given together stay together.
    assert all(a == b for a, b in zip(found[::2], found[1::2], strict=True))


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


def test_a_case_is_written_once_by_a_process_and_kept_for_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.jsonl"
    file, case = ResultsFile(path), CaseRecord.of("a", {"dtype": "float32"})

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(ResultsWriteError):
        file.write(case, said("a"))
    monkeypatch.undo()
    for text in "bc":
        file.write(case, said(text))
    kinds = [json.loads(line)["type"] for line in path.read_text().splitlines()]
    assert kinds == ["case", "news", "news"]


X = np.array([1.0, 2.0])
CASE = Case("graphs", Graph.record(np.sin, X), {"x": X}, {"x": X}, X, "float64")


@pytest.mark.parametrize("status", STATUSES)
def test_every_case_that_does_not_agree_comes_with_its_results(status: str) -> None:
    verdicts = [Verdict("value"), Verdict("reverse", status)]
    records = results_of(CASE, verdicts, lambda v: f"script of {v.mode}")
    assert isinstance(records[0], CaseRecord) == (status != "agree")
    results = [r for r in records if isinstance(r, Result)]
    assert [r.status for r in results] == ["agree", status]
    assert [r.script for r in results] == ["", "script of reverse" if status in FAILURES else ""]
    assert all(r.case == CASE.to_dict() for r in records if isinstance(r, CaseRecord))


def test_a_result_says_all_that_its_verdict_does() -> None:
    element = Element(1.0, 2.0, 0.1, 10.0, 5.0, (1,), "gradient of x", 1, "sin", 0.5)
    v = Verdict(
        "reverse",
        "disagree",
        "why",
        9,
        2,
        1,
        4,
        3,
        1.5,
        element,
        [element],
        (1, "sin"),
        {"sin": [1, 9, 10.0]},
        1e-7,
        "text",
    )
    r = result_of("a", "graphs", "float64", "cpu", v)
    for name in (
        "mode",
        "status",
        "reason",
        "elements",
        "loose",
        "blind",
        "skipped",
        "imprecise",
        "digits",
        "worst",
        "first_wrong",
    ):
        assert getattr(r, name) == getattr(v, name), name
    assert (r.sensitivity, r.message, r.worst_elements, r.ops) == (
        1e-7,
        "text",
        (element,),
        {"sin": (1, 9, 10.0)},
    )
    v.known = "one"
    assert (result_of("a", "graphs", "float64", "cpu", v).status, v.status) == ("known", "disagree")


def test_elements_where_nothing_is_defined_are_counted_in_the_result() -> None:
    tally = Tally("reverse", "float64", "cpu")
    for k in (1, 2):
        tally.add(k, "sin", compare(np.array([1.0, 2.0]), np.array([np.nan, 2.0]), FORMATS["float64"]))
    r = result_of("a", "graphs", "float64", "cpu", tally.verdict())
    assert (r.elements, r.skipped, r.status) == (2, 2, "agree")


def test_a_case_over_which_a_process_died_makes_the_line_of_any_other_process() -> None:
    left = UnfinishedCase(
        "gw0", "an item", CASE.id, json.loads(CASE.content), "Fatal Python error: Aborted\n", False
    )
    case, result = crash_records(left)
    assert encoded(case) == encoded(CaseRecord(CASE.id, CASE.content))
    assert isinstance(result, Result)
    assert (result.id, result.status, result.dtype) == (CASE.id, "error", "float64")
    assert result.reason == "crashed: Fatal Python error: Aborted"
