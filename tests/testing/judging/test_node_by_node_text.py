"""The printed case: every node with its judgement, and a mark at the first wrong one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.node_by_node_text import trace
from refgrad.testing.judging.observation import Observation
from refgrad.torch.observe import observe


def a_case() -> Case:
    x = np.array([0.5, 1.5])
    graph = Graph.record(lambda a, b: np.exp(np.sin(a) * b) + a, x, x)
    return Case("graphs", graph, {"a": x, "b": x + 1}, {"a": x, "b": x}, x, "float64")


def changed(seen: Observation, part: str, key: object) -> Observation:
    arrays = getattr(seen, part).copy()
    arrays[key] = arrays[key] + 1.0
    return replace(seen, **{part: arrays})


def test_every_node_is_there_and_nothing_is_marked_where_all_agrees() -> None:
    case = a_case()
    lines = trace(case, observe(case))
    assert [line.split("  ")[1] for line in lines if line.startswith("node")] == [
        str(n) if n.op is None and not n.name else f"input {n.name!r}" if n.op is None else f"{n.op.name} of {', '.join(map(str, n.of))}"
        for n in (case.graph.nodes[k] for k in case.graph.order())
    ]  # fmt: skip
    assert not any("WRONG" in line for line in lines)
    assert sum("expected" in line for line in lines) >= 12
    assert any("sends [0]" in line for line in lines)  # input a has two users


@pytest.mark.parametrize("part", ["values", "tangents", "cotangents"])
def test_the_first_wrong_array_is_marked(part: str) -> None:
    case = a_case()
    node = next(k for k in case.graph.order() if getattr(case.graph.nodes[k].op, "name", "") == "multiply")
    lines = trace(case, changed(observe(case), part, node))
    marked = [k for k, line in enumerate(lines) if "<- FIRST WRONG" in line]
    assert len(marked) == 1 or part == "values"  # of wrong values everything downstream is wrong, too
    assert (
        lines[marked[0]].split()[0]
        == {"values": "value", "tangents": "tangent", "cotangents": "gradient"}[part]
    )
    at = max(k for k in range(marked[0]) if lines[k].startswith("node"))
    assert lines[at].startswith(f"node {node} ")


def test_what_a_user_sends_is_marked_at_the_user() -> None:
    case = a_case()
    seen = observe(case)
    key = next(iter(seen.parts))
    [marked] = [line for line in trace(case, changed(seen, "parts", key)) if "<- FIRST WRONG" in line]
    assert marked.startswith(f"  sends [{key[1]}]")
