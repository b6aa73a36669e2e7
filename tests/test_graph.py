"""A graph as a value: built or recorded, run, differentiated, pruned, written as JSON and read back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from refgrad import Graph, grad, hessian, jacfwd, jacrev, jvp, vjp
from refgrad.errors import CaseFileError, DtypeError, GraphError, RefgradError
from refgrad.graph import Symbol
from tests.small_graphs import A, B, built, f, recorded, shape_of_graph

Array = Any


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
