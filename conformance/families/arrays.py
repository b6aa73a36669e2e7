"""Numbers for cases: structure is drawn (and shrinks), bulk numbers come from a generator seeded by a drawn integer."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.graph import Graph
from refgrad.testing.case import LAYOUTS, Case
from refgrad.testing.source import Source

Array = Any

# The NumPy dtype that holds each judged format exactly.
CARRIER = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": np.float32}


def rounded(x: Array, dtype: str) -> Array:
    """x rounded to the judged format, in its carrier dtype."""
    x = np.asarray(x, CARRIER[dtype])
    if dtype == "bfloat16":
        bits = x.view(np.uint32)
        x = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return x


def numbers(source: Source, shape: tuple[int, ...], dtype: str, style: str = "normal") -> Array:
    """Elements of a style: normal (spread around 0), ties (small integers, so that equal elements meet), small, unit (inside the
    domain of arccos), positive."""
    rng = source.rng
    if style == "ties":
        x = rng.integers(-2, 3, shape).astype(float)
    elif style == "small":
        x = rng.standard_normal(shape) * 1e-3
    elif style == "unit":
        x = rng.uniform(-0.9, 0.9, shape)
    elif style == "positive":
        x = rng.uniform(0.1, 2.0, shape)
    else:
        x = rng.standard_normal(shape)
    return rounded(x, dtype)


def weights(source: Source, shape: tuple[int, ...], dtype: str) -> Array:
    """A random cotangent or tangent, readable and never all ones: multiples of 1/4 in every format."""
    return rounded(source.rng.integers(-8, 9, shape) / 4.0 + 0.25, dtype)


def finish(source: Source, family: str, graph: Graph, inputs: dict[str, Array], dtype: str) -> Case:
    """The case of a graph with data: draws cotangent, tangents and memory layouts."""
    y = graph(inputs)
    return Case(
        family=family,
        graph=graph,
        inputs=inputs,
        tangents={name: weights(source, x.shape, dtype) for name, x in inputs.items()},
        cotangent=weights(source, np.shape(y), dtype),
        dtype=dtype,
        layouts={name: source.choice(LAYOUTS) for name, x in inputs.items() if x.size > 1},
    )
