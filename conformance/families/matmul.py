"""Matrix products: vector, matrix, batched and broadcast; dimensions of size 1 and 0; chains and transposes."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.graph import Graph
from refgrad.testing.case import Case
from refgrad.testing.source import Source

from .arrays import finish, numbers

Array = Any
SIZES = (2, 1, 3, 0, 5, 16)
BATCHES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (((), ()), ((2,), (2,)), ((2,), ()), ((), (3,)), ((2, 1), (3,)), ((1,), (2,)), ((0,), ()))


def matmul(source: Source, dtype: str) -> Case:
    """A product of two or three factors, some transposed, some with a bias that broadcasts."""
    n, k, m = source.choice(SIZES), source.choice(SIZES), source.choice(SIZES)
    form = source.choice(("matrix", "vector", "vector matrix", "matrix vector", "batched", "transposed", "affine", "chain", "einsum", "tensordot"))
    style = source.choice(("normal", "ties", "small"))
    left, right = ((), ()) if form != "batched" else source.choice(BATCHES)
    shapes: dict[str, tuple[int, ...]] = {"a": (*left, n, k), "b": (*right, k, m)}

    def f(a: Array, b: Array, *rest: Array) -> Array:
        return a @ b

    if form == "vector":
        shapes = {"a": (k,), "b": (k,)}
    elif form == "vector matrix":
        shapes = {"a": (k,), "b": (k, m)}
    elif form == "matrix vector":
        shapes = {"a": (n, k), "b": (k,)}
    elif form == "transposed":
        shapes = {"a": (k, n), "b": (m, k)}

        def f(a: Array, b: Array, *rest: Array) -> Array:
            return a.T @ b.T
    elif form == "affine":
        shapes["c"] = (m,)

        def f(a: Array, b: Array, *rest: Array) -> Array:
            return a @ b + rest[0]
    elif form == "chain":
        shapes["c"] = (m, n)

        def f(a: Array, b: Array, *rest: Array) -> Array:
            return (a @ b) @ rest[0]
    elif form == "einsum":

        def f(a: Array, b: Array, *rest: Array) -> Array:
            return np.einsum("ij,jk->ki", a, b)
    elif form == "tensordot":

        def f(a: Array, b: Array, *rest: Array) -> Array:
            return np.tensordot(a, b, axes=1)

    inputs = {name: numbers(source, shape, dtype, style) for name, shape in shapes.items()}
    graph = Graph.record(f, *inputs.values())
    _rename(graph, tuple(inputs))
    return finish(source, "matmul", graph, inputs, dtype)


def _rename(graph: Graph, names: tuple[str, ...]) -> None:
    """Inputs that came through ``*rest`` get the names of the data."""
    from dataclasses import replace

    for k, name in enumerate(names):
        graph.nodes[k] = replace(graph.nodes[k], name=name)
