"""Cases: content-addressed, exact in JSON, and clear about what is wrong with a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refgrad.errors import CaseFileError
from refgrad.graph import Graph
from refgrad.testing import Case
from refgrad.testing.cases.case import CHANNELS_LAST, layouts_of


def example() -> Case:
    x = np.array([[0.1, -0.0], [np.inf, 3.0]], np.float32)
    graph = Graph.record(lambda x: np.sum(np.tanh(x)[0, ::-1]) * 2.0, x)
    return Case(
        "graphs",
        graph,
        {"x": x},
        {"x": np.ones_like(x)},
        np.float32(1.25),
        "float32",
        layouts={"x": "strided"},
    )


def test_json_round_trip_is_exact() -> None:
    case = example()
    again = Case.from_json(case.to_json())
    assert again.id == case.id
    assert again.inputs["x"].tobytes() == case.inputs["x"].tobytes()
    assert again.inputs["x"].dtype == np.float32
    assert again.graph(again.inputs) == case.graph(case.inputs)


def test_channels_lie_last_where_there_are_three_axes() -> None:
    case = replace(example(), layouts={"x": CHANNELS_LAST})
    assert Case.from_json(case.to_json()).layouts == {"x": CHANNELS_LAST}
    assert CHANNELS_LAST in layouts_of(3)
    assert CHANNELS_LAST not in layouts_of(2)


def test_the_layout_of_the_cotangent_is_kept() -> None:
    case = replace(example(), cotangent_layout="transposed")
    assert case.id != example().id
    assert Case.from_json(case.to_json()).cotangent_layout == "transposed"
    assert "cotangent_layout" not in example().to_dict(), "left out where it is contiguous"


def test_an_expanded_cotangent_has_equal_elements() -> None:
    x = np.array([0.5, 2.0])
    case = Case(
        "ops", Graph.record(np.sin, x), {"x": x}, {"x": x}, np.ones(2), "float64", cotangent_layout="expanded"
    )
    assert Case.from_json(case.to_json()).cotangent_layout == "expanded"
    with pytest.raises(CaseFileError, match=r"an expanded cotangent has equal elements, got \[1.0, 2.0\]"):
        Case.from_json(replace(case, cotangent=np.array([1.0, 2.0])).to_json())


def test_the_id_follows_the_content() -> None:
    case = example()
    assert case.id == example().id
    assert len(case.id) == 16
    assert replace(case, dtype="float64").id != case.id
    assert case.on("cuda").id != case.id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=7), "schema 1; found 7"),
        (lambda d: d.pop("inputs"), "lacks ['inputs']"),
        (lambda d: d.update(dtype="float8"), "dtype 'float8'"),
        (lambda d: d["inputs"].update(y=d["inputs"]["x"]), "inputs ['x']"),
        (lambda d: d["inputs"]["x"].update(shape=[3]), "cannot be read"),
        (lambda d: d["inputs"]["x"]["data"].__setitem__(0, "many"), "cannot be read"),
        (
            lambda d: d["graph"]["nodes"][1].update(op="frobnicate"),
            "node 1 of the graph cannot be read: op 'frobnicate'",
        ),
        (lambda d: d["graph"]["nodes"][1].update(of=[5]), "node 1"),
        (lambda d: d["graph"].update(outputs=[99]), "outputs"),
        (lambda d: d.update(layouts={"x": "spiral"}), "layouts"),
        (lambda d: d.update(cotangent_layout=["spiral"]), "cotangent_layout is one of"),
        (
            lambda d: d["tangents"]["x"].update(shape=[0], data=[]),
            "input 'x' has shape [2, 2], its tangent [0]",
        ),
    ],
)
def test_a_malformed_file_is_named(change, message: str, tmp_path: Path) -> None:
    data = example().to_dict()
    change(data)
    path = tmp_path / "case.json"
    path.write_text(json.dumps(data))
    with pytest.raises(CaseFileError) as caught:
        Case.load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_not_json_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"schema": 1, "fam')
    with pytest.raises(CaseFileError, match="not JSON"):
        Case.load(tmp_path / "torn.json")
    (tmp_path / "results.jsonl").write_text('{"type": "run"}\n{"type": "end"}\n')
    with pytest.raises(CaseFileError, match=r"not JSON .*`refgrad repro FILE --id ID`"):
        Case.load(tmp_path / "results.jsonl")
    with pytest.raises(CaseFileError, match=r"nowhere\.json: cannot be read: No such file or directory$"):
        Case.load(tmp_path / "nowhere.json")
