"""Accumulation over a graph, both ways, against the transformations of the graph as a function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.errors import GraphError
from refgrad.nodes import Nodes
from refgrad.tracing.ball import exact, parts

A, B = np.array([0.5, -1.25, 2.0]), np.array([1.5, 0.25, -0.75])
A_DOT, B_DOT, Y_BAR = np.array([1.0, 0.5, -2.0]), np.array([0.25, -1.0, 3.0]), np.array([2.0, -0.5, 1.0])


def program(a: Any, b: Any) -> Any:
    s = np.tanh(a * b)
    return s + a * s + np.floor(b) * np.concatenate([a[:1], s[1:]])  # shared values, a step, a variadic op


GRAPH = rg.Graph.record(program, A, B)
NAMES = list(GRAPH.inputs)


def test_forward_accumulation_is_jvp() -> None:
    dots = GRAPH.forward_accumulation(GRAPH.run(A, B), dict(zip(NAMES, (A_DOT, B_DOT), strict=True)))
    assert np.array_equal(dots[GRAPH.outputs[0]], rg.jvp(program, (A, B), (A_DOT, B_DOT))[1])
    steps = [k for k, n in enumerate(GRAPH.nodes) if str(n) == "floor"]
    assert steps
    assert all(dots[k] is None for k in steps)


def test_reverse_accumulation_is_vjp() -> None:
    sent: list[Any] = []
    bars = GRAPH.reverse_accumulation(GRAPH.run(A, B), [(GRAPH.outputs[0], Y_BAR)], sent)
    expected = rg.vjp(program, A, B)[1](Y_BAR)
    for name, x_bar in zip(NAMES, expected, strict=True):
        assert np.array_equal(bars[GRAPH.inputs[name]], x_bar)
    uses = sum(k != j for n in GRAPH.nodes for k, j in enumerate(n.of, 10**6))
    assert 0 < len(sent) < uses  # one for each use that has a derivative


def test_a_cotangent_given_twice_counts_twice() -> None:
    values = GRAPH.run(A, B)
    once = GRAPH.reverse_accumulation(values, [(GRAPH.outputs[0], Y_BAR)])
    twice = GRAPH.reverse_accumulation(values, [(GRAPH.outputs[0], Y_BAR)] * 2)
    for k in GRAPH.inputs.values():
        assert np.array_equal(twice[k], 2 * once[k])


def test_accumulation_over_balls_has_the_bounds_of_the_transformation() -> None:
    fmt = FORMATS["float32"]
    balls = [exact(x.astype(np.float32), fmt) for x in (A, B)]
    y_bar = exact(Y_BAR.astype(np.float32), fmt)
    bars = GRAPH.reverse_accumulation(GRAPH.run(*balls), [(GRAPH.outputs[0], y_bar)])
    for name, x_bar in zip(NAMES, rg.vjp(program, *balls)[1](y_bar), strict=True):
        for found, expected in zip(parts(bars[GRAPH.inputs[name]]), parts(x_bar), strict=True):
            assert np.array_equal(found, expected)


def test_a_graph_without_output_has_no_order() -> None:
    with pytest.raises(GraphError, match="no output yet"):
        Nodes().order()
