"""--fail-on: which results decide the exit code."""

from typing import Any

import pytest

from refgrad.cli import main
from refgrad.errors import ArgumentError
from refgrad.report.analysis.policy import counted_failures, fail_on_values
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 1, "finished": "", "seconds": 1.0}
OLD, FRESH = "a" * 16, "b" * 16


def test_new_needs_something_to_be_new_against() -> None:
    with pytest.raises(ArgumentError, match="--baseline"):
        fail_on_values(["new"], [])
    assert fail_on_values(["new"], ["r"]) == {"new"}


def codes(save: Any, lines: list[Any], before: list[Any], make: Any, *more: str) -> int:
    own = any(line.get("status") == "disagree" or line["type"] == "crash" for line in lines)
    now = save([make.header(), *lines, END | {"exit": int(own)}], "now.jsonl")
    old = save([make.header(), *before, END], "old.jsonl")
    return main(["report", str(now), "--baseline", str(old), "--out", str(now.parent / "out"), *more])


def test_a_failure_of_the_baseline_is_not_new(make: Any, save: Any, capsys: Any) -> None:
    old, fresh = make.wrong(OLD), make.wrong(FRESH)
    assert codes(save, [old], [old], make) == 1
    assert codes(save, [old], [old], make, "--fail-on", "new") == 0
    assert "Nothing is new against the baseline" in capsys.readouterr().out
    assert codes(save, [old, fresh], [old], make, "--fail-on", "new") == 1
    assert "1 case disagrees" in capsys.readouterr().out
    assert codes(save, [old, make.wrong(OLD, mode="forward")], [old], make, "--fail-on", "new") == 1


def test_a_failure_that_became_another_one_is_new(make: Any, save: Any, capsys: Any) -> None:
    """It fails at another op, or is an error now: the baseline does not have this failure."""
    old = make.wrong(OLD, "tanh")
    raised = make.result(OLD, status="error", reason="RuntimeError: no kernel", ops={}, worst=None)
    assert codes(save, [make.wrong(OLD, "exp")], [old], make, "--fail-on", "new") == 1
    assert "1 case disagrees with the derivative, first wrong at exp" in capsys.readouterr().out
    assert codes(save, [raised], [old], make, "--fail-on", "new") == 1
    assert codes(save, [old], [raised], make, "--fail-on", "new") == 1
    assert codes(save, [raised], [raised], make, "--fail-on", "new") == 0


def test_what_shrinking_made_is_neither_new_nor_fixed(make: Any, save: Any, capsys: Any) -> None:
    old, shrunk = make.wrong(OLD), make.wrong(FRESH, shrunk=True)
    assert codes(save, [old, shrunk], [old], make, "--fail-on", "new") == 0
    assert codes(save, [old], [old, shrunk], make) == 1
    assert "fixed" not in capsys.readouterr().out.replace("0 fixed", "")


def test_a_run_that_ended_for_a_reason_of_its_own_stays_red(make: Any, save: Any) -> None:
    old = make.wrong(OLD)
    crash = {"type": "crash", "worker": "", "item": "x", "reason": "r"}
    assert codes(save, [old, crash], [old], make, "--fail-on", "new") == 1


def test_lost_digits_fail_where_that_is_asked_for(make: Any, save: Any, capsys: Any) -> None:
    lost = make.result(OLD, status="imprecise", imprecise=1)
    assert codes(save, [lost], [], make, "--fail-on", "imprecise") == 1
    assert "lost digits" in capsys.readouterr().out
    assert codes(save, [lost], [lost], make, "--fail-on", "imprecise", "--fail-on", "new") == 0
    run = load(save([make.header(), lost, END | {"exit": 0}]))
    assert counted_failures(run.results, frozenset(), None) == []
