"""Nodes of several cases evaluated together. tests/testing/runs/test_judgement.py compares their verdicts with those of single cases."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families import FAMILIES
from refgrad.testing import NodeByNode
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
