"""How far a run is: counted by what was planned, in one line of any terminal, without a terminal in ten lines."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from refgrad.pytest_plugin import COUNT, UNWRITTEN
from refgrad.suite import progress
from refgrad.suite.progress import Progress, span
from refgrad.testing.runs.results import ResultsFile

CASES = {f"test_family[ops-float64-cpu-{k}]": size for k, size in enumerate((50, 50, 20))} | {
    "test_item[D3-relu]": 1
}
ITEMS = [*CASES, "test_mutant[a-float32]"]


def a_report(name: str, when: str, failed: bool = False, judged: int | None = None) -> SimpleNamespace:
    """The report of a test as pytest hands it on; an item that came to its end says how many cases it judged."""
    properties = [] if judged is None else [(COUNT, {"judged": judged, "unjudged": 10})]
    return SimpleNamespace(
        nodeid=f"f.py::{name}",
        when=when,
        failed=failed,
        longrepr="crashed while running 'b'",
        user_properties=properties,
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a run of ITEMS writes to a stream; some items fail."""

    def run(stream: Any, failing: tuple[int, ...] = (), judged: int = 40, **around: str) -> Progress:
        for name, value in {"TERM": "xterm", "COLUMNS": "80", **around}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stderr", stream)
        shown = Progress(CASES, ResultsFile(tmp_path / "results.jsonl", fresh=True))
        shown.pytest_collection_finish(SimpleNamespace(items=[SimpleNamespace(name=n) for n in ITEMS]))
        for k, name in enumerate(ITEMS):
            for when in ("setup", "call", "teardown"):
                failed = k in failing and when == "call"
                counts = when == "call" and name in CASES
                report = a_report(name, when, failed, min(judged, CASES[name]) if counts else None)
                shown.pytest_runtest_logreport(report)
        shown.finish()
        return shown

    return run


def test_cases_are_counted_as_planned_whatever_fails(bar: Any, tmp_path: Path) -> None:
    for failing in ((), (0, 3)):
        shown = bar(io.StringIO(), failing)
        assert (shown.done, shown.total, shown.failed) == (121, 121, len(failing))
        assert shown.judged == 40 + 40 + 20 + 1  # of the last block, all 20
    plan = json.loads((tmp_path / "results.jsonl").read_text().splitlines()[0])
    assert plan == {"type": "plan", "items": sorted(ITEMS)}


def test_the_bar_says_how_many_cases_were_really_judged(bar: Any) -> None:
    stream = io.StringIO()
    bar(stream, (0,), judged=7)
    assert stream.getvalue().splitlines()[-1].startswith("22 of 121 cases judged, 1 item failing")


def test_an_item_that_broke_off_has_judged_nothing(tmp_path: Path) -> None:
    names = ["test_family[ops-float64-cpu-0]", "test_item[D3-relu]", "test_item[D3-matrix]"]
    cases = dict(zip(names, (50, 1, 1), strict=True))
    shown = Progress(cases, ResultsFile(tmp_path / "results.jsonl", fresh=True))
    shown.pytest_collection_finish(SimpleNamespace(items=[SimpleNamespace(name=n) for n in names]))
    shown.pytest_runtest_logreport(a_report(names[0], "call", failed=True))
    shown.pytest_runtest_logreport(a_report(names[1], "???", failed=True))
    shown.pytest_runtest_logreport(a_report(names[2], "call", failed=True, judged=1))  # it disagrees
    assert (shown.done, shown.judged) == (52, 1)


def test_why_verdicts_could_not_be_recorded_travels_with_the_report(tmp_path: Path) -> None:
    shown = Progress({}, ResultsFile(tmp_path / "results.jsonl", fresh=True))
    full = a_report("test_family[ops-float64-cpu-0]", "call", failed=True)
    full.user_properties.append((UNWRITTEN, "results.jsonl: cannot be written: the disk is full"))
    shown.pytest_runtest_logreport(full)
    assert shown.unwritten == "results.jsonl: cannot be written: the disk is full"
    shown.pytest_runtest_logreport(a_report("test_item[D3-relu]", "call"))
    assert shown.unwritten


def test_without_a_terminal_there_are_lines(bar: Any) -> None:
    for stream, around in ((io.StringIO(), {}), (Terminal(), {"TERM": "dumb"})):
        bar(stream, **around, judged=50)
        text = stream.getvalue()
        assert "\r" not in text
        lines = text.splitlines()
        assert [line.split(",")[0] for line in lines] == [
            f"{n} of 121 cases judged" for n in (0, 50, 100, 120, 121)
        ][: len(lines)]
        assert 3 <= len(lines) <= 11
        assert "left" in lines[1]
        assert "left" not in lines[-1]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_bar_is_one_line_of_any_terminal(bar: Any, columns: int) -> None:
    stream = Terminal()
    bar(stream, (1, 2), COLUMNS=str(columns))
    first, *lines = stream.getvalue().rstrip("\n").split("\r")
    assert not first
    assert {len(line) for line in lines} == {columns - 1}  # what stood there before is written over
    assert all("of 121 cases" in line for line in lines)
    assert ("[########" in lines[-1]) == (columns >= 80)
    assert stream.getvalue().endswith("\n")


def test_a_closed_standard_error_is_no_fault(bar: Any) -> None:
    assert bar(None).done == 121


def test_what_a_worker_died_over_and_what_cannot_be_collected_is_kept(tmp_path: Path) -> None:
    shown = Progress({}, ResultsFile(tmp_path / "results.jsonl", fresh=True))
    words, dead = a_report("a", "call", failed=True), a_report("b", "???", failed=True)
    for report in (words, dead):
        shown.pytest_runtest_logreport(report)
    for _ in range(8):  # of every worker
        shown.pytest_collectreport(SimpleNamespace(nodeid="f.py", passed=False, longrepr="no such module"))
        shown.pytest_collectreport(SimpleNamespace(nodeid="g.py", passed=True, longrepr=None))
    assert shown.lost == [("b", "crashed while running 'b'"), ("f.py", "no such module")]


def test_workers_that_die_one_after_the_other_without_a_test_end_the_run(tmp_path: Path) -> None:
    shown = Progress({}, ResultsFile(tmp_path / "results.jsonl", fresh=True))
    dead = a_report("b", "???", failed=True)
    for _ in range(50):  # each over a test of its own: all of them are to be named
        shown.pytest_testnodedown("Not properly terminated")
        shown.pytest_runtest_logreport(dead)
        shown.pytest_testnodedown(None)  # of one that ended well
    for _ in range(5):
        shown.pytest_testnodedown("first\nImportError: no torch")
    with pytest.raises(pytest.exit.Exception):
        shown.pytest_testnodedown("first\nImportError: no torch")
    assert shown.lost[-1] == (
        "workers",
        "6 in a row died before they had a test to run: ImportError: no torch",
    )


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (3600, "60 min"), (7500, "2 h 05 min")]
)
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    assert span(seconds) == said
    assert progress.span(seconds) == said
