"""Tests that for every formula that a framework has shipped wrong, the judge accepts the right form and detects the wrong one."""

from __future__ import annotations

import pytest

from refgrad.records import Audit
from refgrad.testing.runs.results import ResultsFile

from .mutants import MUTANTS, Mutant
from .mutants.judge import caught, refusals


@pytest.mark.parametrize(
    ("mutant", "dtype"), [pytest.param(m, d, id=f"{m.id}-{d}") for m in MUTANTS for d in m.dtypes]
)
def test_mutant(
    mutant: Mutant, dtype: str, refgrad_results: ResultsFile, request: pytest.FixtureRequest
) -> None:
    """Judge both formulas in the format. The line of the audit records whether the wrong one was detected and the right one accepted."""
    seed = int(request.config.getoption("--refgrad-seed"))
    refused, found = refusals(mutant, dtype, seed), caught(mutant, dtype, seed)
    refgrad_results.write(
        Audit(
            f"mutant {mutant.id}",
            dtype,
            planted=1,
            equivalent=0,
            caught=int(bool(found)),
            check="mutants",
            right=1,
            refused=int(bool(refused)),
        )
    )
    if refused:
        pytest.fail(f"mutant {mutant.id} ({mutant.op}, {dtype}): the right formula is refused: {refused[0]}")
    if not found:
        pytest.fail(f"mutant {mutant.id} ({mutant.op}, {dtype}): the wrong formula passed: {mutant.link}")
