"""A small graph, built and recorded, for the tests of graphs as values and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import Graph

Array = Any
A, B = np.array([0.5, -1.0, 2.0]), np.array([3.0, 0.25, -2.0])


def f(a: Array, b: Array) -> Array:
    return np.sum(np.tanh(a * b) + 2.0 * a[::-1])


def built() -> Graph:
    g = Graph()
    a, b = g.input("a"), g.input("b")
    return g.output(np.sum(np.tanh(a * b) + 2.0 * a[::-1]))


def recorded() -> Graph:
    return Graph.record(f, A, B)


def shape_of_graph(g: Graph) -> list[Any]:
    return [(str(n), n.of, sorted(n.params)) for n in g.nodes]


def identical(x: Array, y: Array) -> bool:
    return (
        x.dtype == y.dtype
        and x.shape == y.shape
        and np.array_equal(x, y, equal_nan=True)
        and np.array_equal(np.signbit(x), np.signbit(y))
    )
