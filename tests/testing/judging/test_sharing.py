"""Judges of modes that gave equal answers share what is computed from them, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import conformance.families  # noqa: F401  declares the functions
from refgrad.graph import Graph, Node
from refgrad.modes import FUNCTIONAL_REVERSE, RECORDED_REVERSE
from refgrad.op import FUNCTIONS
from refgrad.testing import Case, Observation, judge
from refgrad.testing.judging import alternative_formulas, node_by_node
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.sharing import share
from refgrad.torch.observe import observe

REVERSE_MODES = {"reverse", RECORDED_REVERSE, FUNCTIONAL_REVERSE}


def softplus() -> tuple[Case, Observation]:
    """A function whose record names further formulas, and what torch computed."""
    graph, x = Graph(), np.array([0.3, -1.2, 2.0])
    function = FUNCTIONS["nn.softplus"]
    graph.nodes += [Node(name="x"), Node(op=function, of=(0,), params={"beta": 1.0, "threshold": 20.0})]
    graph.outputs = (1,)
    case = Case(
        "functions", graph, {"x": x}, {"x": np.ones(3)}, np.array([1.0, -2.0, 0.5]), "float64", order=2
    )
    return case, observe(case)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, count: Counter[str]) -> None:
    function: Callable[..., Any] = getattr(module, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        count[name] += 1
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, call)


def evaluations(
    monkeypatch: pytest.MonkeyPatch, case: Case, seen: Observation
) -> tuple[Counter[str], set[str]]:
    """How often bounds of other formulas were computed, and the modes that are wrong."""
    count: Counter[str] = Counter()
    with monkeypatch.context() as patch:
        counted(patch, alternative_formulas, "of_sent", count)
        counted(patch, node_by_node, "hidden_formula", count)
        wrong = {v.mode for v in judge(case, seen) if v.status == "disagree"}
    return count, wrong


def test_equal_answers_of_three_modes_take_one_evaluation_of_the_other_formulas(monkeypatch) -> None:
    case, seen = softplus()
    doubled = [2 * seen.cotangents[0]]
    seen.cotangents = [doubled[0], *seen.cotangents[1:]]
    for mode in (RECORDED_REVERSE, FUNCTIONAL_REVERSE):
        seen.modes.answers[mode] = doubled
    count, wrong = evaluations(monkeypatch, case, seen)
    assert wrong >= REVERSE_MODES
    assert count == {"of_sent": 1, "hidden_formula": 1}


def test_judges_of_other_values_and_of_other_cotangents_share_nothing_of_them() -> None:
    case, seen = softplus()
    judged = NodeByNode(case, seen)
    judged.reverse()
    of_values = NodeByNode(case, replace(seen, values=[np.array(x) for x in seen.values]))
    share(of_values, judged)
    assert not of_values.contributions
    assert of_values.hidden_formulas is not judged.hidden_formulas
    of_cotangents = NodeByNode(case, replace(seen, cotangents=[seen.cotangents[0], 2 * case.cotangent]))
    share(of_cotangents, judged)
    assert of_cotangents.hidden_formulas is judged.hidden_formulas
    assert not of_cotangents.contributions
    assert not of_cotangents.bounds_of_sent
