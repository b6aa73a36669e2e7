"""Mutants of the connectionist temporal classification loss, as the sum over all alignments of a short sequence.

Graves et al., "Connectionist temporal classification" (2006): an alignment is a path of classes, one a step; merging
repeats and dropping blanks (class 0) gives the target. The loss is -log of the sum of the probabilities of all alignments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from refgrad import nn
from refgrad.arrays import Array

from .record import Kind, Mutant, normal

CLASSES = 3


def alignments(target: tuple[int, ...], steps: int) -> Array:
    """All paths that read as target, (n, steps)."""
    paths = itertools.product(range(CLASSES), repeat=steps)
    merged = [p for p in paths if tuple(c for c, _ in itertools.groupby(p) if c) == target]
    return np.array(merged, int).reshape(-1, steps)


def scores(x: Array, paths: Array) -> Array:
    """The log-probability of each path."""
    return np.sum(nn.log_softmax(x)[np.arange(paths.shape[1]), paths], axis=1)


def occupation(x: Array, paths: Array) -> Array:
    """The probability that the alignment is in each class at each step, (steps, classes)."""
    share = nn.softmax(scores(x, paths))
    return np.sum(share[:, np.newaxis, np.newaxis] * np.eye(CLASSES)[paths], axis=0)


def ctc(*targets: tuple[int, ...], steps: int = 3) -> Callable[[Array], Array]:
    """The losses of a batch; 0 where no alignment exists (zero_infinity); steps beyond ``steps`` are padding."""

    def f(x: Array) -> Array:
        found = [alignments(t, steps) for t in targets]
        return np.stack(
            [-nn.logsumexp(scores(x[n, :steps], p)) if len(p) else np.zeros(()) for n, p in enumerate(found)]
        )

    return f


def ctc_vjp(*targets: tuple[int, ...], steps: int = 3) -> Callable[[Array, Array], Array]:
    """Logits of a sample receive y_bar (softmax - occupation); padding and impossible samples receive 0."""

    def backward(y_bar: Array, x: Array) -> Array:
        rows = []
        for n, p in enumerate([alignments(t, steps) for t in targets]):
            head, padding = x[n, :steps], 0.0 * x[n, steps:]
            row = y_bar[n] * (nn.softmax(head) - occupation(head, p)) if len(p) else 0.0 * head
            rows.append(np.concatenate([row, padding]))
        return np.stack(rows)

    return backward


TWO = ((1,), (1, 2))


def partly_scaled(y_bar: Array, x: Array) -> Array:
    """The upstream gradient multiplies one of the two terms only."""
    return np.stack(
        [nn.softmax(x[n]) - y_bar[n] * occupation(x[n], alignments(t, 3)) for n, t in enumerate(TWO)]
    )


def not_scaled(y_bar: Array, x: Array) -> Array:
    return np.stack([nn.softmax(x[n]) - occupation(x[n], alignments(t, 3)) for n, t in enumerate(TWO)])


def empty_counted_twice(y_bar: Array, x: Array) -> Array:
    """The last two states of an empty target coincide, so their sum is twice the probability."""
    first = y_bar[0] * (nn.softmax(x[0]) - occupation(x[0], alignments((1,), 3)))
    return np.stack([first, y_bar[1] * (nn.softmax(x[1]) - 0.5 * occupation(x[1], alignments((), 3)))])


def infinity_kept(y_bar: Array, x: Array) -> Array:
    """Each state of an impossible sample has log-probability -inf, and so has their sum."""
    first = y_bar[0] * (nn.softmax(x[0]) - occupation(x[0], alignments((1,), 2)))
    with np.errstate(invalid="ignore"):
        impossible = np.exp(np.full((2, CLASSES), -np.inf) - np.full((), -np.inf))
    return np.stack([first, y_bar[1] * (nn.softmax(x[1]) - impossible)])


def padding_filled(y_bar: Array, x: Array) -> Array:
    """softmax - occupation everywhere. Beyond the length of the sample the occupation is 0, and the softmax remains."""
    right = ctc_vjp(*TWO, steps=2)(y_bar, x)[:, :2]
    return np.concatenate([right, y_bar[:, np.newaxis, np.newaxis] * nn.softmax(x[:, 2:])], axis=1)


MUTANTS = (
    Mutant(
        "pt-11750",
        "https://github.com/pytorch/pytorch/issues/11750",
        "ctc_loss",
        Kind.FACTOR,
        forward=ctc(*TWO),
        right=ctc_vjp(*TWO),
        wrong=partly_scaled,
        inputs=lambda rng: [normal(rng, (2, 3, CLASSES)) for _ in range(2)],
    ),
    Mutant(
        "pt-25833",
        "https://github.com/pytorch/pytorch/issues/25833",
        "ctc_loss, weights after it",
        Kind.FACTOR,
        forward=ctc(*TWO),
        right=ctc_vjp(*TWO),
        wrong=not_scaled,
        inputs=lambda rng: [normal(rng, (2, 3, CLASSES)) for _ in range(2)],
    ),
    Mutant(
        "pt-18215",
        "https://github.com/pytorch/pytorch/issues/18215",
        "ctc_loss, empty target",
        Kind.EMPTY,
        forward=ctc((1,), ()),
        right=ctc_vjp((1,), ()),
        wrong=empty_counted_twice,
        inputs=lambda rng: [normal(rng, (2, 3, CLASSES)) for _ in range(2)],
    ),
    Mutant(
        "pt-176910",
        "https://github.com/pytorch/pytorch/issues/176910",
        "ctc_loss, zero_infinity",
        Kind.NAN,
        forward=ctc((1,), (1, 1), steps=2),
        right=ctc_vjp((1,), (1, 1), steps=2),
        wrong=infinity_kept,
        inputs=lambda rng: [normal(rng, (2, 2, CLASSES)) for _ in range(2)],
    ),
    Mutant(
        "tf-41280",
        "https://github.com/tensorflow/tensorflow/issues/41280",
        "ctc_loss, padded logits",
        Kind.DROPPED,
        forward=ctc(*TWO, steps=2),
        right=ctc_vjp(*TWO, steps=2),
        wrong=padding_filled,
        inputs=lambda rng: [normal(rng, (2, 4, CLASSES)), normal(rng, (2, 3, CLASSES))],
    ),
)
