"""Softmax, log-softmax, logsumexp and cross-entropy: small, huge, equal and -inf logits, any axis; short and wide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad import nn
from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .arrays import finish, rounded
from .wide import length

SHAPES = ((3,), (1,), (2, 3), (4, 1), (2, 3, 4), (1, 7), (3, 33))
WIDE: tuple[Callable[[int], tuple[int, ...]], ...] = (  # shapes of wide logits of a length
    lambda n: (n // 8, 8),
    lambda n: (n // 33, 33),
    lambda n: (2, n // 16, 8),
    lambda n: (n,),
)
LOGITS = ("normal", "equal", "small", "large", "huge", "masked", "ties")


def logits(source: Source, shape: tuple[int, ...], dtype: str, kind: str) -> PlainArray:
    """Logits of a kind in the format; masked ones keep a finite entry along every axis."""
    rng = source.rng
    x = rng.standard_normal(shape)
    if kind == "equal":
        x = np.full(shape, float(rng.integers(-3, 4)))
    elif kind == "small":
        x = x * 1e-4
    elif kind == "large":
        x = x * 30
    elif kind == "huge":
        x = x * (4e3 if FORMATS[dtype].small_range else 1e4)
    elif kind == "ties":
        x = rng.integers(-1, 2, shape).astype(float)
    elif kind == "masked":
        x = np.where(rng.random(shape) < 0.3, -np.inf, x)
        for k in range(x.ndim):
            x = np.where(np.all(np.isinf(x), axis=k, keepdims=True), rng.standard_normal(shape), x)
    return rounded(x, dtype)


def softmax(source: Source, dtype: str) -> Case:
    """One of the four functions on logits, also with a scale before or weights after it."""
    rank, wide = source.integer(0, len(SHAPES) - 1), length(source)
    shape = WIDE[rank % len(WIDE)](wide) if wide else SHAPES[rank]
    kind = source.choice(LOGITS)
    x = logits(source, shape, dtype, kind)
    axis = source.integer(-len(shape), len(shape) - 1)
    form = source.choice(
        ("softmax", "log_softmax", "logsumexp", "cross_entropy", "scaled softmax", "weighted log_softmax")
    )
    w = rounded(source.rng.integers(1, 5, shape) / 2.0, dtype)
    inputs = {"x": x}
    if form == "cross_entropy":
        x = inputs["x"] = np.reshape(x, (-1, shape[-1]))
        labels = source.rng.integers(0, shape[-1], x.shape[0])
        labels = np.where(np.isfinite(x[np.arange(x.shape[0]), labels]), labels, np.argmax(x, axis=-1))
        graph = Graph.record(lambda x: nn.cross_entropy(x, labels), x)
    elif form == "scaled softmax":
        inputs["w"] = w
        graph = Graph.record(lambda x, w: nn.softmax(x / w, axis=axis), x, w)
    elif form == "weighted log_softmax" and kind != "masked":
        inputs["w"] = w
        graph = Graph.record(lambda x, w: np.sum(w * nn.log_softmax(x, axis=axis)), x, w)
    elif form == "logsumexp":
        keepdims = source.choice((False, True))
        graph = Graph.record(lambda x: nn.logsumexp(x, axis=axis, keepdims=keepdims), x)
    elif form == "softmax":
        graph = Graph.record(lambda x: nn.softmax(x, axis=axis), x)
    else:
        graph = Graph.record(lambda x: nn.log_softmax(x, axis=axis), x)
    return finish(source, "softmax", graph, inputs, dtype)
