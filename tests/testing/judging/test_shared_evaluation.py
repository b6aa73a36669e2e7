"""Nodes of several cases evaluated together. tests/testing/runs/test_judgement.py compares their verdicts with those of single cases."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families import FAMILIES
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY
from refgrad.testing import Case, NodeByNode
from refgrad.testing.cases.source import Seeded
from refgrad.testing.judging import shared_evaluation
from refgrad.testing.judging.shared_evaluation import evaluate_together
from refgrad.torch.observe import observe
from refgrad.tracing.ball import parts


def judges(dtype: str, count: int) -> list[NodeByNode]:
    drawn = [FAMILIES["graphs"](Seeded([17, k]), dtype) for k in range(count)]
    return [NodeByNode(case, observe(case)) for case in drawn]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_results_equal_those_of_one_node_at_a_time(dtype: str) -> None:
    together = judges(dtype, 30)
    evaluate_together(together)
    compared = 0
    for one in together:
        alone = NodeByNode(one.case, one.seen)
        for k, y in one.recomputed.items():
            for a, b in zip(parts(y), parts(alone.recomputed_value(k)), strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(one.without_derivative[k], alone.missing(k))
            compared += 1
    assert compared > 30


def test_elementwise_nodes_are_evaluated_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    evaluate = shared_evaluation._Group.evaluate
    monkeypatch.setattr(
        shared_evaluation._Group,
        "evaluate",
        lambda group: sizes.append(len(group.questions)) or evaluate(group),
    )
    together = judges("float32", 40)
    evaluate_together(together)
    ops = [j.graph.nodes[k].op for j in together for k in j.order]
    assert sum(sizes) >= 0.9 * sum(op is not None and op.elementwise for op in ops)  # the others are large
    assert max(sizes) > 4


def test_nodes_of_other_parameters_or_constants_are_no_equals() -> None:
    def judge(slope: float, moving: bool) -> NodeByNode:
        graph = Graph()
        graph.outputs = (2,)
        op = REGISTRY["multiply"] if moving else REGISTRY["leaky_relu"]
        params = {} if moving else {"slope": slope}
        graph.nodes += [
            Node(name="a"),
            Node(name="b"),
            Node(op=op, of=(0, 1) if moving else (0,), params=params),
        ]
        x = {"a": np.array([-2.0, 3.0]), "b": np.array([0.5, -1.0]) if slope < 1 else np.array([2, 3])}
        case = Case("graphs", graph, x, dict(x), np.array([1.0, 2.0]), "float64")
        return NodeByNode(case, observe(case))

    together = [judge(slope, moving) for slope in (0.1, 0.2, 2.0) for moving in (False, True)]
    evaluate_together(together)
    for one in together:
        value, radius = parts(one.recomputed[2])
        expected, bound = parts(NodeByNode(one.case, one.seen).recomputed_value(2))
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(radius, bound)
