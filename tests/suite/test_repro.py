"""The command repro: the case in a case file, or one of a results file by the beginning of its id."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from refgrad.cli import main
from refgrad.errors import ArgumentError, CaseFileError
from refgrad.graph import Graph
from refgrad.records import CaseRecord, Header, Result, Running
from refgrad.suite.repro import find
from refgrad.testing.cases.case import Case
from refgrad.testing.runs.results import ResultsFile


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


@pytest.mark.parametrize("beside", [(ONE, TWO), ()])
def test_of_a_check_that_has_no_case_the_command_is_named(tmp_path: Path, beside: tuple[Case, ...]) -> None:
    path = results(tmp_path, *beside)
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
    compressed_results = tmp_path / "results.jsonl.gz"
    compressed_results.write_bytes(gzip.compress(results(tmp_path, ONE, TWO).read_bytes()))
    assert main(["repro", str(compressed_results), "--id", TWO.id[:5]]) == 0
    assert f"case {TWO.id}" in capsys.readouterr().out
    assert main(["repro", str(compressed_results)]) == 2
    assert "give --id one of" in capsys.readouterr().err


def written(tmp_path: Path, case: Case) -> str:
    pytest.importorskip("torch")
    path = tmp_path / "case.json"
    path.write_text(case.to_json())
    return str(path)


def of(graph: Graph, y_bar: np.ndarray, order: int = 1) -> Case:
    x = np.array([0.5, -1.25])
    return Case("graphs", graph, {"x": x}, {"x": np.ones(2)}, y_bar, "float64", order=order)


@pytest.mark.parametrize("order", [1, 2])
def test_a_case_whose_output_is_an_input_is_judged(order: int, tmp_path: Path, capsys) -> None:
    graph = Graph()
    graph.output(graph.input("x"))
    assert main(["repro", written(tmp_path, of(graph, np.ones(2), order))]) == 0
    out = capsys.readouterr().out
    assert "reverse end to end: agree, 2 elements compared" in out
    assert "forward end to end: agree, 2 elements compared" in out


def test_nothing_is_due_of_a_constant_output(tmp_path: Path, capsys) -> None:
    graph = Graph()
    graph.input("x")
    graph.output(graph.constant(np.ones(2)))
    assert main(["repro", written(tmp_path, of(graph, np.ones(2)))]) == 3
    assert "forward end to end: undecided" in capsys.readouterr().out


def test_a_cotangent_of_the_wrong_shape_is_wrong_use(tmp_path: Path, capsys) -> None:
    graph = Graph()
    graph.output(np.tanh(graph.input("x")))
    assert main(["repro", written(tmp_path, of(graph, np.ones(3)))]) == 2
    assert "the cotangent has shape [3], the output [2]" in capsys.readouterr().err


def test_a_mode_that_raises_fails_and_the_nodes_are_shown(tmp_path: Path, capsys, monkeypatch) -> None:
    pytest.importorskip("torch")
    from refgrad.torch import observe

    def broken(*_: object) -> None:
        raise IndexError("out of reach")

    monkeypatch.setattr(observe, "_reverse", broken)
    graph = Graph()
    graph.output(np.tanh(graph.input("x")))
    assert main(["repro", written(tmp_path, of(graph, np.ones(2)))]) == 1
    out = capsys.readouterr().out
    assert "reverse: error, 0 elements compared, IndexError: out of reach" in out
    assert "forward: agree, 2 elements compared" in out
    assert "node 1  tanh of 0  [2]" in out


def test_a_case_of_which_nothing_is_compared_proves_nothing(tmp_path: Path, capsys) -> None:
    x = np.zeros(0)
    empty = Case("graphs", Graph.record(np.tanh, x), {"x": x}, {"x": x}, x, "float64")
    assert main(["repro", written(tmp_path, empty)]) == 3
    assert "value: undecided, 0 elements compared" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code"), [("heaviside", 0), ("tanh", 1)])
def test_a_refusal_is_held_against_the_list(
    words: str, code: int, tmp_path: Path, capsys, monkeypatch
) -> None:
    pytest.importorskip("torch")
    from refgrad.torch import devices, observe

    def refuses(*_: object) -> None:
        raise NotImplementedError(f"Trying to use forward AD with aten::{words} that does not support it.")

    monkeypatch.setattr(observe, "_forward", refuses)
    monkeypatch.setattr(devices, "VERSION", "2.13.0")
    graph = Graph()
    x = graph.input("x")
    graph.output(np.heaviside(x, 0.5) if words == "heaviside" else np.tanh(x))
    monkeypatch.setattr(observe, "_reverse", lambda _, __, values: [None] * len(values))
    main(["repro", written(tmp_path, of(graph, np.ones(2)))])
    out = capsys.readouterr().out
    assert ("forward: error" in out) == bool(code)
    assert ("forward: unsupported" in out) != bool(code)
    assert ("lost support" in out) == bool(code)


def test_the_work_grows_with_the_nodes_and_no_faster(tmp_path: Path, capsys) -> None:
    calls = []
    for n in (100, 200):
        graph = Graph()
        x = graph.input("x")
        for k in range(n):
            x = np.sin(x) + x if k % 2 else np.tanh(x)
        graph.output(x)
        path, count = written(tmp_path, of(graph, np.ones(2))), [0]
        main(["repro", path])  # what is loaded once is loaded
        sys.setprofile(lambda *_, count=count: count.__setitem__(0, count[0] + 1))
        try:
            assert main(["repro", path]) == 0
        finally:
            sys.setprofile(None)
        calls.append(count[0])
    assert calls[1] < 2.2 * calls[0]


def test_a_recorded_disagreement_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The evidence of an entry disagrees in every release in which the entry was seen."""
    pytest.importorskip("torch")
    evidence = Path(__file__).parents[2] / "conformance" / "deviations" / "layer-norm-in-float16.json"
    assert main(["repro", str(evidence)]) == 1
    lines = capsys.readouterr().out.splitlines()
    wrong = [k for k, line in enumerate(lines) if ": disagree, " in line]
    assert wrong
    assert all(
        re.match(r"  recorded disagreement: layer-norm-\S+ \(docs/findings/\S+\.md\)$", lines[k + 1])
        for k in wrong
    )
