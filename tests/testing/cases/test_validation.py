"""A case whose parts do not fit together is refused in words: what is given, what is expected."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from refgrad.errors import CaseFileError
from refgrad.graph import Graph
from refgrad.testing import Case


def case(dtype: str = "float16", order: int = 1) -> dict[str, Any]:
    x = np.array([[0.5, -1.25]], np.float16)
    graph = Graph.record(lambda x: np.tanh(x).reshape(2, 1), x)
    if order > 1:
        graph = Graph.record(np.tanh, x)
    y_bar = np.ones(np.shape(graph(x)), np.float16)
    return Case("graphs", graph, {"x": x}, {"x": np.ones_like(x)}, y_bar, dtype, order=order).to_dict()


NUMBER = {"dtype": "float64", "shape": [], "data": [1.0]}
WHOLE = {"dtype": "int64", "shape": [1, 2], "data": [1, 2]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(cotangent=NUMBER), "the cotangent has shape [], the output [2, 1]"),
        (lambda d: d["cotangent"].update(shape=[1, 2]), "the cotangent has shape [1, 2], the output [2, 1]"),
        (lambda d: d.update(cotangent=WHOLE), "the cotangent has dtype int64; a floating-point one"),
        (lambda d: d["tangents"].update(x=NUMBER), "input 'x' has shape [1, 2], its tangent []"),
        (lambda d: d["tangents"].update(x=WHOLE), "the tangent of input 'x' has dtype int64"),
        (lambda d: d["inputs"]["x"].update(dtype="float64", data=[0.1, 1.0]), "input 'x' holds 0.1, which is no float16 number"),
        (lambda d: d["tangents"]["x"].update(dtype="float32", data=[1.0, 1e5]), "tangent of input 'x' holds 100000.0"),
        (lambda d: d["cotangent"].update(dtype="float32", data=[1e-9, 1.0]), "the cotangent holds 9.999"),
        (lambda d: d["graph"]["nodes"][2]["with"].update(shape={"tuple": [3, 5]}), "cannot be computed from these inputs: ValueError"),
        (lambda d: d["graph"]["nodes"][2]["with"].update(shape="two"), "cannot be computed from these inputs"),
        (lambda d: d.update(order=2), "order is 2, which asks a single op for its second derivatives, and the graph has 2 ops"),
        (lambda d: d.update(order=True), "order is 1 or 2, got True"),
        (lambda d: d.update(order=float("nan")), "order is 1 or 2, got nan"),
        (lambda d: d.update(device=7), "device is a name, got 7"),
        (lambda d: d.update(family=None), "family is a name, got None"),
        (lambda d: d.update(layouts={"y": "strided"}), "layouts are given for ['y']"),
        (lambda d: d["graph"].update(nodes=[]), "outputs are numbers of nodes below 0"),
        (lambda d: d["graph"].update(nodes=[], outputs=[]), "has one output, got 0"),
        (lambda d: d["graph"].update(outputs=[float("nan")]), "outputs are numbers of nodes below 3; got [nan]"),
        (lambda d: d["graph"].update(outputs=[True]), "outputs are numbers of nodes below 3; got [True]"),
        (lambda d: d["graph"]["nodes"][1].update(of=[float("nan")]), "node 1 of the graph cannot be read"),
        (lambda d: d["graph"]["nodes"][1].update(of=[False]), "node 1 of the graph cannot be read"),
        (lambda d: d["graph"]["nodes"].__setitem__(1, 7), "node 1 of the graph cannot be read"),
        (lambda d: d["inputs"]["x"].update(shape=[-1]), "a shape is a list of whole numbers from 0 on; got [-1]"),
        (lambda d: d["inputs"]["x"].update(shape=[1.0, 2.5]), "a shape is a list of whole numbers"),
        (lambda d: d["inputs"]["x"].update(shape=float("nan")), "a shape is a list of whole numbers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(change: Any, message: str) -> None:
    data = case()
    Case.from_dict(data)
    change(data)
    with pytest.raises(CaseFileError) as caught:
        Case.from_json(json.dumps(data))
    assert message in str(caught.value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16", "tf32"])
def test_numbers_of_the_format_fit_in_any_dtype_that_holds_them(dtype: str) -> None:
    data = case(dtype)
    least = {"float64": 5e-324, "bfloat16": 2.0**-133, "float16": 2.0**-24}.get(dtype, 2.0**-149)
    odd = {"dtype": "float64", "shape": [1, 2], "data": ["nan", least]}
    data["inputs"]["x"] = data["tangents"]["x"] = odd
    data["cotangent"] = {"dtype": "float64", "shape": [2, 1], "data": ["inf", -0.0]}
    Case.from_dict(data)


def test_a_single_op_may_be_asked_for_second_derivatives() -> None:
    assert Case.from_dict(case(order=2)).order == 2
