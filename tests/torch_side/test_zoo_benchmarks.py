"""The scripts that judge the zoo: benchmarks.catches and benchmarks.gradcheck_pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import catches, gradcheck_pairs  # noqa: E402  after the import that may skip


def test_a_row_counts_who_refuses_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert catches.main(["--kind", "subset of the inputs"]) == 0
    assert "| subset of the inputs | 5 | 5 | 0 | 0 |" in capsys.readouterr().out


def test_right_twins_that_are_refused_stand_in_brackets() -> None:
    tie = next(p for p in catches.planted() if p.kind == "tied elements")
    row = catches.Row()
    row.add(tie)
    assert row.alarms["torch"] == 1
    assert row.line("ties").endswith("| 1 (1) | 1 (1) |")


def test_pairs_are_counted_by_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ["--seeds", "2", "--dtype", "float32"]
    assert gradcheck_pairs.main([*wanted, "--only", "tanh, by sigmoid"]) == 0
    assert "disagree" not in capsys.readouterr().out
    wrong = dataclasses.replace(gradcheck_pairs.PAIRS[0], name="wrong", reference=np.tanh)
    monkeypatch.setattr(gradcheck_pairs, "PAIRS", (wrong,))
    assert gradcheck_pairs.main(wanted) == 1
    assert "disagree 2" in capsys.readouterr().out
