"""``--last-failed`` judges the failures of the last run, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load

pytest.importorskip("torch")

BACKEND = """
import os
from refgrad.torch.backend import TorchBackend

class Faulty(TorchBackend):
    def observe(self, case):
        if case.family == "softmax" and int(case.id, 16) % 3 == 0 and not os.environ.get("MENDED"):
            raise RuntimeError("planted")
        return super().observe(case)
"""


@pytest.fixture
def conformance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The command in this process, on a backend with a fault in a third of the cases of softmax; returns the exit code."""
    from refgrad.cli import main

    (tmp_path / "faulty_backend.py").write_text(BACKEND)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k 'test_family or test_case'")

    def run(*more: str) -> int:
        return main(
            [
                "conformance",
                "--backend",
                "faulty_backend:Faulty",
                "--workers",
                "0",
                "--out",
                str(tmp_path / "out"),
                *more,
            ]
        )

    return run


SMALL = (
    "--family",
    "softmax",
    "--family",
    "matmul",
    "--dtype",
    "float64",
    "--device",
    "cpu",
    "--examples",
    "12",
)


def test_the_failures_are_judged_until_there_are_none(
    tmp_path: Path, conformance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "results.jsonl"
    assert conformance("--last-failed") == 2
    assert "neither" in capsys.readouterr().err
    assert conformance(*SMALL) == 1
    failed = {r.id for r in load(path).results if r.failed}
    assert failed
    assert conformance("--last-failed") == 1
    again = load(path)
    assert {r.id for r in each_result(again)} == {r.id for r in again.results if r.failed} == failed
    monkeypatch.setenv("MENDED", "1")
    assert conformance("--last-failed") == 0
    mended = load(path)
    assert {r.id for r in each_result(mended)} == failed
    assert {i.item for i in mended.items} == {f"test_case[{case}]" for case in failed}
    assert not mended.partial
    assert sum(a.caught for a in mended.audits) > 0
    capsys.readouterr()
    assert conformance("--last-failed") == 2
    assert f"no failure in {path}" in capsys.readouterr().err
    assert conformance("--last-failed", "--examples", "5") == 2
    assert "leave out --resume" in capsys.readouterr().err


def test_after_so_many_failures_no_item_begins(
    tmp_path: Path, conformance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        conformance(
            "--family",
            "softmax",
            "--dtype",
            "float64",
            "--device",
            "cpu",
            "--examples",
            "150",
            "--max-failures",
            "1",
        )
        == 1
    )
    found = load(tmp_path / "out" / "results.jsonl")
    assert len(found.unfinished) == 2
    assert found.end is not None
    out = capsys.readouterr().out
    assert "Partial: the run ended before all was judged" in out
    assert "result=fail exit=1 " in out.splitlines()[-1]
    assert "unfinished=2 " in out.splitlines()[-1]
