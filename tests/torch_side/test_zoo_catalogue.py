"""gradcheck and the formulas that were really shipped wrong (conformance/mutants), as torch callables."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from conformance.mutants import MUTANTS, Mutant  # noqa: E402  after the import that may skip
from conformance.mutants.judge import cases  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from tests.torch_side.zoo import catalogue  # noqa: E402

MUTANT = pytest.mark.parametrize(
    ("mutant", "dtype"), [pytest.param(m, d, id=f"{m.id}-{d}") for m in MUTANTS for d in m.dtypes]
)


def judged(mutant: Mutant, formula: Any, dtype: str, case: int = 0) -> Any:
    func = catalogue.callable_of(mutant, formula)
    inputs = catalogue.arguments(mutant, dtype, case)
    return gradcheck(func, inputs, reference=mutant.forward, dtypes=(dtype,), raise_exception=False)


@MUTANT
def test_the_formula_that_was_shipped_is_called_wrong(mutant: Mutant, dtype: str) -> None:
    report = judged(mutant, mutant.wrong, dtype)
    if mutant.id in catalogue.MENDED_BY_TORCH:
        assert report.status == "agree", report.summary()
    elif mutant.id in catalogue.IMPOSSIBLE_IN_TORCH:
        assert [v.status for _, v in report.verdicts if v.mode == "forward"] == ["unsupported"]
    elif mutant.id in catalogue.LOSING_DIGITS:
        assert report.status in ("disagree", "imprecise"), report.summary()
    elif mutant.id in catalogue.RAISING:
        assert report.status == "error", report.summary()
    else:
        assert report.status == "disagree", report.summary()


@MUTANT
def test_the_right_formula_is_not(mutant: Mutant, dtype: str) -> None:
    for case in range(len(cases(mutant, dtype, 0))):
        report = judged(mutant, mutant.right, dtype, case)
        assert report.status in ("agree", "imprecise"), report.summary()
