"""Cases on a grid: which ops round nothing there, which cases are there, and that ties and kinks are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refgrad.bounds import exactness
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing.cases import exact_calls
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.grid import _short, exact_at, on_grid, rounds_nothing


def case(f: Any, x: Any, dtype: str = "bfloat16", weight: float = 1.0) -> Case:
    x = np.asarray(x, "float64" if dtype == "float64" else "float32")
    graph = Graph.record(f, x)
    y = np.asarray(graph.forward(x))
    return Case("graphs", graph, {"x": x}, {"x": np.full_like(x, weight)}, np.full_like(y, weight), dtype)


@pytest.mark.parametrize(
    "name",
    ["add", "subtract", "multiply", "negative", "square", "abs", "maximum", "where", "relu", "matmul", "sum", "cumsum", "fan_in",
     "einsum", "tensordot", "reshape", "getitem", "sort", "clip", "max", "floor"],
)  # fmt: skip
def test_sums_products_selections_and_moves_round_nothing(name: str) -> None:
    assert rounds_nothing(name)


@pytest.mark.parametrize(
    "name",
    ["exp", "sqrt", "log", "sin", "reciprocal", "power", "prod", "cumprod", "softmax", "hypot", "var", "norm", "copysign", "leaky_relu",
     "mean", "det", "inv", "solve", "remainder"],
)  # fmt: skip
def test_functions_roots_and_what_other_formulas_may_round_do_not_count(name: str) -> None:
    assert not rounds_nothing(name)


def test_a_case_is_on_a_grid_by_its_ops_and_by_its_numbers() -> None:
    assert on_grid(case(lambda x: 3.0 * x * x, [1.0, -3.0]))
    assert on_grid(case(lambda x: 3.0 * x * x, [0.25, -0.75]))
    assert on_grid(case(lambda x: x + 1.0, np.zeros(3)))
    assert not on_grid(case(np.exp, [1.0, -3.0]))
    assert not on_grid(case(lambda x: x * x, [1.0, -33.0]))  # too many digits for a product in bfloat16
    assert on_grid(case(lambda x: x * x, [1.0, -33.0], "float32"))
    assert not on_grid(case(lambda x: x * x, [1.0, 1.0 / 3], "float32"))
    assert not on_grid(case(lambda x: x * x, [1.0 / 3, 1.0], "float32"))
    assert not on_grid(case(lambda x: x * x, [1.0, np.inf]))
    assert not on_grid(case(lambda x: x * x, [1.0, 2.0], weight=1.0 / 3))
    assert not on_grid(case(lambda x: x * (1.0 / 3), [1.0, 2.0], "float64"))  # nor is a constant
    given = case(lambda x: x + x, [1.0, 2.0], "float32")
    assert not on_grid(replace(given, cotangent=np.full(2, 0.1, np.float32)))


def test_ties_kinks_and_rounding_are_told_at_the_operands() -> None:
    def exact(name: str, *xs: Any, **params: Any) -> bool:
        op = REGISTRY[name]
        node = Node(op=op, of=tuple(range(len(xs))), params={**op.signature.defaults, **params})
        operands = [np.asarray(x, float) for x in xs]
        return exact_at(node, operands, np.asarray(node.applied(operands)), "bfloat16")

    assert exact("maximum", [1.0, 2.0], [2.0, 1.0])
    assert not exact("maximum", [1.0, 2.0], [2.0, 2.0])
    assert exact("max", [1.0, 3.0, 2.0])
    assert not exact("max", [1.0, 3.0, 3.0])
    assert not exact("max", [3.0, 3.0, 3.0])
    assert exact("relu", [1.0, -3.0])
    assert not exact("relu", [1.0, 0.0])
    assert exact("sort", [1.0, 3.0, 2.0])
    assert exact("divide", [3.0], [4.0])
    assert not exact("divide", [4.0], [3.0])
    assert exact("add", [128.0], [127.0])
    assert not exact("add", [256.0], [1.0])
    assert exact("mean", [1.0, 2.0, 4.0, 4.0])
    assert not exact("mean", [1.0, 2.0, 3.0])
    assert exact("floor", [1.5])


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_an_array_is_short_where_its_largest_element_is_a_short_multiple_of_its_unit(dtype: str) -> None:
    fmt, rng, found = FORMATS[dtype], np.random.default_rng(3), [0, 0]
    most = 2 ** (fmt.bits // 2)
    for _ in range(400):
        x = rng.integers(-most - 1, most + 2, rng.integers(0, 4)) * 2.0 ** rng.integers(-1070, 900)
        if rng.random() < 0.3:  # of very different sizes: a small one must not be lost
            x = np.append(x * 2.0**60, rng.choice([0.0, 1e-300, 2.0**-1074, np.inf, np.nan]))
        first = x.size < 2 or exactness.unit(x[:1]) * most >= abs(x[0])
        top = np.max(np.abs(x), initial=0.0)
        expected = bool(first and top < np.inf and top <= most * exactness.unit(x))
        assert _short(x, fmt) == expected
        found[expected] += 1
    assert min(found) > 40


def test_a_call_is_looked_at_once_and_another_one_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(x: list[float]) -> Case:
        loss, graph = FUNCTIONS["nn.mse_loss"], Graph()
        graph.nodes += [Node(name="input"), Node(name="target")]
        graph.nodes += [Node(op=loss, of=(0, 1), params=loss.completed({}, 2))]
        graph.outputs = (2,)
        inputs = {"input": np.asarray(x, np.float32), "target": np.ones(len(x), np.float32)}
        return Case("functions", graph, inputs, dict(inputs), np.ones((), np.float32), "float32")

    assert exact_calls.rounds_nothing("nn.mse_loss")  # which asks, and remembers
    asked: list[Any] = []
    right = exact_calls.exact_call
    monkeypatch.setattr(exact_calls, "exact_call", lambda *given: asked.append(given) or right(*given))
    first, second = call([1.0, 3.0, 2.0, 5.0]), call([1.0, 3.0, 2.0])  # the second is a mean over three
    assert [on_grid(first), on_grid(first), on_grid(second), on_grid(first)] == [True, True, False, True]
    assert len(asked) == 3
