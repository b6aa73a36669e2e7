"""Random programs of NumPy's idioms: refgrad's answer is that of the plain program, or a refusal in its own words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad.op import Traced
from refgrad.tracing import forward, reverse, views
from refgrad.tracing.array import TracedArray
from tests.programs import __main__ as command
from tests.programs.counting import Tally, judged
from tests.programs.judging import Outcome, judge
from tests.programs.program import Program
from tests.programs.shrinking import shrunk

EVERY_DAY = 300
REFUSED = 0.15  # a larger share would say that little is tested


@pytest.fixture(scope="module")
def tally() -> Tally:
    return judged(range(EVERY_DAY))


@pytest.mark.long
def test_no_program_has_a_silent_difference_or_a_raw_error(tally: Tally) -> None:
    assert tally.programs == EVERY_DAY
    assert not tally.kinds, "\n".join([*tally.scripts(), *tally.lines()])


@pytest.mark.long
def test_few_programs_are_refused_or_unsettled(tally: Tally) -> None:
    text = "\n".join(tally.lines())
    assert tally.answers["refused"] <= REFUSED * EVERY_DAY, text
    assert tally.answers["unsettled"] <= 0.05 * EVERY_DAY, text
    assert tally.unsettled <= 0.1 * tally.elements, text
    assert tally.undefined <= 0.01 * tally.elements, text
    assert len(tally.rounded) <= 0.01 * EVERY_DAY, text
    assert tally.second["agrees"] >= 0.6 * EVERY_DAY, text


def _wrong_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    right = forward.pushed

    def pushed(op: Any, *rest: Any) -> Any:
        y_dot = right(op, *rest)
        return y_dot * 1.001 if op.name == "multiply" else y_dot

    monkeypatch.setattr(forward, "pushed", pushed)


def _wrong_second_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    right = forward.pushed

    def pushed(op: Any, values: Any, *rest: Any) -> Any:
        y_dot = right(op, values, *rest)
        return y_dot * 1.001 if any(isinstance(x, Traced) for x in values) else y_dot

    monkeypatch.setattr(forward, "pushed", pushed)


def _lost_cotangent(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_one_stays(bars: list[Any], i: int, x_bar: Any) -> None:
        bars[i] = x_bar

    monkeypatch.setattr(reverse, "accumulate", last_one_stays)


def _stale_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "share", lambda x, view, read, **options: view)


def _silent_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(self: Any) -> Any:
        while isinstance(self, Traced):
            self = self._value
        return np.array(self)[()]

    monkeypatch.setattr(TracedArray, "copy", copy)


def _raw_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean(self: Any, *args: Any, **options: Any) -> Any:
        raise AttributeError("no mean")

    monkeypatch.setattr(TracedArray, "mean", mean)


PLANTED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "a slope that is wrong by a thousandth": (_wrong_slope, "forward: slope"),
    "a second slope that is wrong by a thousandth": (_wrong_second_slope, "second order"),
    "a cotangent that is lost where a value is used twice": (_lost_cotangent, "reverse: not the transpose of forward"),
    "a view that does not see a write": (_stale_view, "forward: value"),
    "a copy that is a constant": (_silent_constant, "forward: slope"),
    "a method that raises an error of its own": (_raw_error, "forward: raw AttributeError"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, what = PLANTED[fault]
    plant(monkeypatch)
    kinds: list[str] = []
    for first in range(0, 200, 10):
        kinds += judged(range(first, first + 10), shorten=False).kinds
        if any(kind.startswith(what) for kind in kinds):
            return
    pytest.fail(f"200 programs did not show the fault; they showed {kinds}")


def test_a_failing_program_is_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    _silent_constant(monkeypatch)
    program = Program(
        7, (("x", "np.array([0.3, 1.2])"), ("y", "np.array([0.7, 0.2])")),
        ("v1 = x * y", "v2 = np.sin(v1)", "v3 = v2.copy()", "v4 = 0.0\nfor k in range(3):\n    v4 = v4 + v3 * k", "v5 = v4 + y"),
        ("x", "v4", "v5"),
    )  # fmt: skip
    short, outcome = shrunk(program, judge(program))
    assert outcome.what == "forward: slope"
    assert [s.partition(" = ")[2] for s in short.statements] == ["x.copy()"]
    assert len(short.results) == len(short.arguments) == 1


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("v1 = x * x", "agrees"),
        ("v1 = x.tolist()[0] * x", "refused"),
        ("v1 = np.abs(x - np.array([0.3, 1.2]))", "unsettled"),
    ],
)
def test_a_program_agrees_is_refused_or_is_not_settled(source: str, answer: str) -> None:
    outcome = judge(Program(0, (("x", "np.array([0.3, 1.2])"),), (source,), ("v1",)))
    assert outcome.answer == answer


def test_the_command_prints_a_script_for_each_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["programs", "--programs", "20"])
    monkeypatch.setattr("tests.programs.counting.judge", lambda program: Outcome("agrees"))
    assert command.main() == 0
    assert "20 programs: 20 agrees" in capsys.readouterr().out
    _silent_constant(monkeypatch)
    program = Program(3, (("x", "np.array([0.3, 1.2])"),), ("v1 = x.copy()",), ("v1",))
    monkeypatch.setattr("tests.programs.counting.draw", lambda seed: program)
    monkeypatch.setattr("tests.programs.counting.judge", judge)
    assert command.main() == 1
    printed = capsys.readouterr().out
    assert "# 20 x forward: slope" in printed
    assert "got 0, differences" in printed
    assert "failures: 1 kinds" in printed
