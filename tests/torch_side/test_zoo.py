"""gradcheck and wrong callables of the kinds that people ship: each wrong one is called so, and its right twin never."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import refgrad.torch as checks  # noqa: E402  after the import that may skip
from conformance.mutants import MUTANTS  # noqa: E402
from tests.torch_side.zoo.asking import SPECIMENS, judged  # noqa: E402
from tests.torch_side.zoo.catalogue import IMPOSSIBLE_IN_TORCH, MENDED_BY_TORCH  # noqa: E402
from tests.torch_side.zoo.record import FOUR, Kind, Specimen  # noqa: E402

WRONG = [pytest.param(s, d, id=f"{s.name}-{d}") for s in SPECIMENS for d in s.exposed]
RIGHT = [pytest.param(s, d, id=f"{s.name}-{d}") for s in SPECIMENS for d in s.dtypes]


def test_there_are_enough_of_every_kind() -> None:
    kinds = Counter(s.kind for s in SPECIMENS)
    assert kinds[Kind.MATHEMATICS] >= 40
    assert set(kinds) == set(Kind)
    assert len({s.name for s in SPECIMENS}) == len(SPECIMENS)
    assert all(set(s.exposed) <= set(s.dtypes) <= set(FOUR) for s in SPECIMENS)


@pytest.mark.parametrize(("specimen", "dtype"), WRONG)
def test_the_wrong_one_is_called_wrong(specimen: Specimen, dtype: str) -> None:
    report = judged(specimen, "wrong", dtype)
    assert report.status in specimen.status, report.summary()


@pytest.mark.parametrize(("specimen", "dtype"), RIGHT)
def test_its_right_twin_is_not(specimen: Specimen, dtype: str) -> None:
    blind = specimen.kind is Kind.BLIND  # there, nothing can be said of one input
    report = judged(specimen, "right", dtype)
    assert report.status in ("agree", "imprecise", *(["undecided"] if blind else [])), report.summary()


def test_an_input_at_a_kink_throughout_is_undecided() -> None:
    # Any slope from -1 to 1 is right there: nothing that was compared could have been wrong.
    inputs = (torch.zeros(3, requires_grad=True),)
    report = checks.gradcheck(torch.abs, inputs, reference=np.abs, raise_exception=False)
    assert report.status == "undecided", report.summary()


def test_the_page_counts_what_is_planted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gradcheck.md").read_text(encoding="utf-8")
    table = page[page.index("## What each check catches") :]
    counted = {kind: int(n) for kind, n in re.findall(r"^\| ([^|]+) \| (\d+) \|", table, re.MULTILINE)}
    planted = {str(kind): n for kind, n in Counter(s.kind for s in SPECIMENS).items()}
    planted["formulas that were shipped"] = len(MUTANTS) - len(MENDED_BY_TORCH + IMPOSSIBLE_IN_TORCH)
    assert counted == {**planted, "in all": sum(planted.values())}, (
        "python -m benchmarks.catches prints the table"
    )
