"""Nested sums in any order: every order lies within the bound, and nothing else becomes right."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import profile_of
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.any_order import AnyOrder
from refgrad.testing.judging.end_to_end import judge_fused
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.sweep import Sweep
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE
from refgrad.tracing.ball import parts
from refgrad.transforms import jvp, vjp
from tests.within import assert_within

FMT = FORMATS["float32"]
RNG = np.random.default_rng(11)


def single(*shape: int) -> np.ndarray[Any, Any]:
    return np.float64(RNG.normal(size=shape).astype(np.float32))


def in_order(terms: Any, order: tuple[int, ...]) -> np.float32:
    """The sum of float32 numbers, one after the other."""
    first, *rest = (np.float32(terms[k]) for k in order)
    for t in rest:
        first = np.float32(first + t)
    return first


def swept(
    kind: type[Sweep], f: Callable[..., Any], xs: list[Any], dots: list[Any], bar: Any
) -> tuple[Sweep, int]:
    graph = Graph.record(f, *xs)
    case = Case(
        "graphs",
        graph,
        dict(zip(graph.inputs, xs, strict=True)),
        dict(zip(graph.inputs, dots, strict=True)),
        bar,
        "float32",
    )
    return kind(case, FMT), graph.outputs[0]


def within(got: Any, ball: Any) -> bool:
    value, radius = parts(ball)
    return bool(np.all(np.abs(np.asarray(got) - value) <= radius))


NESTED = {  # and the signs of the terms
    "added one by one": (lambda a, b, c, d: ((a + b) + c) + d, (1, 1, 1, 1)),
    "added in pairs": (lambda a, b, c, d: (a + c) + (b + d), (1, 1, 1, 1)),
    "subtracted": (lambda a, b, c, d: ((a - b) + c) - d, (1, -1, 1, -1)),
    "subtracted twice": (lambda a, b, c, d: d - (b - (a + c)), (1, -1, 1, 1)),
}


@pytest.mark.parametrize("name", NESTED)
def test_a_sum_of_four_is_right_in_every_order(name: str) -> None:
    """The terms nearly cancel: the partial sums of some orders are 10^4 times the result."""
    (f, signs), left = NESTED[name], 0
    for _ in range(20):
        a, b = 1e4 * single(), 1.0 * single()
        xs = [np.float64(np.float32(x)) for x in (a, b, -a, single())]
        wide, last = swept(AnyOrder, f, xs, xs, np.array(1.0))
        narrow, _ = swept(Sweep, f, xs, xs, np.array(1.0))
        terms = [sign * x for sign, x in zip(signs, xs, strict=True)]
        for order in itertools.permutations(range(4)):
            assert within(in_order(terms, order), wide.values[last])
            assert within(in_order(terms, order), wide.tangents[last])
            left += not within(in_order(terms, order), narrow.values[last])
        assert parts(wide.values[last])[1] < 12 * FMT.u * sum(np.abs(xs))
    assert left > 0  # the bound of the order as it is written does not hold for all


def test_the_tangents_of_a_product_are_terms_of_a_sum() -> None:
    left = 0
    for _ in range(100):
        a, b, a_dot, b_dot = 1e-3 * single(), 1e-3 * single(), single(), single()
        xs, dots = [a, b, np.array(0.5)], [a_dot, b_dot, np.array(-0.75)]
        wide, last = swept(AnyOrder, lambda a, b, c: a * b + c, xs, dots, np.array(1.0))
        narrow, _ = swept(Sweep, lambda a, b, c: a * b + c, xs, dots, np.array(1.0))
        terms = [
            np.float32(np.float32(a_dot) * np.float32(b)),
            np.float32(np.float32(a) * np.float32(b_dot)),
            -0.75,
        ]
        for order in itertools.permutations(range(3)):
            assert within(in_order(terms, order), wide.tangents[last])
            left += not within(in_order(terms, order), narrow.tangents[last])
    assert left > 0


def test_what_the_users_of_a_value_send_is_added_up_through_sums() -> None:
    """u - x receives w - v, and x receives -(w - v) and t. The terms are -w, v and t."""
    for _ in range(20):
        x, u, w, t = single(), single(), 1e4 * single(), single()
        xs = [np.float64(np.float32(given)) for given in (x, u, w, 1.5 * w, t)]

        def f(x: Any, u: Any, w: Any, v: Any, t: Any) -> Any:
            both = u - x
            return (both * w - both * v) + t * x

        wide, _ = swept(AnyOrder, f, xs, xs, np.array(1.0))
        narrow, _ = swept(Sweep, f, xs, xs, np.array(1.0))
        terms = [-xs[2], xs[3], xs[4]]
        for order in itertools.permutations(range(3)):
            assert within(in_order(terms, order), wide.cotangents[0])
        assert_within(np.sum(terms), wide.cotangents[0])
        (_, more), (_, less) = parts(wide.cotangents[0]), parts(narrow.cotangents[0])
        assert more - less > 1.9 * FMT.u * abs(xs[2])


def test_a_term_of_another_shape_is_a_leaf_and_broadcasts() -> None:
    xs = [single(3, 4), single(4), single(3, 1)]

    def f(a: Any, b: Any, c: Any) -> Any:
        return (a + b) * (b - c) + b

    wide, last = swept(AnyOrder, f, xs, xs, np.ones((3, 4)))
    assert_within(f(*xs), wide.values[last])
    for k, due in enumerate(vjp(f, *xs)[1](np.ones((3, 4)))):
        assert_within(due, wide.cotangents[k])


@pytest.mark.parametrize(
    ("reassociating", "factor", "status"),
    [(True, 1.0, IMPRECISE), (False, 1.0, DISAGREE), (True, 1 + 1e-5, DISAGREE), (True, 0.0, AGREE)],
)
def test_another_order_is_imprecise_on_a_backend_that_chooses_it(
    reassociating: bool, factor: float, status: str
) -> None:
    """The tangent of a b + c by grappler: (a' b + c') + a b'."""
    a, b, c = (np.float64(np.float32(x)) for x in (0.0009, 0.0011, 0.3))
    dots = [np.float64(np.float32(x)) for x in (2.0, 1.25, -0.75)]
    found = set()
    for scale in np.linspace(1.0, 2.0, 64):
        xs = [a, np.float64(np.float32(b * scale)), c]
        graph = Graph.record(lambda a, b, c: a * b + c, *xs)
        named = dict(zip(graph.inputs, xs, strict=True)), dict(zip(graph.inputs, dots, strict=True))
        case, n = Case("graphs", graph, *named, np.array(1.0), "float32"), len(graph.nodes)
        last = graph.outputs[0]
        profile = dataclasses.replace(profile_of("cpu"), fused=True, reassociating=reassociating)
        seen = Observation([None] * n, [None] * n, [None] * n, {}, {}, profile=profile)
        terms = [
            np.float32(np.float32(dots[0]) * np.float32(xs[1])),
            np.float32(-0.75),
            np.float32(np.float32(xs[0]) * np.float32(dots[1])),
        ]
        y_dot = in_order(terms, (0, 1, 2) if factor else (0, 2, 1))
        seen.values[last] = np.float64(np.float32(graph(*xs)))
        seen.tangents[last] = np.float64(np.float32(y_dot * (factor or 1.0)))
        for k, x_bar in enumerate(vjp(graph, *xs)[1](np.array(1.0))):
            seen.cotangents[k] = np.float64(np.float32(x_bar))
        assert jvp(graph, tuple(xs), tuple(dots))[1] == pytest.approx(y_dot, rel=1e-5)
        found.add(judge_fused(case, seen)[2].status)
    assert found == ({AGREE} if status == AGREE else {status} if factor != 1 else {AGREE, status})
