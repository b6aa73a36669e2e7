"""One item: every case is judged whatever fails, each fault is shrunk once, and the counts say what became of the cases."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad.errors import CaseTimeout, GradientMismatch, NoCaseError, ResultsWriteError
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.cases.source import Source
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, Verdict
from refgrad.testing.power.audit import Audit
from refgrad.testing.runs import item as session
from refgrad.testing.runs.in_flight import CurrentCase, unfinished_cases
from refgrad.testing.runs.item import BLOCK, SWEEP, Item
from refgrad.testing.runs.judgement import Observed
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


class Nothing:
    """An observation: these tests put verdicts in the place of the judge's."""


def nothing(case: Case) -> Any:
    return Nothing()


def stand_in(monkeypatch: pytest.MonkeyPatch, judge: Callable[[Case], list[Verdict]]) -> None:
    """Judge by a function of the case."""
    monkeypatch.setattr(session, "judge", lambda case, *_: judge(case))
    monkeypatch.setattr(session, "judge_together", lambda sweep: [judge(o.case) for o in sweep])
    monkeypatch.setattr(session, "marked", lambda _, found, *__: found)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Item, list[dict[str, Any]], BaseException | None]]:
    """Runs an item in which some ops are wrong; the item, its results with their cases, what it raised."""

    def go(
        judge: Callable[[Case], list[Verdict]], family: Any = single, named: bool = False, **more: Any
    ) -> Any:
        stand_in(monkeypatch, judge)
        path, raised = tmp_path / "results.jsonl", None
        item = Item(family.__name__, "float64", "cpu", 0, EXAMPLES, 0)
        results, observe = ResultsFile(path, fresh=True), more.pop("observe", nothing)
        current = CurrentCase(path) if named else None
        try:
            item.run(family, observe, results, current=current, **more)
        except (GradientMismatch, ResultsWriteError, KeyboardInterrupt) as error:
            raised = error
        finally:
            if current:
                current.close()
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
    # The very cases of a run without a failure.
    assert drawn == [line["id"] for line in sound if line["mode"] == "reverse"]
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
        if len(judged) > 4:
            raise ResultsWriteError("no space", errno.ENOSPC)
        write(file, *lines)

    def judge(case: Case) -> list[Verdict]:
        judged.append(case.id)
        return wrong("exp", "tanh")(case)

    monkeypatch.setattr(ResultsFile, "write", full)
    item, lines, raised = run(judge)
    assert isinstance(raised, ResultsWriteError)
    assert len(judged) == 8  # the sweeps have 1, 1, 2 and 4 cases; nothing was judged after that
    assert len({line["id"] for line in lines}) == 4
    assert item.count is None


def test_the_sampled_cases_are_audited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    audited: list[bool] = []

    def judged(sweep: list[Observed]) -> list[list[Verdict]]:
        for o in sweep:
            audited.append(o.audit is not None)
            if o.audit is not None:
                o.audit.counts["node by node", "sign", "float64"] = [len(audited), 0, 1, 0]
        return [[Verdict("value", AGREE)] for _ in sweep]

    monkeypatch.setattr(session, "judge_together", judged)
    monkeypatch.setattr(session, "marked", lambda _, found, *__: found)
    path = tmp_path / "results.jsonl"
    Item("single", "float64", "cpu", 0, 12, 0).run(single, nothing, ResultsFile(path))
    due = [
        k for k in range(12) if session.sampled(CaseSequence(single, "single", "float64", "cpu", 0).case(k))
    ]
    assert [k for k, yes in enumerate(audited) if yes] == due
    assert 0 < len(due) < 12
    [line] = [line for line in map(json.loads, path.read_text().splitlines()) if line["type"] == "audit"]
    assert line["planted"] == sum(k + 1 for k in due)


def test_a_sweep_that_cannot_be_judged_counts_no_planted_error_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = Audit()
    planted.counts["node by node", "sign", "float64"] = [1, 0, 1, 0]

    def judged(sweep: list[Observed]) -> list[list[Verdict]]:
        for o in sweep:
            assert o.audit is not None
            o.audit.add(planted)
        if len(sweep) > 1:
            raise ArithmeticError("of the sweep")
        return [[Verdict("value", AGREE)]]

    monkeypatch.setattr(session, "sampled", lambda _: True)
    monkeypatch.setattr(session, "judge_together", judged)
    monkeypatch.setattr(session, "marked", lambda _, found, *__: found)
    path = tmp_path / "results.jsonl"
    Item("single", "float64", "cpu", 0, 12, 0).run(single, nothing, ResultsFile(path))
    [line] = [line for line in map(json.loads, path.read_text().splitlines()) if line["type"] == "audit"]
    assert line["planted"] == 12


def often(source: Source, dtype: str) -> Case:
    """A family that repeats its cases."""
    x = np.array([float(source.integer(0, 80))])
    return Case("often", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, dtype)


