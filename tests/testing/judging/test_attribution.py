"""An end-to-end disagreement names the op that is wrong, not the op of the output."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.graph import Graph
from refgrad.testing import Case, Observation, Verdict, judge
from refgrad.testing.judging.attribution import NO_OP, attribute
from refgrad.testing.judging.verdict import AGREE, DISAGREE
from refgrad.torch.observe import observe


def example() -> Case:
    """mean(exp(sin(x))): nodes 1 sin, 2 exp, 3 mean."""
    x = np.array([0.5, 1.0, -2.0])
    graph = Graph.record(lambda x: np.mean(np.exp(np.sin(x))), x)
    return Case("graphs", graph, {"x": x}, {"x": np.ones(3)}, np.float64(1.5), "float64")


def judged(seen: Observation) -> dict[str, Verdict]:
    return {v.mode: v for v in judge(example(), seen)}


def test_the_reverse_mode_node_by_node_names_the_op() -> None:
    seen = observe(example())
    for k in (0, 1):  # a wrong factor in what exp sends back, and in all that follows
        seen.cotangents[k] = 2 * seen.cotangents[k]
    verdicts = judged(seen)
    assert verdicts["reverse"].first_wrong == (1, "exp")
    end_to_end = verdicts["reverse end to end"]
    assert (end_to_end.status, end_to_end.first_wrong) == (DISAGREE, (1, "exp"))
    assert end_to_end.message.startswith(
        "reverse end to end: first wrong at op exp (node 1), float64 on cpu: gradient of input 'x'["
    )
    assert verdicts["forward end to end"].status == AGREE


def test_the_forward_mode_node_by_node_names_the_op() -> None:
    seen = observe(example())
    for k in (1, 2, 3):
        seen.tangents[k] = 2 * seen.tangents[k]
    verdicts = judged(seen)
    assert verdicts["forward"].first_wrong == (1, "sin")
    assert verdicts["forward end to end"].first_wrong == (1, "sin")
    assert "first wrong at op sin (node 1)" in verdicts["forward end to end"].message


def test_a_wrong_value_is_why_the_gradient_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """sin(x) + 1 has the derivative of sin: node by node the gradients are those of the framework's own values."""
    import torch

    right = torch.sin
    with monkeypatch.context() as patch:
        patch.setattr(torch, "sin", lambda x: right(x) + 1)
        seen = observe(example())
    verdicts = judged(seen)
    assert verdicts["value"].first_wrong == (1, "sin")
    for direction in ("reverse", "forward"):
        assert verdicts[direction].status == AGREE
        assert verdicts[f"{direction} end to end"].first_wrong == (1, "sin")


def test_without_a_wrong_node_no_op_is_named() -> None:
    said = (
        "reverse end to end: first wrong at op mean (node 0), float64 on cpu: gradient of input 'x': got 1.0"
    )
    end_to_end = Verdict("reverse end to end", DISAGREE, first_wrong=(0, "mean"), message=said)
    attribute(
        [
            Verdict("value"),
            Verdict("reverse"),
            Verdict("forward", DISAGREE, first_wrong=(1, "sin")),
            end_to_end,
        ]
    )
    assert end_to_end.first_wrong == NO_OP
    assert end_to_end.message == said.replace(
        "first wrong at op mean (node 0)", "no single node is found wrong"
    )
