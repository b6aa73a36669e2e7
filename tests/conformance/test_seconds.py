"""The table of expected seconds: made from a run, read by the shards, and there for the long items."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.seconds import TABLE, main, table
from refgrad.records import FinishedItem, Header, encoded
from refgrad.testing.runs.expected_seconds import ExpectedSeconds

ITEMS = (
    FinishedItem("test_family[ops-float32-cpu-0]", 3.0, judged=50), FinishedItem("test_family[ops-float32-cpu-1]", 1.0, judged=50),
    FinishedItem("test_mutant[a-float32]", 0.01), FinishedItem("test_mutant[b-float32]", 0.03), FinishedItem("test_mutant[c-float32]", 1.5),
)  # fmt: skip


def test_the_table_has_means_and_the_long_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, made = tmp_path / "results.jsonl", tmp_path / "seconds.toml"
    results.write_bytes(b"".join(map(encoded, (Header("0", "", ()), *ITEMS))))
    assert main([str(results), "--to", str(made)]) == 0
    assert "the seconds of 5 items" in capsys.readouterr().out
    assert made.read_text() == table(ITEMS)
    found = ExpectedSeconds.read(made)
    assert found.of_block("ops", "float32", 10) == pytest.approx(0.4)
    assert found.of_test("test_mutant[d-float32]") == pytest.approx(0.02)
    assert found.of_test("test_mutant[c-float32]") == 1.5


def test_the_table_of_the_suite_names_every_family() -> None:
    pytest.importorskip("torch")
    from conformance.families import FAMILIES

    found = ExpectedSeconds.read(TABLE)
    assert {name.partition(" ")[0] for name in found.cases} == set(FAMILIES)
    assert {"test_mutant", "test_item", "test_deviation_still_occurs"} <= found.tests.keys()
    assert found.tests["test_item[D3-training]"] > found.tests["test_item"]
