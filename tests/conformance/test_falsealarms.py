"""The count of false alarms: none on correct rules, all of them on a wrong one, and nothing compared is no success."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance import falsealarms
from conformance.families.arrays import LARGEST_SLOPE, finish
from refgrad.bounds.formats import computed_on
from refgrad.graph import Graph
from refgrad.op import REGISTRY
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded


def test_correct_programs_are_not_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        falsealarms.main(["--programs", "24", "--seed", "5", "--workers", "1", "--out", str(tmp_path)]) == 0
    )
    printed = capsys.readouterr().out
    assert all(f"{dtype}: 24 programs, 0 alarms" in printed for dtype in computed_on())
    assert not list(tmp_path.iterdir())


def test_programs_on_a_grid_are_judged_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = [
        "--programs",
        "12",
        "--workers",
        "1",
        "--dtype",
        "bfloat16",
        "--style",
        "exact",
        "--out",
        str(tmp_path),
    ]
    assert falsealarms.main(few) == 0
    assert "bfloat16: 12 programs, 0 alarms" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        falsealarms.main([*few, "--family", "casts"])
    assert (
        "takes families of graphs, mlp, matmul, softmax, ops, functions, complex, got casts"
        in capsys.readouterr().err
    )


def test_a_wrong_rule_is_an_alarm_with_its_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    op = REGISTRY["matmul"]
    right = op.jvp["x1"]
    object.__setattr__(op, "jvp", {**op.jvp, "x1": lambda x1_dot, x2: 1.5 * (x1_dot @ x2)})
    op.__post_init__()
    try:
        code = falsealarms.main(
            [
                "--programs",
                "12",
                "--family",
                "matmul",
                "--dtype",
                "float32",
                "--workers",
                "1",
                "--out",
                str(tmp_path),
            ]
        )
    finally:
        object.__setattr__(op, "jvp", {**op.jvp, "x1": right})
        op.__post_init__()
    assert code == 1
    assert "ALARM matmul float32" in capsys.readouterr().out
    assert (
        Case.from_dict(json.loads(next(iter(tmp_path.glob("float32-matmul-*.json"))).read_text())).dtype
        == "float32"
    )


def test_nothing_compared_is_no_success(tmp_path: Path) -> None:
    assert falsealarms.main(["--programs", "0", "--out", str(tmp_path), "--workers", "1"]) == 3


def test_slopes_of_float16_are_scaled_into_range() -> None:
    x = np.full(3, 9.0, np.float16)
    case = finish(Seeded(1), "graphs", Graph.record(np.exp, x), {"x": x}, "float16")
    slopes = np.exp(9.0) * np.stack([np.abs(case.cotangent), np.abs(case.tangents["x"])]).astype(float)
    assert np.all(slopes.max(axis=1) <= LARGEST_SLOPE)
    assert np.all(slopes.max(axis=1) >= LARGEST_SLOPE / 2)  # no further than needed
