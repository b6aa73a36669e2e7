"""A graph as a value: built or recorded, run, differentiated, pruned, written as JSON and read back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from refgrad import Graph, grad, hessian, jacfwd, jacrev, jvp, vjp
from refgrad.errors import CaseFileError, DtypeError, GraphError, RefgradError
from refgrad.graph import Symbol

Array = Any
A, B = np.array([0.5, -1.0, 2.0]), np.array([3.0, 0.25, -2.0])


def f(a: Array, b: Array) -> Array:
    return np.sum(np.tanh(a * b) + 2.0 * a[::-1])


def built() -> Graph:
    g = Graph()
    a, b = g.input("a"), g.input("b")
    return g.output(np.sum(np.tanh(a * b) + 2.0 * a[::-1]))


def recorded() -> Graph:
    return Graph.record(f, A, B)


def shape_of_graph(g: Graph) -> list[Any]:
    return [(str(n), n.of, sorted(n.params)) for n in g.nodes]


def identical(x: Array, y: Array) -> bool:
    return (
        x.dtype == y.dtype
        and x.shape == y.shape
        and np.array_equal(x, y, equal_nan=True)
        and np.array_equal(np.signbit(x), np.signbit(y))
    )


# --- building and recording ------------------------------------------------------------------------------------------------


def test_a_built_and_a_recorded_graph_are_equal() -> None:
    assert shape_of_graph(built()) == shape_of_graph(recorded())
    assert built().outputs == recorded().outputs
    assert json.loads(built().to_json()) == json.loads(recorded().to_json())


@pytest.mark.parametrize("make", [built, recorded])
def test_forward_keeps_every_value_and_backward_every_gradient(make: Any) -> None:
    g = make()
    assert g.forward(a=A, b=B) == f(A, B)
    assert [None if v is None else np.shape(v) for v in g.values] == [
        (3,),
        (3,),
        (3,),
        (3,),
        (3,),
        (),
        (3,),
        (3,),
        (),
    ]
    gradients = g.backward()
    a_bar, b_bar = grad(f, argnums=(0, 1))(A, B)
    assert np.array_equal(gradients["a"], a_bar)
    assert np.array_equal(gradients["b"], b_bar)
    assert g.cotangents[g.outputs[0]] == 1.0
    assert np.array_equal(g.cotangents[2], 1 / np.cosh(A * B) / np.cosh(A * B))


def test_inputs_are_named_after_parameters_and_places() -> None:
    g = Graph.record(lambda p, x: p["w"][0] * x + p["b"], {"w": [A], "b": B}, A)
    assert list(g.inputs) == ["p['w'][0]", "p['b']", "x"]
    assert np.array_equal(g({"p['w'][0]": A, "p['b']": B, "x": B}), A * B + B)


def test_what_is_no_number_cannot_be_recorded() -> None:
    with pytest.raises(
        DtypeError,
        match=r"Graph\.record: p\['n'\] is 'text' of dtype .*Keep everything else out of the arguments",
    ):
        Graph.record(lambda p: p["w"], {"w": A, "n": "text"})
    with pytest.raises(DtypeError, match=r"Graph\.record: what f returned is None"):
        Graph.record(lambda x: None, A)
    with pytest.raises(DtypeError, match=r"Graph\.record: what f returned is 'text'"):
        Graph.record(lambda x: [x, "text"], A)


def test_a_builtin_without_signature_is_recorded_too() -> None:
    assert np.array_equal(Graph.record(np.add, A, B)(A, B), A + B)


def test_branches_are_recorded_as_taken() -> None:
    g = Graph.record(lambda x: x * 2 if x > 0 else x * 3, np.float64(1.0))
    assert g(-1.0) == -2.0


def test_several_outputs() -> None:
    g = Graph.record(lambda x: (x * 2, [np.sum(x)]), A)
    double, total = g.forward(A)
    assert np.array_equal(double, 2 * A)
    assert total == A.sum()
    assert np.array_equal(g.backward(np.ones(3), 10.0)["x"], np.full(3, 12.0))


def test_shapes_may_be_declared_before_data() -> None:
    g = Graph()
    x = g.input("x", shape=(2, 3))
    g.output(np.mean(x, axis=1) * x.shape[1])
    assert np.array_equal(g(np.arange(6.0).reshape(2, 3)), [3.0, 12.0])


def test_constants() -> None:
    g = Graph()
    x = g.input("x")
    g.output(x * g.constant(B) + 1)
    assert np.array_equal(g(A), A * B + 1)
    assert sum(str(n) == "constant" for n in g.nodes) == 2


# --- fan-out and pruning ---------------------------------------------------------------------------------------------------


def test_fan_out_sums_gradients() -> None:
    g = Graph()
    x = g.input("x")
    y = x * x
    g.output(np.sum(y + y * x + x))
    g.forward(A)
    assert np.allclose(g.backward()["x"], 2 * A + 3 * A**2 + 1, rtol=1e-15)


def test_one_node_as_several_outputs() -> None:
    g = Graph()
    x = g.input("x")
    g.output(x, x)
    g.forward(A)
    assert np.array_equal(g.backward(np.ones(3), np.full(3, 10.0))["x"], np.full(3, 11.0))


def test_branches_that_lead_nowhere_are_left_out() -> None:
    g = Graph()
    x, unused = g.input("x"), g.input("unused")
    used = np.sum(x * 2.0)
    np.log(unused - 100.0)  # would warn, and be NaN
    g.output(used)
    assert len(g.order()) == 4
    g.forward(A, B)
    assert [str(n) for n, v in zip(g.nodes, g.values, strict=True) if v is None] == [
        "constant",
        "subtract",
        "log",
    ]
    assert np.array_equal(g.backward()["unused"], np.zeros(3))
    small = g.pruned()
    assert len(small.nodes) == 5  # the used ones, and the unused input: the signature stays
    assert list(small.inputs) == ["x", "unused"]
    assert small.forward(A, B) == g(A, B)
    assert np.array_equal(small.backward()["x"], np.full(3, 2.0))
    assert len(g.nodes) > 5


def test_operands_come_before_users() -> None:
    g = built()
    order = g.order()
    assert order == sorted(order)
    assert all(j < k for k in order for j in g.nodes[k].of)


# --- a graph is a function -------------------------------------------------------------------------------------------------


def test_a_graph_is_differentiated_like_any_function() -> None:
    g = built()
    for argnum in (0, 1):
        assert np.array_equal(grad(g, argnum)(A, B), grad(f, argnum)(A, B))
        assert np.array_equal(jacfwd(g, argnum)(A, B), jacfwd(f, argnum)(A, B))
        assert np.array_equal(jacrev(g, argnum)(A, B), jacrev(f, argnum)(A, B))
    assert jvp(g, (A, B), (B, A)) == jvp(f, (A, B), (B, A))
    assert np.array_equal(hessian(g)(A, B), hessian(f)(A, B))
    assert np.array_equal(vjp(g, A, B)[1](2.0)[0], vjp(f, A, B)[1](2.0)[0])


def test_backward_may_itself_be_differentiated() -> None:
    def gradient(x: Array) -> Array:
        g = built()
        g.forward(x, B)
        return g.backward()["a"]

    assert np.allclose(jacfwd(gradient)(A), hessian(f)(A, B), rtol=1e-14, atol=1e-16)


def test_a_graph_may_be_recorded_inside_a_transformation() -> None:
    assert grad(lambda x: Graph.record(lambda y: y * y * x, x)(x))(2.0) == 12.0


# --- wrong use -------------------------------------------------------------------------------------------------------------


def test_binding_errors_name_the_inputs() -> None:
    g = built()
    for call, message in [
        (lambda: g(A), r"inputs \['b'\] have no value"),
        (lambda: g(A, B, A), r"has 2 inputs \['a', 'b'\], got 3 values"),
        (lambda: g(A, B, c=A), r"\['c'\] bound twice or not inputs of this graph"),
        (lambda: g(A, a=A), r"\['a'\] bound twice"),
        (g.backward, r"call g.forward\(...\) first"),
        (lambda: g.input("a"), "has an input named 'a' already"),
        (lambda: g.input(""), "an input has a name, got ''"),
        (lambda: g.output(3), "an output is a node of this graph, got 3"),
        (lambda: Graph().forward(), "the graph has no output yet"),
    ]:
        with pytest.raises(GraphError, match=message):
            call()


def test_a_constant_output() -> None:
    g = Graph.record(lambda x: 3.0, A)
    assert g.forward(A) == 3.0
    assert np.array_equal(g.backward()["x"], np.zeros(3))


def test_cotangents_take_the_dtype_of_their_value() -> None:
    g = Graph.record(lambda x: x * 2, A.astype(np.float32))
    g.forward(A.astype(np.float32))
    assert g.backward(np.ones(3))["x"].dtype == np.float32


def test_cotangents_fit_the_outputs() -> None:
    g = Graph.record(lambda x: x * 2, A)
    g.forward(A)
    with pytest.raises(GraphError, match=r"output node 2 has shape \(3,\): pass a cotangent of that shape"):
        g.backward()
    with pytest.raises(GraphError, match=r"1 outputs, got 2 cotangents"):
        g.backward(A, A)
    with pytest.raises(GraphError, match=r"has shape \(2,\), its value has \(3,\)"):
        g.backward(A[:2])


def test_nodes_of_two_graphs_do_not_mix() -> None:
    g, h = Graph(), Graph()
    with pytest.raises(GraphError, match="belongs to another graph"):
        g.input("x") + h.input("y")


def test_a_symbol_without_data_has_no_truth_and_no_shape() -> None:
    x = Graph().input("x")
    assert isinstance(x, Symbol)
    for ask in (lambda: bool(x > 0), lambda: x.shape, lambda: x.dtype, lambda: len(x)):
        with pytest.raises(GraphError, match="once data is bound"):
            ask()


# --- JSON ------------------------------------------------------------------------------------------------------------------


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


def test_every_error_is_one_of_refgrads() -> None:
    assert issubclass(GraphError, RefgradError)
    assert issubclass(CaseFileError, RefgradError)


def test_whole_numbers_have_no_gradient() -> None:
    g = Graph()
    g.output(g.input("a") * 2)
    g.forward(a=3)
    with pytest.raises(DtypeError, match=r"output node 2 has dtype int64, .* g.forward\(x=3.0\)"):
        g.backward()
    g.forward(a=3.0)
    assert g.backward() == {"a": 2.0}