@pytest.mark.parametrize("block", [0, 1])
def test_cases_depend_on_their_numbers_and_a_longer_run_has_those_of_a_shorter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, block: int
) -> None:
    judged: list[str] = []
    stand_in(monkeypatch, lambda case: judged.append(case.id) or [Verdict("value", AGREE)])  # type: ignore[func-returns-value]

    def ids(examples: int) -> list[str]:
        judged.clear()
        item = Item("often", "float64", "cpu", block, examples, 5)
        count = item.run(often, nothing, ResultsFile(tmp_path / "results.jsonl"))
        assert examples == count.judged <= count.drawn
        return list(judged)

    sequence = CaseSequence(often, "often", "float64", "cpu", 5)
    numbers = range(block * 2 * BLOCK, (block + 1) * 2 * BLOCK)
    distinct = list(dict.fromkeys(sequence.case(k).id for k in numbers))
    assert len(distinct) < len(numbers)
    for examples in (1, 12, SWEEP, 30):
        assert ids(examples) == distinct[:examples]


def test_a_number_without_a_case_is_left_out(run: Any) -> None:
    """Also where a failing case is made smaller: the smaller one may have no op that the run asks for."""

    def of_sin(source: Source, dtype: str) -> Case:
        case = single(source, dtype)
        if op_of(case) != "sin":
            raise NoCaseError("no sin")
        return case

    item, lines, raised = run(lambda case: [Verdict("value", DISAGREE)], of_sin)
    assert isinstance(raised, GradientMismatch)
    assert 0 < item.count.judged < EXAMPLES
    assert item.count.judged + item.count.unjudged == EXAMPLES
    assert item.count.drawn == 2 * EXAMPLES
    assert {line["case"]["graph"]["nodes"][-1]["op"] for line in lines if "case" in line} <= {"sin"}


def test_an_exception_of_the_judge_concerns_its_case_alone(run: Any) -> None:
    def judge(case: Case) -> list[Verdict]:
        if op_of(case) == "sin":
            raise ZeroDivisionError("of this case")
        return [Verdict("value", AGREE)]

    item, lines, raised = run(judge)
    errors = [line for line in lines if line["status"] == ERROR and not line.get("shrunk")]
    assert {line["reason"] for line in errors} == {"ZeroDivisionError: of this case"}
    assert 1 < len(errors) < EXAMPLES
    assert len({line["id"] for line in lines if not line.get("shrunk")}) == EXAMPLES
    assert item.count.judged == EXAMPLES
    assert str(raised).startswith("Traceback")


def test_a_framework_that_raises_or_hangs_on_a_case_is_asked_for_the_next(run: Any) -> None:
    def observe(case: Case) -> Any:
        if op_of(case) == "sin":
            raise CaseTimeout
        if op_of(case) == "cos":
            raise ZeroDivisionError("in the framework")
        return Nothing()

    item, lines, raised = run(wrong(), observe=observe)
    reasons = {line["reason"] for line in lines if line["status"] == ERROR}
    assert reasons == {"time limit: no verdict after None s", "ZeroDivisionError: in the framework"}
    late = [line for line in lines if line.get("reason", "").startswith("time limit")]
    assert (item.count.judged, item.count.unjudged) == (EXAMPLES - len(late), len(late))
    assert item.count.judged + len(late) == EXAMPLES
    assert str(raised).startswith("Traceback")


class Odd(BaseException):
    """Of a framework that derives from the wrong class."""


@pytest.mark.parametrize(
    "left", [SystemExit(0), GeneratorExit(), Odd("odd"), pytest.skip.Exception("not here")]
)
def test_a_framework_that_leaves_is_an_error_and_is_asked_for_the_next(run: Any, left: BaseException) -> None:
    """An item that such an exception ends would be skipped or crash, and its other cases would stay unjudged."""

    def observe(case: Case) -> Any:
        if op_of(case) == "sin":
            raise left
        return Nothing()

    item, lines, raised = run(wrong(), observe=observe)
    errors = [line for line in lines if line["status"] == ERROR and not line.get("shrunk")]
    assert {line["reason"] for line in errors} == {f"{type(left).__name__}: {left}"}
    assert 1 < len(errors) < EXAMPLES
    assert item.count.judged == EXAMPLES
    assert str(raised).startswith("Traceback")


def test_an_interrupt_keeps_what_was_observed_and_names_its_case(run: Any, tmp_path: Path) -> None:
    asked: list[str] = []

    def observe(case: Case) -> Any:
        asked.append(case.id)
        if len(asked) == 20:  # in the middle of the sweep of cases 17 to 32
            signal.raise_signal(signal.SIGINT)
        return Nothing()

    _, lines, raised = run(wrong(), observe=observe, named=True)
    assert isinstance(raised, KeyboardInterrupt)
    assert list(dict.fromkeys(line["id"] for line in lines)) == asked[:-1]
    assert [case.id for case in unfinished_cases(tmp_path / "results.jsonl")] == asked[-1:]


def test_a_case_that_was_observed_is_not_at_hand(run: Any, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def observe(case: Case) -> Any:
        assert [c.id for c in unfinished_cases(tmp_path / "results.jsonl")] == [case.id]
        return Nothing()

    def judge(case: Case) -> list[Verdict]:
        seen.append([c.id for c in unfinished_cases(tmp_path / "results.jsonl")])
        return [Verdict("value", AGREE)]

    run(judge, observe=observe, named=True)
    assert seen == [[]] * EXAMPLES
