"""The command repro: the case in a case file, or one of a results file by the beginning of its id."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from refgrad.cli import main
from refgrad.errors import ArgumentError, CaseFileError
from refgrad.graph import Graph
from refgrad.records import CaseRecord, Header, Result, Running
from refgrad.repro import find
from refgrad.testing.case import Case
from refgrad.testing.results import ResultsFile


def case(scale: float) -> Case:
    x = np.array([1.0, scale])
    return Case("graphs", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float64")


ONE, TWO = sorted((case(1.0), case(2.0)), key=lambda c: c.id)


def results(folder: Path, *cases: Case) -> Path:
    file = ResultsFile(folder / "results.jsonl", fresh=True)
    file.write(Header("0.1.0", "", ()))
    for c in cases:
        result = Result(c.id, c.family, c.dtype, c.device, "forward", "unsupported", "no such kernel")
        file.write(CaseRecord(c.id, c.content), result)
    file.close()
    return folder / "results.jsonl"


def test_a_case_of_a_results_file_is_named_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    path = results(tmp_path, ONE, TWO)
    assert ONE.id[:4] != TWO.id[:4]
    for wanted in (ONE, TWO):
        assert find(str(path), wanted.id).content == wanted.content
        assert find(str(path), wanted.id[:4]).content == wanted.content


def test_a_sole_case_needs_no_name(tmp_path: Path) -> None:
    assert find(str(results(tmp_path, ONE))).content == ONE.content


def test_without_one_case_the_error_lists_some(tmp_path: Path) -> None:
    path = str(results(tmp_path, ONE, TWO))
    with pytest.raises(ArgumentError, match=f"holds 2 cases; give --id one of: {ONE.id}, {TWO.id}$"):
        find(path)
    with pytest.raises(ArgumentError, match=f"no case whose id begins with 'xyz'; its 2 cases are: {ONE.id}"):
        find(path, "xyz")
    with pytest.raises(ArgumentError, match="holds no case"):
        find(str(results(tmp_path / "none")), "a")


def test_a_case_that_was_being_judged_is_found(tmp_path: Path) -> None:
    path = results(tmp_path)
    ResultsFile(path).write(Running("gw0", "item", ONE.id, ONE.to_dict()))
    assert find(str(path), ONE.id).content == ONE.content


def test_of_a_check_that_has_no_case_the_command_is_named(tmp_path: Path) -> None:
    path = results(tmp_path, ONE, TWO)
    ResultsFile(path).write(
        Result("z1", "t.py", "float64", "cpu", "reverse", "disagree", again="pytest t.py::test")
    )
    with pytest.raises(ArgumentError, match=r"no case is kept; this judges it again: pytest t\.py::test"):
        find(str(path), "z1")


def test_a_case_file_may_be_named_too(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(ONE.to_json())
    assert find(str(path)).id == find(str(path), ONE.id[:6]).id == ONE.id
    with pytest.raises(ArgumentError, match=f"holds case {ONE.id}"):
        find(str(path), TWO.id)


def test_a_case_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = results(tmp_path)
    ResultsFile(path).write(
        CaseRecord.of("a1", {"schema": 99}), Result("a1", "graphs", "float64", "cpu", "value", "error")
    )
    with pytest.raises(CaseFileError, match=r"results\.jsonl: case a1: a case is an object with schema"):
        find(str(path))


def test_the_command_judges_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    packed = tmp_path / "results.jsonl.gz"
    packed.write_bytes(gzip.compress(results(tmp_path, ONE, TWO).read_bytes()))
    assert main(["repro", str(packed), "--id", TWO.id[:5]]) == 0
    assert f"case {TWO.id}" in capsys.readouterr().out
    assert main(["repro", str(packed)]) == 2
    assert "give --id one of" in capsys.readouterr().err
