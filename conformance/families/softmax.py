"""Softmax, log-softmax, logsumexp and cross-entropy: small, huge, equal and -inf logits, any axis; short and wide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad import nn
from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import DOUBLE, SINGLE
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .arrays import few_digits, finish, rounded, style_of_case
from .wide import length

SHAPES = ((3,), (1,), (2, 3), (4, 1), (2, 3, 4), (1, 7), (3, 33))
WIDE: tuple[Callable[[int], tuple[int, ...]], ...] = (  # shapes of wide logits of a length
    lambda n: (n // 8, 8),
    lambda n: (n // 33, 33),
    lambda n: (2, n // 16, 8),
    lambda n: (n,),
)
FORMS = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "scaled softmax", "weighted log_softmax")
LOGITS = ("normal", "equal", "small", "large", "huge", "masked", "ties")
# Exact logits are multiples of these. Of a number 4 steps below another the exponential is 0 in all formats of an accumulator, and in the
# wide format in which the reference computes them.
_STEPS = {SINGLE: 256.0, DOUBLE: 4096.0}


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


def exact_logits(source: Source, shape: tuple[int, ...], dtype: str, axis: int, several: bool) -> PlainArray:
    """Logits whose weights along an axis are powers of two, and zeros: the largest of a row are equal, the others far below them.

    They are small multiples of one number, so that the differences of them are numbers of the format. With ``several`` a power of two of
    the logits of a row are the largest, without it one is.
    """
    rng, size = source.rng, shape[axis]
    tops = 1 << int(rng.integers(0, size.bit_length())) if several else 1
    rank = np.argsort(rng.random(shape), axis=axis)
    lower = rng.integers(-6, -3, shape)
    top = rng.integers(-1, 3, np.expand_dims(np.take(lower, 0, axis), axis).shape)
    return rounded(_STEPS[FORMATS[dtype].accumulator] * (top + np.where(rank < tops, 0, lower)), dtype)


def softmax(source: Source, dtype: str, exact: bool | None = None) -> Case:
    """One of the four functions on logits, also with a scale before or weights after it.

    With ``exact`` weights are powers of two, and a mean is one of so many rows; by default a share of the cases is so (arrays.py).
    """
    exact = style_of_case(source, exact, dtype)
    kind, wide = source.integer(0, len(SHAPES) - 1), length(source)
    shape = WIDE[kind % len(WIDE)](wide) if wide else SHAPES[kind]
    style = source.choice(LOGITS)
    form = source.choice(FORMS)
    if exact and few_digits(dtype):
        # They have too few digits for a small tangent beside such logits, and for long sums.
        form = {"scaled softmax": "softmax", "weighted log_softmax": "log_softmax"}.get(form, form)
        shape = SHAPES[kind]
    axis = source.integer(-len(shape), len(shape) - 1)
    if form == "cross_entropy":
        shape, axis = (int(np.prod(shape[:-1])), shape[-1]), -1
    w: PlainArray = np.ones(shape)
    if form in ("scaled softmax", "weighted log_softmax"):
        w = source.rng.integers(1, 3, shape) * 1.0 if exact else source.rng.integers(1, 5, shape) / 2.0
    if exact:
        x = exact_logits(source, shape, dtype, axis, "log" not in form and form != "cross_entropy")
        x = x * w.astype(x.dtype) if form == "scaled softmax" else x
    else:
        x = logits(source, shape, dtype, style)
    return finish(
        source, "softmax", *_program(source, form, x, rounded(w, dtype), axis, exact), dtype, exact=exact
    )


def _program(
    source: Source, form: str, x: PlainArray, w: PlainArray, axis: int, exact: bool
) -> tuple[Graph, dict[str, PlainArray]]:
    """The graph of a form, and its inputs."""
    if form == "scaled softmax":
        return Graph.record(lambda x, w: nn.softmax(x / w, axis=axis), x, w), {"x": x, "w": w}
    if form == "weighted log_softmax" and np.all(np.isfinite(x)):
        return Graph.record(lambda x, w: np.sum(w * nn.log_softmax(x, axis=axis)), x, w), {"x": x, "w": w}
    if form == "cross_entropy":
        x = x[: 1 << (len(x).bit_length() - 1)] if exact else x
        labels = source.rng.integers(0, x.shape[-1], len(x))
        labels = np.where(np.isfinite(x[np.arange(len(x)), labels]), labels, np.argmax(x, axis=-1))
        return Graph.record(lambda x: nn.cross_entropy(x, labels), x), {"x": x}
    if form == "logsumexp":
        keepdims = source.choice((False, True))
        return Graph.record(lambda x: nn.logsumexp(x, axis=axis, keepdims=keepdims), x), {"x": x}
    if form == "softmax":
        return Graph.record(lambda x: nn.softmax(x, axis=axis), x), {"x": x}
    return Graph.record(lambda x: nn.log_softmax(x, axis=axis), x), {"x": x}
