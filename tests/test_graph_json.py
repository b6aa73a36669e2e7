"""A graph as JSON: exact constants and parameters, strict text, and refusal of anything that is no graph."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from refgrad import Graph, grad, jacrev
from refgrad.errors import CaseFileError
from tests.small_graphs import A, built, identical, shape_of_graph

Array = Any


def hard(dtype: Any) -> Array:
    info = np.finfo(dtype)
    return np.array(
        [np.nan, np.inf, -np.inf, -0.0, 1 / 3, info.tiny, info.smallest_subnormal, info.max], dtype
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_json_keeps_constants_exactly(dtype: Any) -> None:
    g = Graph()
    g.input("x")
    g.output(g.constant(hard(dtype)))
    again = Graph.from_json(g.to_json())
    assert identical(again(A), hard(dtype))
    assert again.to_json() == g.to_json()


def test_json_keeps_parameters_exactly() -> None:
    index = np.array([[True, False, True], [False, True, True]])

    def f(x: Array) -> Array:
        parts = [
            x[0, ::-1],
            x[..., None][1, :, 0],
            x[:, np.newaxis, 1:][:, 0, 0],
            x[index],
            x[[0, 1], [2, 0]],
        ]
        return np.concatenate(
            [*parts, np.sum(x, axis=(0,)), np.sum(x, axis=-1, keepdims=True)[0], np.reshape(x, (6,))]
        )

    x = np.arange(6.0).reshape(2, 3) / 7
    g = Graph.record(f, x)
    again = Graph.from_json(g.to_json())
    assert identical(again(x), f(x))
    assert shape_of_graph(again) == shape_of_graph(g)
    assert np.array_equal(jacrev(again)(x), jacrev(f)(x))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_python_numbers_do_not_widen_after_json(dtype: Any) -> None:
    def f(x: Array) -> Array:
        return np.sum(x * 0.5 + 3 - 1 / (2 + x**2))

    x = A.astype(dtype)
    g = Graph.record(f, x)
    again = Graph.from_json(g.to_json())
    for graph in (g, again):
        assert identical(graph.forward(x), f(x))
        assert identical(graph.backward()["x"], grad(f)(x))


def test_json_is_strict_and_needs_no_data() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = json.loads(built().to_json(), parse_constant=refuse)
    assert data["schema"] == 1
    assert data["nodes"][:2] == [{"input": "a"}, {"input": "b"}]


def broken(change: Any) -> str:
    data = json.loads(built().to_json())
    change(data)
    return json.dumps(data)


def entry(k: int, **fields: Any) -> Any:
    return lambda data: data["nodes"][k].update(fields)


BROKEN: dict[str, tuple[Any, str]] = {
    "an unknown op": (
        entry(2, op="multply"),
        "node 2 of the graph cannot be read: op 'multply' is not known",
    ),
    "a later operand": (entry(2, of=[0, 5]), r"node 2 .* operands \(0, 5\) are not numbers of earlier nodes"),
    "itself as operand": (entry(2, of=[2, 0]), "node 2 .* not numbers of earlier nodes"),
    "a negative operand": (entry(2, of=[-1, 0]), "node 2 .* not numbers of earlier nodes"),
    "too few operands": (entry(2, of=[0]), r"node 2 .* op 'multiply' takes operands \('x1', 'x2'\), got 1"),
    "a strange parameter": (
        entry(2, **{"with": {"axis": 0}}),
        r"node 2 .* op 'multiply' has parameters \[\], got \['axis'\]",
    ),
    "a parameter that cannot be read": (
        entry(4, **{"with": {"key": {"strange": 1}}}),
        "node 4 .* a parameter is a number",
    ),
    "a broken constant": (
        lambda data: data["nodes"].__setitem__(5, {"constant": {"dtype": "float64"}}),
        "node 5 .* an array is an object with dtype",
    ),
    "a broken number": (entry(5, number="two"), "node 5 .* a number is expected, got 'two'"),
    "no node": (lambda data: data["nodes"].__setitem__(3, 7), "node 3 of the graph cannot be read"),
    "an empty node": (lambda data: data["nodes"].__setitem__(3, {}), "node 3 of the graph cannot be read"),
    "no name": (
        lambda data: data["nodes"].__setitem__(0, {"input": ""}),
        "node 0 of the graph cannot be read",
    ),
    "one name twice": (
        lambda data: data["nodes"].__setitem__(1, {"input": "a"}),
        r"inputs of a graph have different names; got \['a', 'a'\]",
    ),
    "an output that is not there": (
        lambda data: data.update(outputs=[99]),
        r"outputs are numbers of nodes below 9; got \[99\]",
    ),
    "no outputs": (lambda data: data.pop("outputs"), "outputs are numbers of nodes"),
    "another schema": (lambda data: data.update(schema=2), "a graph is an object with schema 1"),
    "no nodes": (lambda data: data.pop("nodes"), "a graph is an object with schema 1, nodes and outputs"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_a_graph_is_refused_by_name(name: str) -> None:
    change, message = BROKEN[name]
    with pytest.raises(CaseFileError, match=message):
        Graph.from_json(broken(change))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"'])
def test_what_is_not_even_an_object_is_refused(text: str) -> None:
    with pytest.raises(CaseFileError):
        Graph.from_json(text)
