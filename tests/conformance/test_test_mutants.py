"""Every run of the command judges the mutants, records each, and fails where one passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from conformance import mutants
from conformance.mutants import MUTANTS
from tests.whole_runs import WholeRun, conformance

pytestmark = pytest.mark.long


@pytest.fixture
def judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_anew: Callable[[str], None]
) -> Callable[..., WholeRun]:
    """A run over one mutant that has other formulas; that all others are caught is another test."""

    def run(name: str, **formulas: Any) -> WholeRun:
        changed = tuple(replace(m, **formulas) if m.id == name else m for m in MUTANTS)
        monkeypatch.setattr(mutants, "MUTANTS", changed)
        read_anew("conformance.test_mutants")
        small = [
            "--family",
            "mlp",
            "--dtype",
            "float64",
            "--examples",
            "2",
            "--workers",
            "0",
            "--device",
            "cpu",
        ]
        return conformance(tmp_path, *small, items=f"-k '{name} or test_family'")

    return run


def audits(run: WholeRun) -> list[dict[str, Any]]:
    return [line for line in run.lines("audit") if line["mutation"].startswith("mutant ")]


def test_a_run_records_every_mutant(clean_run: WholeRun) -> None:
    assert clean_run.code == 0, clean_run.stdout + clean_run.stderr
    found = audits(clean_run)
    assert sorted((a["mutation"], a["dtype"]) for a in found) == sorted(
        (f"mutant {m.id}", d) for m in MUTANTS for d in m.dtypes
    )
    assert all(a["planted"] == a["caught"] == a["right"] == 1 for a in found)
    assert not any(a["refused"] for a in found)


ONE = next(m for m in MUTANTS if m.id == "bu-5141")


def test_a_mutant_that_passes_fails_the_run(judged: Callable[..., WholeRun]) -> None:
    run = judged(ONE.id, wrong=ONE.right)
    assert run.code == 1
    missed = [line for line in audits(run) if not line["caught"]]
    assert {line["mutation"] for line in missed} == {f"mutant {ONE.id}"}
    assert any(ONE.id in line["reason"] for line in run.lines("crash"))


def test_a_right_formula_that_is_refused_fails_the_run(judged: Callable[..., WholeRun]) -> None:
    run = judged(ONE.id, right=ONE.wrong)
    assert run.code == 1
    refused = [line for line in audits(run) if line["refused"]]
    assert {line["mutation"] for line in refused} == {f"mutant {ONE.id}"}
    assert any(ONE.id in line["reason"] and "is refused" in line["reason"] for line in run.lines("crash"))
