"""The setting of a wrong element: the nodes that may be the cause, its operand, and the places that it depends on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from refgrad.bounds.profiles import profile_of
from refgrad.graph import Graph
from refgrad.testing import Case, Observation
from refgrad.testing.deviations.element_setting import Setting, Site
from refgrad.testing.judging.verdict import Element

X, B = np.array([[1.0, -2.0], [3.0, 4.0]]), np.array([5.0, -6.0])
GRAPH = Graph.record(lambda x, b: np.sin(x) * b + np.exp(x), X, B)  # x, b, sin, multiply, exp, add


@pytest.fixture
def setting() -> Setting:
    graph = GRAPH
    graph.forward(X, B)
    n = len(graph.nodes)
    case = Case("graphs", graph, {"x": X, "b": B}, {"x": X, "b": B}, X, "float64")
    nothing: list[None] = [None] * n
    return Setting(case, Observation([np.asarray(v) for v in graph.values], nothing, nothing, {}, {}))


def element(
    part: str, key: object, index: tuple[int, ...] = (), node: int = -1, operand: float = math.nan
) -> Element:
    return Element(
        0.0, 1.0, 0.0, 0.0, 0.0, index, node=node, operand=operand, place=(part, key) if part else None
    )


def place_of(name: str) -> int:
    return next(k for k, node in enumerate(GRAPH.nodes) if str(node) == name)


def test_a_value_or_tangent_was_made_by_its_own_node(setting: Setting) -> None:
    k = place_of("sin")
    for part in ("values", "tangents"):
        assert setting.sites(element(part, k), ["sin"]) == [Site(k, GRAPH.nodes[k], None)]
    assert setting.sites(element("values", k), ["exp"]) == []


def test_a_part_was_sent_by_one_user_and_a_gradient_by_any(setting: Setting) -> None:
    sin, exp = place_of("sin"), place_of("exp")
    assert setting.sites(element("parts", (exp, 0)), ["exp", "sin"]) == [Site(exp, GRAPH.nodes[exp], 0)]
    users = setting.sites(element("cotangents", 0, node=0), ["exp", "sin"])
    assert [(s.k, s.position) for s in users] == sorted([(sin, 0), (exp, 0)])
    assert [s.k for s in setting.sites(element("cotangents", 0, node=0), ["exp"])] == [exp]


def test_the_magnitude_is_that_of_the_operand_at_the_element(setting: Setting) -> None:
    multiply = place_of("multiply")
    assert setting.magnitude(element("parts", (multiply, 1), (1,)), ["multiply"]) == 6.0
    assert setting.magnitude(element("parts", (place_of("sin"), 0), (0, 1)), ["sin"]) == 2.0
    # The operand is known already.
    assert setting.magnitude(element("values", multiply, (0, 0), operand=7.0), ["multiply"]) == 7.0
    # The shape is another.
    assert math.isnan(setting.magnitude(element("parts", (multiply, 1), (0, 1)), ["multiply"]))


def test_the_magnitude_of_a_broadcast_operand_at_an_element_of_the_result() -> None:
    graph = Graph.record(lambda b, x: b * x, B, X)
    graph.forward(B, X)
    case = Case("graphs", graph, {"b": B, "x": X}, {"b": B, "x": X}, X, "float64")
    nothing: list[None] = [None] * 3
    told = Setting(case, Observation([np.asarray(v) for v in graph.values], nothing, nothing, {}, {}))
    assert [told.magnitude(element("tangents", 2, (1, k)), ["multiply"]) for k in (0, 1)] == [5.0, 6.0]


def test_an_element_of_a_broadcast_operand_meets_all_that_it_was_stretched_to(setting: Setting) -> None:
    multiply = place_of("multiply")
    places = np.array([[False, True], [False, False]])
    b = Site(multiply, GRAPH.nodes[multiply], 1)
    assert setting.meets(element("parts", (multiply, 1), (1,)), b, places)
    assert not setting.meets(element("parts", (multiply, 1), (0,)), b, places)
    value = Site(multiply, GRAPH.nodes[multiply], None)
    assert setting.meets(element("values", multiply, (0, 1)), value, places)
    assert not setting.meets(element("values", multiply, (1, 1)), value, places)
    assert not setting.meets(element("values", multiply, (2, 0)), value, places)
    assert setting.meets(element("values", multiply), value, places)  # a sum over everything
    stack = np.array([True, False])  # of matrices
    assert [setting.meets(element("values", multiply, (k, 0, 0)), value, stack) for k in (0, 1)] == [
        True,
        False,
    ]


def test_what_a_fused_backend_does_not_tell_is_computed_from_the_case(setting: Setting) -> None:
    last, n = GRAPH.outputs[0], len(GRAPH.nodes)
    alone = [x if k == last else None for k, x in enumerate(setting.seen.values)]
    nothing: list[None] = [None] * n
    fused = Setting(setting.case, Observation(alone, nothing, nothing, {}, {}))
    for k in GRAPH.order():
        if GRAPH.nodes[k].of:
            site = Site(k, GRAPH.nodes[k], 0)
            for own, told in zip(fused.operands(site), setting.operands(site), strict=True):
                assert np.array_equal(own, told)
            assert np.array_equal(fused.value(site), setting.value(site))
    exp = Site(place_of("exp"), GRAPH.nodes[place_of("exp")], 0)
    assert np.array_equal(fused.operand_tangents(exp)[0], X)
    assert fused.cotangent(exp) is None  # the backend is not known to be fused
    assert np.array_equal(fused.cotangent(Site(last, GRAPH.nodes[last], 0)), X)


def test_the_cotangents_inside_of_a_fused_program_are_computed(setting: Setting) -> None:
    nothing: list[None] = [None] * len(GRAPH.nodes)
    profile = dataclasses.replace(profile_of("cpu"), fused=True)
    fused = Setting(setting.case, Observation(setting.seen.values, nothing, nothing, {}, {}, profile=profile))
    sin, exp = (Site(k, GRAPH.nodes[k], 0) for k in (place_of("sin"), place_of("exp")))
    assert np.array_equal(fused.cotangent(sin), X * B)
    assert np.array_equal(fused.cotangent(exp), X)
