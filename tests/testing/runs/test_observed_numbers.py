"""The excerpt of an observation that travels with a failing result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.bounds.profiles import CPU
from refgrad.graph import Graph
from refgrad.records import Numbers, Observed
from refgrad.testing import judge
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.end_to_end import judge_fused
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import Verdict
from refgrad.testing.runs.item import examine
from refgrad.testing.runs.observed_numbers import MOST_ELEMENTS, MOST_NODES, OF_LARGE, observed
from refgrad.torch.observe import observe


def case_of(f: Any, *xs: np.ndarray, order: int = 1) -> Case:
    graph, rng = Graph.record(f, *xs), np.random.default_rng(5)
    inputs = dict(zip(graph.inputs, xs, strict=True))
    tangents = {name: rng.standard_normal(x.shape) for name, x in inputs.items()}
    return Case(
        "graphs",
        graph,
        inputs,
        tangents,
        rng.standard_normal(np.shape(graph(inputs))),
        "float64",
        order=order,
    )


def changed(seen: Observation, part: str, key: Any, by: float = 0.5) -> Observation:
    arrays = dict(getattr(seen, part)) if part == "parts" else list(getattr(seen, part))
    arrays[key] = arrays[key] + by
    return replace(seen, **{part: arrays})


def excerpts(case: Case, seen: Observation) -> dict[str, Observed]:
    return {v.mode: observed(case, seen, v) for v in judge(case, seen) if v.evidence is not None}


def wrong(found: Observed) -> list[tuple[int, str]]:
    return [(k, n.part) for k, arrays in found.nodes.items() for n in arrays if n.wrong]


def array(found: Observed, k: int, part: str) -> Numbers:
    [n] = [n for n in found.nodes[k] if n.part == part]
    return n


X = np.array([0.5, 2.0])


def test_a_wrong_value_stands_at_its_node_and_nowhere_else() -> None:
    case = case_of(lambda x: np.square(np.sin(x)), X)
    seen = changed(observe(case), "values", 1)
    found = excerpts(case, seen)["value"]
    assert found.suspects == (1,)
    assert (1, "value") in wrong(found)
    sine = array(found, 1, "value")
    assert sine.expected == pytest.approx(np.sin(X))
    assert sine.got == pytest.approx(np.sin(X) + 0.5)
    assert array(found, 0, "value").expected == ()  # it was given


def test_of_a_fused_backend_the_output_and_the_inputs_are_known() -> None:
    case = case_of(lambda x: np.exp(np.sin(x) * 2), X)
    seen, last = observe(case), case.graph.outputs[0]
    alone = [None if k != last else 1.5 * x for k, x in enumerate(seen.values)]
    gradients = [2 * x if k == 0 else None for k, x in enumerate(seen.cotangents)]
    tangents = [None if k != last else -x for k, x in enumerate(seen.tangents)]
    fused = replace(CPU, fused=True)
    seen = replace(seen, values=alone, cotangents=gradients, tangents=tangents, parts={}, profile=fused)
    found = {v.mode: observed(case, seen, v) for v in judge_fused(case, seen)}
    assert wrong(found["value"]) == [(last, "value")]
    assert wrong(found["reverse end to end"]) == [(0, "gradient")]
    assert wrong(found["forward end to end"]) == [(last, "tangent")]


def test_a_wrong_tangent_and_nothing_that_it_was_passed_on_as() -> None:
    case = case_of(lambda x: np.exp(np.square(np.sin(x))), X)
    seen = observe(case)
    tangents = list(seen.tangents)
    factor = 3.0  # from the square on, as a framework that is wrong there gives them
    tangents[2], tangents[3] = factor * tangents[2], factor * tangents[3]
    found = excerpts(case, replace(seen, tangents=tangents))["forward"]
    assert wrong(found) == [(2, "tangent")]
    assert found.suspects == (2,)
    assert array(found, 2, "tangent").got == pytest.approx(
        factor * np.array(array(found, 2, "tangent").expected)
    )
    assert array(found, 3, "tangent").got == pytest.approx(array(found, 3, "tangent").expected)


def test_a_wrong_gradient_is_the_fault_of_who_sent_it() -> None:
    case = case_of(lambda x: np.exp(np.sin(x)), X)
    seen = observe(case)
    cotangents = list(seen.cotangents)
    cotangents[1], cotangents[0] = 2 * cotangents[1], 2 * cotangents[0]  # what exp sent, and what comes of it
    found = excerpts(case, replace(seen, cotangents=cotangents))
    assert found["reverse"].suspects == (2,)
    assert wrong(found["reverse"]) == [(1, "gradient")]
    assert found["reverse end to end"].suspects == (2,)  # what the judgement node by node names
    assert (0, "gradient") in wrong(found["reverse end to end"])


def test_of_several_users_the_one_that_sent_the_wrong_part() -> None:
    case = case_of(lambda x: np.sin(x) * np.cos(x), X)
    seen = observe(case)
    found = excerpts(case, changed(seen, "parts", (2, 0)))["reverse"]
    assert found.suspects == (2,)
    sent = array(found, 2, "sent")
    assert sent.wrong
    assert sent.to == 0
    assert sent.got == pytest.approx(np.array(sent.expected) + 0.5)


def test_end_to_end_alone_accuses_no_node() -> None:
    case = case_of(lambda x: np.exp(np.sin(x)), X)
    verdict = Verdict("reverse end to end", "disagree", first_wrong=(0, "exp"))
    assert observed(case, observe(case), verdict).suspects == ()


def test_second_derivatives_stand_at_their_inputs() -> None:
    case = case_of(np.sin, X, order=2)
    seen = observe(case)
    seen.modes.answers["forward over reverse"] = [
        seen.modes.answers["forward over reverse"][0] + np.array([0.0, 1.0])
    ]
    found = excerpts(case, seen)["forward over reverse"]
    answer = array(found, 0, "answer")
    assert answer.wrong
    assert answer.at == (1,)
    assert answer.got == pytest.approx((answer.expected[0] + 1.0,))
    assert found.suspects == (1,)


def test_a_further_way_to_the_gradient_shows_its_own_numbers() -> None:
    case = case_of(np.sin, X, order=2)
    seen = observe(case)
    seen.modes.answers["functional reverse"] = [seen.modes.answers["functional reverse"][0] * 2]
    found = excerpts(case, seen)["functional reverse"]
    gradient = array(found, 0, "gradient")
    assert gradient.got == pytest.approx(2 * np.array(gradient.expected))


def test_of_large_arrays_the_worst_elements_travel() -> None:
    case = case_of(np.sin, np.linspace(0.1, 1.0, 60).reshape(6, 10))
    seen = observe(case)
    off = np.zeros((6, 10))
    off[4, 7], off[0, 2] = 0.5, 0.25
    found = excerpts(case, changed(seen, "values", 1, off))["value"]  # type: ignore[arg-type]
    n = array(found, 1, "value")
    assert n.at == (2, 47)
    assert n.got == pytest.approx(np.add(n.expected, [0.25, 0.5]))
    assert len(array(found, 0, "value").at) <= OF_LARGE < MOST_ELEMENTS


def test_of_large_graphs_the_nearest_nodes_travel() -> None:
    def long(x: Any) -> Any:
        for _ in range(150):
            x = np.sin(x)
        return x

    case = case_of(long, np.array(0.5))
    found = excerpts(case, changed(observe(case), "values", 80))["value"]
    assert len(found.nodes) == MOST_NODES
    assert 80 in found.nodes
    assert max(abs(k - 80) for k in found.nodes) <= MOST_NODES // 2


def test_missing_gradients_are_told_as_missing() -> None:
    case = case_of(np.sin, X)
    seen = observe(case)
    found = excerpts(case, replace(seen, cotangents=[None, *seen.cotangents[1:]]))["reverse"]
    gradient = array(found, 0, "gradient")
    assert gradient.wrong
    assert gradient.got == ()
    assert len(gradient.expected) == 2


def test_agreement_carries_no_observation() -> None:
    case = case_of(np.sin, X)
    assert all(v.seen is None for v in examine(case, observe))
