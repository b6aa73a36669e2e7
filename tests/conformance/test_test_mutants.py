"""Every run of the command judges the mutants, records each, and fails where one passes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.mutants import MUTANTS

pytest.importorskip("torch")

RUN = """
import sys
from dataclasses import replace
from refgrad.cli import main
import conformance.mutants as mutants

if sys.argv[2:]:
    swap = {"passes": lambda m: replace(m, wrong=m.right), "refused": lambda m: replace(m, right=m.wrong)}[sys.argv[3]]
    mutants.MUTANTS = tuple(swap(m) if m.id == sys.argv[2] else m for m in mutants.MUTANTS)
small = ["--family", "mlp", "--dtype", "float64", "--examples", "2", "--workers", "0", "--device", "cpu"]
sys.exit(main(["conformance", *small, "--out", sys.argv[1]]))
"""


def run(out: Path, *arguments: str) -> tuple[int, list[dict]]:
    command = [sys.executable, "-c", RUN, str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return done.returncode, lines


def audits(lines: list[dict]) -> list[dict]:
    return [line for line in lines if line["type"] == "audit" and line["mutation"].startswith("mutant ")]


def test_a_run_records_every_mutant(tmp_path: Path) -> None:
    code, lines = run(tmp_path)
    assert code == 0, lines
    assert sorted((a["mutation"], a["dtype"]) for a in audits(lines)) == sorted(
        (f"mutant {m.id}", d) for m in MUTANTS for d in m.dtypes
    )
    assert all(a["planted"] == a["caught"] == a["right"] == 1 for a in audits(lines))
    assert not any(a["refused"] for a in audits(lines))


def test_a_mutant_that_passes_fails_the_run(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "bu-5141", "passes")
    assert code == 1
    missed = [line for line in audits(lines) if not line["caught"]]
    assert {line["mutation"] for line in missed} == {"mutant bu-5141"}
    assert any(line["type"] == "crash" and "bu-5141" in line["reason"] for line in lines)


def test_a_right_formula_that_is_refused_fails_the_run(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "bu-5141", "refused")
    assert code == 1
    refused = [line for line in audits(lines) if line["refused"]]
    assert {line["mutation"] for line in refused} == {"mutant bu-5141"}
    assert any(line["type"] == "crash" and "is refused" in line["reason"] for line in lines)
