"""End-to-end judgement: agreement of both modes, wrong numbers, and missing gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import jvp, nn, vjp
from refgrad.graph import Graph
from refgrad.modes import FORWARD_END_TO_END, REVERSE_END_TO_END, VALUE
from refgrad.testing import Case, Observation
from refgrad.testing.judging.end_to_end import judge_end_to_end, judge_fused
from refgrad.testing.judging.observation import NoAnswer

X, W = np.array([0.5, -1.0, 2.0]), np.array([1.0, 3.0, -2.0])
X_DOT, W_DOT, Y_BAR = np.array([1.0, 0.5, 2.0]), np.array([0.0, 1.0, 1.0]), np.array(1.5)
# A product of the first two overflows, and infinity times 0 is NaN.
SCALES = np.array([2.0**600, 2.0**600, 0.0])
GRAPH = Graph.record(lambda x, w: np.sin(x) @ w, X, W)
OUTPUT = GRAPH.outputs[0]


def case(graph: Graph = GRAPH) -> Case:
    return Case("graphs", graph, {"x": X, "w": W}, {"x": X_DOT, "w": W_DOT}, Y_BAR, "float64")


def observed(graph: Graph = GRAPH) -> Observation:
    """What a framework that is right would say of inputs and output."""
    n = len(graph.nodes)
    values, cotangents, tangents = ([None] * n for _ in range(3))
    graph.forward(X, W)
    values = [np.asarray(v) for v in graph.values]
    for k, x_bar in zip(graph.inputs.values(), vjp(graph, X, W)[1](Y_BAR), strict=True):
        cotangents[k] = x_bar
    tangents[graph.outputs[0]] = jvp(graph, (X, W), (X_DOT, W_DOT))[1]
    return Observation(values, cotangents, tangents, {}, {})


def statuses(seen: Observation, graph: Graph = GRAPH) -> dict[str, str]:
    return {v.mode: v.status for v in judge_end_to_end(case(graph), seen)}


def test_right_numbers_agree_and_all_are_compared() -> None:
    reverse, forward = judge_end_to_end(case(), observed())
    assert (reverse.mode, reverse.status, reverse.elements) == (REVERSE_END_TO_END, "agree", 6)
    assert (forward.mode, forward.status, forward.elements) == (FORWARD_END_TO_END, "agree", 1)


@pytest.mark.parametrize(
    "change", [lambda x: -x, lambda x: x * (1 + 1e-12), lambda x: x[::-1].copy(), lambda x: None]
)
def test_a_wrong_gradient_is_a_disagreement_of_reverse_mode_alone(change) -> None:
    seen = observed()
    seen.cotangents[0] = change(seen.cotangents[0])
    assert statuses(seen) == {REVERSE_END_TO_END: "disagree", FORWARD_END_TO_END: "agree"}


@pytest.mark.parametrize("change", [lambda y: -y, lambda y: y * (1 + 1e-12), lambda y: None])
def test_a_wrong_tangent_is_a_disagreement_of_forward_mode_alone(change) -> None:
    seen = observed()
    seen.tangents[OUTPUT] = change(seen.tangents[OUTPUT])
    verdicts = judge_end_to_end(case(), seen)
    assert [v.status for v in verdicts] == ["agree", "disagree"]
    assert verdicts[1].first_wrong == (OUTPUT, "matmul")


def test_where_no_gradient_is_due_none_has_to_come() -> None:
    graph = Graph.record(lambda x, w: np.sin(x) @ np.sign(w), X, W)
    seen = observed(graph)
    seen.cotangents[graph.inputs["w"]] = None
    assert statuses(seen, graph)[REVERSE_END_TO_END] == "agree"


def test_a_mode_that_was_refused_is_unsupported() -> None:
    seen = observed()
    seen.unavailable["forward"] = NoAnswer("no forward mode")
    assert statuses(seen) == {REVERSE_END_TO_END: "agree", FORWARD_END_TO_END: "unsupported"}


@pytest.mark.parametrize("change", [lambda y: -y, lambda y: y * (1 + 1e-12), lambda y: None])
def test_of_a_fused_backend_the_value_of_the_output_is_judged(change) -> None:
    seen = observed()
    assert [(v.mode, v.status) for v in judge_fused(case(), seen)] == [
        (VALUE, "agree"), (REVERSE_END_TO_END, "agree"), (FORWARD_END_TO_END, "agree")
    ]  # fmt: skip
    seen.values[OUTPUT] = change(seen.values[OUTPUT])
    value, reverse, forward = judge_fused(case(), seen)
    assert [value.status, reverse.status, forward.status] == ["disagree", "agree", "agree"]
    assert value.first_wrong == (OUTPUT, "matmul")


def test_hidden_values_do_not_hinder_the_judge() -> None:
    seen = observed()
    seen.tangents[OUTPUT] = -seen.tangents[OUTPUT]
    seen.values = [v if k == OUTPUT else None for k, v in enumerate(seen.values)]
    assert [v.status for v in judge_fused(case(), seen)] == ["agree", "agree", "disagree"]


@pytest.mark.parametrize("got", [np.nan, -0.0, 3.0])
def test_what_depends_on_a_value_that_is_nan_is_not_judged_and_the_rest_is(got: float) -> None:
    """silu is NaN at -infinity, and has no derivative there: where a cotangent of 0 arrives, too."""
    x, y_bar = np.array([-np.inf, 0.5, -np.inf]), np.array([0.0, 1.0, 2.0])
    graph = Graph.record(nn.silu, x)
    at, slope = Case("graphs", graph, {"x": x}, {"x": y_bar}, y_bar, "float64"), vjp(nn.silu, x[1])[1](1.0)[0]
    for wrong in (False, True):
        seen = Observation([None] * 2, [None] * 2, [None] * 2, {}, {})
        seen.cotangents[0] = seen.tangents[1] = np.array([got, slope + wrong, np.nan])
        for v in judge_end_to_end(at, seen):
            assert v.status == ("disagree" if wrong else "agree"), v.message
            assert all(e.element == (1,) for e in v.wrong)


def signed(inner: Callable[[Any], Any], gradients: list[Any]) -> str:
    """The status of these gradients of sin(x) with the sign of a function of w."""
    graph = Graph.record(lambda x, w: np.copysign(np.sin(x), inner(w)) @ np.ones(3), X, W)
    at = Case("graphs", graph, {"x": X, "w": W}, {"x": X_DOT, "w": W_DOT}, Y_BAR, "float64")
    seen = Observation(*[[None] * len(graph.nodes) for _ in range(3)], {}, {})
    seen.cotangents[:2] = gradients
    return judge_end_to_end(at, seen)[0].status


def test_zeros_for_a_value_that_may_be_nan_may_come_back_as_nan() -> None:
    """copysign has no derivative by its sign. A framework sends zeros there, and zero times NaN is NaN."""
    unknown = np.full(3, np.nan)
    any_sign = np.zeros(3)
    assert signed(lambda w: np.prod(w * SCALES) * np.ones(3), [any_sign, unknown]) != "disagree"
    for inner in (lambda w: w, lambda w: np.prod(w) * np.ones(3)):  # no NaN comes of these
        slope = Y_BAR * np.copysign(1.0, inner(W)) * np.sign(np.sin(X)) * np.cos(X)
        assert signed(inner, [slope, np.zeros(3)]) == "agree"
        assert signed(inner, [slope, unknown]) == "disagree"


@pytest.mark.parametrize("got", [0.0, 1.0])
def test_a_gradient_where_no_derivative_arrives_is_zero(got: float) -> None:
    graph = Graph.record(lambda x, w: np.sum(np.sin(x)), X, W)
    at = Case("graphs", graph, {"x": X, "w": W}, {"x": X_DOT, "w": W_DOT}, Y_BAR, "float64")
    n = len(graph.nodes)
    seen = Observation([None] * n, [None] * n, [None] * n, {}, {})
    seen.cotangents[:2] = [np.cos(X) * Y_BAR, np.array([0.0, got, 0.0])]
    reverse = judge_end_to_end(at, seen)[0]
    assert (reverse.status, [e.element for e in reverse.wrong]) == (
        ("disagree", [(1,)]) if got else ("agree", [])
    )


@pytest.mark.parametrize(("x", "status"), [(65504.0, "undecided"), (200.0, "disagree")])
def test_a_gradient_may_overflow_where_the_value_does(x: float, status: str) -> None:
    """2 x exceeds the range of float16 before the small cotangent is multiplied."""
    given = np.array([x])
    graph = Graph.record(np.square, given)
    (name,) = graph.inputs
    asked = Case("graphs", graph, {name: given}, {name: given}, np.array([2.0**-6]), "float16")
    seen = Observation([given, given * given], [np.array([np.inf]), asked.cotangent], [given, None], {}, {})
    reverse = judge_end_to_end(asked, seen)[0]
    assert reverse.status == status, reverse.message
