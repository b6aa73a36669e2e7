"""Everything one file says: what is missing, what was compared, which cases travelled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from refgrad.records import TEXTBOOK
from refgrad.report.analysis.run import Run
from refgrad.report.storage.load import load
from tests.report import conftest as make


@pytest.fixture
def run(tmp_path) -> Run:
    lines = [
        make.header(), make.wrong("a" * 16, elements=5), make.result("a" * 16, mode="forward", elements=7),
        make.result("b" * 16, family=TEXTBOOK),
        {"type": "running", "worker": "gw1", "item": "i", "id": "f" * 16, "case": make.case("sin")},
        {"type": "end", "exit": 0, "finished": "2026-11-21T05:02:00Z", "seconds": 1},
    ]  # fmt: skip
    path = tmp_path / "results.jsonl"
    path.write_text(
        "".join(make.json.dumps(part) + "\n" for line in lines for part in make.apart(line)), encoding="utf-8"
    )
    return load(path)


def test_cases_and_elements_are_counted(run: Run) -> None:
    assert run.cases == 2
    assert run.tally.elements == 5 + 7 + 24
    assert sorted(at.mode for at, _ in run.tally.programs) == ["forward", "reverse"]


def test_only_results_that_do_not_agree_are_held(run: Run) -> None:
    [held] = run.results
    assert (held.id, held.size, held.case_record, held.script) == ("a" * 16, 3, None, "")
    assert run.tally.results == 3


@pytest.mark.parametrize(
    "change",
    [{"end": None}, {"truncated": True}, {"unfinished": ("item",)}, {"absent": ("2/4",)}],
    ids=lambda c: next(iter(c)),
)
def test_a_run_is_partial_where_anything_is_missing(run: Run, change) -> None:
    whole = replace(run, truncated=False, unfinished=(), absent=())
    assert not whole.partial
    assert replace(whole, **change).partial
