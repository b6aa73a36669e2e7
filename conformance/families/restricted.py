"""Families restricted to the ops that a framework has.

An op that it lacks is replaced by a composition of others, each of which is judged by itself. A case that cannot be expressed is drawn
again, and so is one with infinite inputs that is expressed by a composition: it need not have the limits of the op.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.graph import Graph
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import Family
from refgrad.testing.cases.source import Seeded, Source
from refgrad.testing.cases.vocabulary import Vocabulary

TRIES = 32  # draws of a case; the last is kept, and the framework names what it lacks


def _softplus(x: Array, threshold: float | None) -> Array:
    y = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    return y if threshold is None else np.where(x > threshold, x, y)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _shifted(x: Array, axis: int) -> Array:
    return x - np.max(x, axis=axis, keepdims=True)


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(_shifted(x, axis))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Array, axis: int) -> Array:
    z = _shifted(x, axis)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


def _logsumexp(x: Array, axis: Any, keepdims: bool) -> Array:
    top = np.max(x, axis=axis, keepdims=True)
    total = top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))
    return total if keepdims else np.squeeze(total, axis=axis)


# By op, how a user writes it in other ops.
COMPOSED: Mapping[str, Callable[..., Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x, slope: np.maximum(x, 0.0) + slope * np.minimum(x, 0.0),
    "elu": lambda x, alpha: np.maximum(x, 0.0) + alpha * np.expm1(np.minimum(x, 0.0)),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "softplus": _softplus,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "square": lambda x: x * x,
}


def restricted(draw: Family, vocabulary: Vocabulary) -> Family:
    """The family, with cases that the vocabulary expresses."""

    def drawn(source: Source, dtype: str) -> Case:
        for _ in range(TRIES):
            drawn_case = draw(source, dtype)
            case = expressed(drawn_case, vocabulary)
            if not vocabulary.expresses(case.graph) or not any(node.of for node in case.graph.nodes):
                continue
            if case is drawn_case or all(np.all(np.isfinite(x)) for x in case.inputs.values()):
                break
        return case

    return drawn


def drawable(draw: Family, vocabulary: Vocabulary, dtype: str) -> bool:
    """Whether the vocabulary expresses some case of the family."""
    with quiet():
        case = restricted(draw, vocabulary)(Seeded((1,)), dtype)
    return vocabulary.expresses(case.graph)


def expressed(case: Case, vocabulary: Vocabulary) -> Case:
    """The case with compositions in place of the ops that the vocabulary lacks, as far as there are compositions."""
    lacking = {n.op.name for n in case.graph.nodes if n.op is not None} - vocabulary.ops
    if not lacking & COMPOSED.keys():
        return case
    graph = Graph()
    values: list[Any] = []
    for node in case.graph.nodes:
        if node.op is None:
            values.append(graph.input(node.name, case.inputs[node.name].shape) if node.name else node.value)
        else:
            operands = [values[j] for j in node.of]
            composed = COMPOSED.get(node.op.name) if node.op.name in lacking else None
            values.append(node.applied(operands) if composed is None else composed(*operands, **node.params))
    return replace(case, graph=graph.output(values[case.graph.outputs[0]]))
