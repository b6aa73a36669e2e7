"""JAX's worker: values of programs, of which it compiles none besides those that gradients are taken of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import backends
from refgrad.backends.shipped import SHIPPED, variable, version
from refgrad.graph import Graph
from refgrad.testing import judge
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import AGREE

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.75], [1.5, 2.5, -2.0]])


@pytest.fixture(scope="module")
def jax() -> Any:
    if not version("jax"):
        pytest.skip(
            f"{SHIPPED['jax'].distribution} is not in this Python; {variable('jax')} names one that has it"
        )
    backend = backends.load("jax")
    yield backend
    backend.suspend()


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "several ops": lambda x: np.sum(np.sin(x) * 2.0, axis=0),
    "a determinant, whose value under differentiation is another": lambda x: np.exp(np.linalg.det(x)),
    "nothing to differentiate": lambda x: np.sign(x) + np.floor(x),
    "one op": np.sin,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_node_has_a_value_and_both_derivatives(jax: Any, name: str) -> None:
    graph = Graph.record(PROGRAMS[name], X)
    shape = np.shape(PROGRAMS[name](X))
    [operand] = graph.inputs
    rng = np.random.default_rng(0)
    case = Case(
        "graphs",
        graph,
        {operand: X},
        {operand: rng.standard_normal(X.shape)},
        rng.standard_normal(shape),
        "float64",
    )
    seen = jax.judged(case)
    assert not seen.unavailable
    given = [k for k, node in enumerate(graph.nodes) if node.op is not None or node.name]
    assert all(seen.values[k] is not None and seen.values[k].shape is not None for k in given)
    found = {v.mode: v.status for v in judge(case, seen)}
    assert {*found.values()} == {AGREE}, found
    assert len(found) == 5


def test_a_program_that_fails_names_the_node(jax: Any) -> None:
    """A matrix product of shapes that do not fit, which no case of the suite has."""
    graph = Graph.record(lambda a, b: np.tanh(a) @ b, X, X)
    ones = np.ones((3, 3))
    a, b = graph.inputs
    case = Case("graphs", graph, {a: X, b: X[:2]}, {a: ones, b: ones[:2]}, ones, "float64")
    assert "dot" in str(jax.judged(case).unavailable).lower()
