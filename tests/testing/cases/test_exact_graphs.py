"""Graphs that are exact at the operands of a case: rows of weights that are powers of two, means of so many numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import nn
from refgrad.formula import Formula
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.exact_graphs import exact_graph
from refgrad.testing.cases.grid import on_grid, rounds_nothing

FAR = 4096.0  # its exponential is 0 in long double, too
FORMATS = ("float64", "float32", "bfloat16", "float16")


def case(
    f: Callable[..., Any], *xs: Any, dtype: str = "bfloat16", weights: tuple[float, ...] = (1.0, -3.0, 2.0)
) -> Case:
    carrier = "float64" if dtype == "float64" else "float32"
    arrays = [np.asarray(x, carrier) for x in xs]
    graph = Graph.record(f, *arrays)
    given = dict(zip(graph.inputs, arrays, strict=True))
    like = {name: np.resize(weights, x.shape).astype(carrier) for name, x in given.items()}
    y = np.asarray(graph.forward(*arrays))
    return Case("graphs", graph, given, like, np.resize(weights, y.shape).astype(carrier), dtype)


def exact(given: Case) -> bool:
    nodes = given.graph.nodes
    others = [k for k, n in enumerate(nodes) if n.op is not None and not rounds_nothing(n.op.name)]
    assert others, "an op that rounds at some operands"
    return exact_graph(given, others)


@pytest.mark.parametrize("dtype", FORMATS)
def test_weights_that_are_powers_of_two_are_exact(dtype: str) -> None:
    row = [3 * FAR, -FAR, 3 * FAR, -FAR, -2 * FAR]
    assert exact(case(nn.softmax, row, dtype=dtype))
    assert exact(case(nn.log_softmax, row[1:], dtype=dtype))
    assert exact(case(nn.logsumexp, row[1:], dtype=dtype))
    # Two are largest.
    assert not exact(case(lambda x: nn.cross_entropy(x, np.array([1, 0])), [row[:3], row[:3]], dtype=dtype))
    assert exact(case(lambda x: nn.cross_entropy(x, np.array([1, 0])), [row[1:4], row[1:4]], dtype=dtype))


@pytest.mark.parametrize(
    "row", [[1.0, 2.0, 3.0], [FAR, FAR, FAR, 0.0], [FAR, FAR - 700.0, 0.0]], ids=["near", "three", "not far"]
)
@pytest.mark.parametrize("f", [nn.softmax, nn.log_softmax, nn.logsumexp])
def test_other_weights_are_not(f: Callable[..., Any], row: list[float]) -> None:
    assert not exact(case(f, row, dtype="float32"))


def test_a_logarithm_of_two_is_not() -> None:
    assert not exact(case(nn.logsumexp, [0.0, 0.0]))
    assert not exact(case(nn.log_softmax, [0.0, 0.0]))


def test_a_mean_is_exact_of_numbers_as_many_as_a_power_of_two() -> None:
    assert exact(case(np.mean, [1.0, 2.0, 4.0, 4.0]))
    assert not exact(case(np.mean, [1.0, 2.0, 3.0]))


def test_derivatives_have_to_be_exact_as_well() -> None:
    # 15 * 85 has more digits than bfloat16.
    assert not exact(case(lambda x: np.mean(x) * 85.0, [0.0, 3.0, 1.0, 4.0], weights=(15.0,)))
    assert exact(case(lambda x: np.mean(x) * 85.0, [0.0, 3.0, 1.0, 4.0], dtype="float32", weights=(15.0,)))
    assert not exact(case(lambda x: np.mean(np.abs(x)), [0.0, 3.0, 1.0, 4.0]))  # at the kink it is a set


def test_every_known_formula_has_to_be_exact(plant: Callable[..., None]) -> None:
    given = case(nn.softmax, [FAR, FAR, 0.0])
    assert exact(given)
    thirds = Formula("by thirds", function=lambda x, axis: np.exp(nn.log_softmax(x, axis=axis)) / 3.0 * 3.0)
    plant("softmax", usual=(thirds,))
    assert not exact(given)


def test_a_matrix_that_an_op_refuses_is_not_exact() -> None:
    given = case(np.linalg.inv, [[1.0, 0.0], [0.0, 1.0]], dtype="float32")
    for x in given.inputs.values():
        x[...] = 0.0
    assert not exact(given)


def test_such_cases_are_on_a_grid() -> None:
    assert on_grid(case(nn.softmax, [FAR, FAR, 0.0]))
    assert not on_grid(case(nn.softmax, [FAR, FAR, FAR]))
    assert not on_grid(case(nn.softmax, [FAR, FAR, 1.0]))  # too many digits for one grid
