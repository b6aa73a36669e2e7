"""One item: every case is judged whatever fails, each fault is shrunk once, and the counts say what became of the cases."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad.errors import GradientMismatch, ResultsWriteError
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, Verdict
from refgrad.testing.runs import item as session
from refgrad.testing.runs.in_flight import CaseTimeout
from refgrad.testing.runs.item import Item
from refgrad.testing.runs.results import ResultsFile
from refgrad.testing.runs.shrinking import Budget

OPS = ("exp", "sin", "tanh", "cos")
EXAMPLES = 30


def single(source: Source, dtype: str) -> Case:
    """One op at a number."""
    name, x = source.choice(OPS), np.array([source.integer(0, 255) / 4.0])
    return Case("single", Graph.record(getattr(np, name), x), {"x": x}, {"x": x}, x, dtype)


def op_of(case: Case) -> str:
    op = case.graph.nodes[-1].op
    assert op is not None
    return op.name


def never(case: Case) -> Observation:
    raise AssertionError("these tests put verdicts in the place of the judge's")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Item, list[dict[str, Any]], Exception | None]]:
    """Runs an item in which some ops are wrong; the item, its results with their cases, what it raised."""

    def go(judge: Callable[[Case], list[Verdict]], family: Any = single, **more: Any) -> Any:
        monkeypatch.setattr(session, "examine", lambda case, *_: judge(case))
        path, raised = tmp_path / "results.jsonl", None
        item = Item(family.__name__, "float64", "cpu", 0, EXAMPLES, 0)
        try:
            item.run(family, never, ResultsFile(path, fresh=True), **more)
        except (GradientMismatch, ResultsWriteError) as error:
            raised = error
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        cases = {line["id"]: line["case"] for line in lines if line["type"] == "case"}
        return (
            item,
            [line | {"case": cases.get(line["id"])} for line in lines if line["type"] == "result"],
            raised,
        )

    return go


def wrong(*ops: str) -> Callable[[Case], list[Verdict]]:
    """A judge that finds the reverse mode of these ops wrong from 4 on."""

    def judge(case: Case) -> list[Verdict]:
        found = op_of(case) in ops and case.inputs["x"][0] >= 4
        return [
            Verdict("value", AGREE),
            Verdict("reverse", DISAGREE, message=f"wrong {op_of(case)}", first_wrong=(1, op_of(case)))
            if found
            else Verdict("reverse"),
        ]

    return judge


def test_all_cases_are_judged_whatever_fails(run: Any) -> None:
    _, sound, nothing = run(wrong())
    item, lines, raised = run(wrong("exp", "tanh", "cos"))
    drawn = [line["id"] for line in lines if not line.get("shrunk") and line["mode"] == "reverse"]
    assert drawn == [
        line["id"] for line in sound if line["mode"] == "reverse"
    ]  # the very cases of a run without a failure
    assert len(set(drawn)) == EXAMPLES
    assert {line["status"] for line in lines if line.get("first_wrong") is None} == {AGREE}
    assert (item.count.judged, item.count.unjudged, item.count.why) == (EXAMPLES, 0, "")
    assert item.count.drawn >= EXAMPLES
    assert nothing is None
    assert str(raised).startswith("wrong ")


def test_each_fault_is_shrunk_once_and_marked(run: Any) -> None:
    item, lines, _ = run(wrong("exp", "tanh", "cos"))
    small = [line for line in lines if line.get("shrunk") and line["mode"] == "reverse"]
    assert {line["first_wrong"]["op"] for line in small} <= {"exp", "tanh", "cos"}
    failing = [line for line in lines if line["status"] == DISAGREE]
    for op in ("exp", "tanh", "cos"):  # 4 is the least that fails; a case that was drawn is not written twice
        numbers = [
            Case.from_dict(line["case"]).inputs["x"][0] for line in failing if line["first_wrong"]["op"] == op
        ]
        assert numbers.count(4.0) == 1
        assert len([line for line in small if line["first_wrong"]["op"] == op]) <= 1
    assert (item.count.shrunk, item.count.unshrunk) == (3, 0)


def test_what_is_not_shrunk_is_said(run: Any) -> None:
    item, lines, _ = run(wrong("exp", "tanh", "cos"), budget=Budget(seconds=0.0))
    assert (item.count.judged, item.count.shrunk, item.count.unshrunk) == (EXAMPLES, 0, 3)
    assert item.count.why == "3 faults not shrunk: the time for it was used up"
    assert not any(line.get("shrunk") for line in lines)


def few(source: Source, dtype: str) -> Case:
    """One of two cases, drawn in many ways."""
    x = np.array([float(source.integer(0, 255) > 0)])
    return Case("few", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, dtype)


def test_a_case_that_is_drawn_again_counts_once(run: Any) -> None:
    item, lines, raised = run(wrong(), few)
    assert raised is None
    assert len(lines) == 2 * 2
    assert (item.count.judged, item.count.unjudged) == (2, EXAMPLES - 2)
    assert item.count.drawn > 2
    assert item.count.why == f"28 not there: {item.count.drawn} draws gave no more different cases"


def test_a_case_past_its_time_is_not_judged_and_the_next_ones_are(run: Any) -> None:
    def judge(case: Case) -> list[Verdict]:
        if op_of(case) == "sin":
            raise CaseTimeout
        return wrong("tanh")(case)

    item, lines, raised = run(judge)
    late = [line for line in lines if line["status"] == ERROR]
    assert len(late) > 1
    assert {line["reason"] for line in late} == {"time limit: no verdict after None s"}
    assert (item.count.judged, item.count.unjudged) == (EXAMPLES - len(late), len(late))
    assert item.count.why.startswith(f"{len(late)} without a verdict after")
    assert str(raised) == "wrong tanh"
    _, _, raised = run(lambda case: judge(case) if op_of(case) == "sin" else [Verdict("value")])
    assert str(raised) == "time limit: no verdict after None s"


def test_a_full_disk_ends_the_item(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    write = ResultsFile.write

    def full(file: ResultsFile, *lines: dict[str, Any]) -> None:
        if len(judged) > 3:
            raise ResultsWriteError("no space", errno.ENOSPC)
        write(file, *lines)

    def judge(case: Case) -> list[Verdict]:
        judged.append(case.id)
        return wrong("exp", "tanh")(case)

    monkeypatch.setattr(ResultsFile, "write", full)
    item, lines, raised = run(judge)
    assert isinstance(raised, ResultsWriteError)
    assert len(judged) == 4  # nothing was judged after that
    assert len({line["id"] for line in lines}) == 3
    assert item.count is None


def test_cases_are_audited_among_failures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[bool] = []
    item = Item("single", "float64", "cpu", 0, EXAMPLES, 0)
    block = session._Block(item.name, EXAMPLES, never, None, (), None, None)  # type: ignore[arg-type]

    def judge(case: Case, observe: Any, deviations: Any, audit: Any) -> list[Verdict]:
        sampled.append(audit is block.audit)
        return wrong(*OPS)(case)

    monkeypatch.setattr(session, "examine", judge)
    monkeypatch.setattr(session, "write", lambda *_, **__: None)
    for k in range(12):
        x = np.array([float(k + 4)])
        block.take(Case("single", Graph.record(np.exp, x), {"x": x}, {"x": x}, x, "float64"))
    assert len(block.failures) == 12
    assert [k for k, yes in enumerate(sampled) if yes] == [1, 5, 9]
