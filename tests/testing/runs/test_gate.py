"""Rounds open while a budget lasts, each for all processes or for none, and nothing begins after a stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.testing.runs import gate
from refgrad.testing.runs.gate import Gate, stop, stopped


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that gates see."""
    now = [1000.0]
    monkeypatch.setattr(gate.time, "time", lambda: now[0])
    return now


def test_without_a_budget_everything_begins_until_a_stop(tmp_path: Path) -> None:
    one, other = Gate(tmp_path / "r.jsonl"), Gate(tmp_path / "r.jsonl")
    assert one.admits(None)
    assert one.admits(7)
    assert not stopped(tmp_path / "r.jsonl")
    stop(tmp_path / "r.jsonl")
    assert not one.admits(None)
    assert not other.admits(0)


def test_a_round_opens_if_the_mean_of_those_before_still_fits(tmp_path: Path, clock: list[float]) -> None:
    found = Gate(tmp_path / "r.jsonl", until=1010.0)
    assert found.admits(0)
    clock[0] += 4  # a round takes 4 s
    assert found.admits(1)
    clock[0] += 4
    assert not found.admits(2)  # it would end at 1012
    assert found.rounds() == 2


def test_a_decision_holds_for_all_processes(tmp_path: Path, clock: list[float]) -> None:
    one, other = (Gate(tmp_path / "r.jsonl", until=1010.0) for _ in range(2))
    assert one.admits(0)
    clock[0] += 4
    assert one.admits(1)
    clock[0] += 100  # long past the budget
    assert other.admits(1)  # the round is open, so it is completed
    assert not other.admits(2)
    clock[0] = 1000.0
    assert not one.admits(2)
    assert not one.admits(3)
    assert one.rounds() == other.rounds() == 2


def test_rounds_that_have_begun_run_in_any_case_and_other_tests_belong_to_no_round(
    tmp_path: Path, clock: list[float]
) -> None:
    found = Gate(tmp_path / "r.jsonl", until=900.0, first=5, least=6)
    assert found.admits(None)
    assert found.rounds() == 5
    assert found.admits(5)
    clock[0] += 1
    assert not found.admits(6)
    assert found.admits(None)
    assert found.rounds() == 6


def test_no_round_opens_after_the_budget_where_none_has_begun(tmp_path: Path, clock: list[float]) -> None:
    assert Gate(tmp_path / "new" / "r.jsonl", until=900.0).admits(0)  # the first of a run
    spent = Gate(tmp_path / "spent" / "r.jsonl", until=900.0, first=5, least=5)
    assert not spent.admits(5)
    assert spent.rounds() == 5
    left = Gate(tmp_path / "left" / "r.jsonl", until=1010.0, first=5, least=5)
    assert left.admits(5)
    clock[0] += 20
    assert not left.admits(6)
