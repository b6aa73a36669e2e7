"""A run with a budget of time: rounds of whole blocks, which are the first cases of the seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.records import Crash, FinishedItem, encoded
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.session import measured_seconds

SMALL = [
    "--family",
    "softmax",
    "--family",
    "matmul",
    "--dtype",
    "float32",
    "--device",
    "cpu",
    "--workers",
    "0",
]


def test_a_budget_judges_whole_rounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from refgrad.cli import main
    from refgrad.suite import session
    from refgrad.testing.runs.plan import BLOCK

    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k test_family")
    monkeypatch.setattr(session, "_LONGEST", 0.1)  # a session of few rounds, so that another one follows
    assert main(["conformance", *SMALL, "--for", "4s", "--out", str(tmp_path / "for")]) == 0
    said = capsys.readouterr()
    found = load(tmp_path / "for" / "results.jsonl")
    assert not found.partial
    assert found.header.budget == "4"
    done = len(found.items) // 2
    assert {i.item for i in found.items} == {
        f"test_family[{f}-float32-cpu-{k}]" for f in ("softmax", "matmul") for k in range(done)
    }
    assert f"refgrad: {done} rounds of {BLOCK} cases in 4 s" in said.err
    assert (
        main(["conformance", *SMALL, "--examples", str(done * BLOCK), "--out", str(tmp_path / "number")]) == 0
    )
    number = load(tmp_path / "number" / "results.jsonl")
    both = [sorted((r.id, r.mode, r.status) for r in each_result(run)) for run in (found, number)]
    assert both[0] == both[1]


def test_a_time_and_a_number_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from refgrad.cli import main

    for more in (["--examples", "5"], ["--shard", "1/2"]):
        assert main(["conformance", *SMALL, "--for", "4s", *more, "--out", str(tmp_path)]) == 2
        assert "--for gives a time" in capsys.readouterr().err
    assert main(["conformance", "--family", "textbook", "--for", "4s", "--out", str(tmp_path)]) == 2
    assert "the family textbook has a fixed number" in capsys.readouterr().err


def test_the_seconds_of_an_earlier_run_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert measured_seconds(path) == {}
    lines = [encoded(FinishedItem("a[1]", 2.5)), encoded(Crash("", "b", "")), b'{"type":"item","item":"torn']
    path.write_bytes(b"".join(lines))
    assert measured_seconds(path) == {"a[1]": 2.5}
