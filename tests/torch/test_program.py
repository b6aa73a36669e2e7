"""A case's graph as a torch program: values, what every use sends back, layouts, and arrays both ways."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.graph import Graph  # noqa: E402
from refgrad.testing import Case  # noqa: E402
from refgrad.torch.program import Program, as_array, as_array_or_none, laid_out, tensor  # noqa: E402

CPU = torch.device("cpu")
X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def program(f, x=X, **more) -> Program:
    graph = Graph.record(f, x)
    y = np.asarray(graph.forward(x))
    return Program(
        Case("graphs", graph, {"x": x}, {"x": x}, np.ones(y.shape), "float64", **more), CPU, torch.float64
    )


def test_it_gives_the_value_of_every_node() -> None:
    p = program(lambda x: np.sum(np.sin(x) * 3.0, axis=0))
    values = p.run(p.leaves)
    graph = p.graph
    graph.forward(X)
    for k in graph.order():
        np.testing.assert_allclose(as_array(values[k]), graph.values[k], rtol=4 * np.finfo(float).eps)
    assert p.at == -1


def test_each_use_of_a_value_has_a_tensor_of_its_own_that_hears_its_gradient() -> None:
    p = program(lambda x: np.sum(np.sin(x) + x * x))
    values = p.run(p.leaves)
    y = values[p.graph.outputs[0]]
    users = sorted(p.uses)
    assert len(users) == 3  # sin, and both operands of the product
    sent = torch.autograd.grad(y, [p.uses[u] for u in users], retain_graph=True)
    (whole,) = torch.autograd.grad(y, [p.leaves["x"]])
    np.testing.assert_allclose(sum(as_array(t) for t in sent), as_array(whole), rtol=4 * np.finfo(float).eps)
    np.testing.assert_allclose(as_array(sent[0]), np.cos(X), rtol=4 * np.finfo(float).eps)


def test_where_it_stands_is_known_when_a_node_raises() -> None:
    p = program(lambda x: np.exp(np.sin(x)))
    place = next(k for k, node in enumerate(p.graph.nodes) if str(node) == "exp")
    with pytest.raises(TypeError):
        p.run({"x": "no tensor"})
    assert p.at == next(k for k, node in enumerate(p.graph.nodes) if str(node) == "sin") < place


@pytest.mark.parametrize(
    ("layout", "strides", "offset"),
    [("contiguous", (3, 1), 0), ("transposed", (1, 2), 4), ("strided", (6, 2), 1)],
)
def test_a_layout_changes_the_memory_and_no_element(
    layout: str, strides: tuple[int, ...], offset: int
) -> None:
    t = laid_out(tensor(X, CPU, torch.float64), layout)
    assert (t.stride(), t.storage_offset()) == (strides, offset)
    in_front = laid_out(tensor(X, CPU, torch.float64), layout, behind=False)
    assert (in_front.stride(), in_front.storage_offset()) == (strides, 0)
    row = laid_out(tensor(X[0], CPU, torch.float64), layout)
    assert bool(row.storage_offset()) == bool(offset)
    assert np.array_equal(as_array(row), X[0])
    assert np.array_equal(as_array(t), X)
    assert program(np.sin, layouts={"x": layout}).leaves["x"].stride() == strides
    assert program(np.sin, cotangent_layout=layout).cotangent.stride() == strides
    number = torch.tensor(1.0)
    assert laid_out(number, layout) is number


def test_an_expanded_cotangent_is_one_number_in_memory() -> None:
    t = laid_out(tensor(np.full((2, 3), 1.5), CPU, torch.float64), "expanded")
    assert (t.stride(), t.storage_offset()) == ((0, 0), 2)  # at an even place, for complex numbers
    assert np.array_equal(as_array(t), np.full((2, 3), 1.5))
    nothing = torch.zeros(0, 3)
    assert laid_out(nothing, "expanded") is nothing
    assert program(np.sin, cotangent_layout="expanded").cotangent.stride() == (0, 0)


def test_a_transposed_tensor_that_is_contiguous_has_its_usual_strides() -> None:
    """The stride of an axis of one element means nothing, and torch 2.8 wants it to be even of an array of complex numbers."""
    for x, strides, offset in (
        (X[:1, :2], (2, 1), 2),
        (X[:1].reshape(1, 1, 3), (3, 3, 1), 2),
        (X[:, :1], (1, 1), 4),
        (X.reshape(1, 2, 3), (1, 1, 2), 4),
    ):
        t = laid_out(tensor(x, CPU, torch.float64), "transposed")
        assert (t.stride(), t.storage_offset()) == (strides, offset)
        assert np.array_equal(as_array(t), x)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_arrays_are_cast_to_the_judged_dtype_and_come_back_in_float64(dtype: str) -> None:
    t = tensor(np.array([1.0, 1 / 3]), CPU, getattr(torch, dtype))
    assert t.dtype == getattr(torch, dtype)
    back = as_array(t)
    assert back.dtype == np.float64
    assert back[0] == 1
    assert back[1] == float(t[1])


def test_integers_stay_and_odd_memory_is_copied() -> None:
    assert tensor(np.array([1, 2]), CPU, torch.float32).dtype == torch.int64
    assert as_array(torch.tensor([True])).dtype == bool
    backwards = X[:, ::-1]
    backwards.flags.writeable = False
    assert np.array_equal(as_array(tensor(backwards, CPU, torch.float64)), backwards)
    assert as_array_or_none(None) is None
    assert np.array_equal(as_array(torch._efficientzerotensor((2,), dtype=torch.float32)), [0, 0])
