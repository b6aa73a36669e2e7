"""Mutants of automatic differentiation itself: accumulation, reused buffers, tapes, forward mode."""

from __future__ import annotations

import numpy as np

from refgrad import nn
from refgrad.arrays import Array

from .record import Kind, Mutant, Way, normal

CONSTANT = 2.0  # an operand that is not traced
# What multiplying the first row of the transpose in place does to the base.
COLUMNS = np.array([3.0, 1.0, 1.0])
TARGET = np.array([1.0, 0.0, 1.0])


def fan_out(x: Array) -> Array:
    h = np.exp(x)
    return 3 * h + np.sin(h)


def two_replays(y_bar: Array, x1: Array, x2: Array, copy: bool) -> tuple[Array, Array]:
    """A recorded kernel writes each result into the same buffer. The caller receives the buffer, or a copy."""
    buffer = np.empty_like(x1)
    found = []
    for k, x in enumerate((x1, x2)):
        buffer[...] = y_bar[k] * np.cos(x)
        found.append(buffer.copy() if copy else buffer)
    return found[0], found[1]


def soft_margin(x: Array) -> Array:
    """The mean of -(t log sigmoid(x) + (1 - t) log sigmoid(-x))."""
    return -np.mean(TARGET * nn.log_sigmoid(x) + (1 - TARGET) * nn.log_sigmoid(-x))


def one_leaf(y_bar: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Two constants of equal value are one node, which receives the gradients of both."""
    return (y_bar + y_bar, y_bar + y_bar) if a == b else (y_bar, y_bar)


MUTANTS = (
    Mutant(
        "mx-9497",
        "https://github.com/apache/mxnet/issues/9497",
        "a value used twice",
        Kind.ACCUMULATE,
        forward=fan_out,
        right=lambda y_bar, x: (3 * y_bar + y_bar * np.cos(np.exp(x))) * np.exp(x),
        wrong=lambda y_bar, x: y_bar * np.cos(np.exp(x)) * np.exp(x),
        inputs=lambda rng: [normal(rng, (3,)), normal(rng, ())],
        note="the second consumer overwrites what the first has sent",
    ),
    Mutant(
        "mlx-3633",
        "https://github.com/ml-explore/mlx/pull/3633",
        "arctan2, forward mode",
        Kind.FORWARD,
        forward=lambda x: np.arctan2(CONSTANT, x),
        right=lambda args, tangents: -CONSTANT * tangents[0] / (CONSTANT**2 + args[0] * args[0]),
        wrong=lambda args, tangents: args[0] * tangents[0] / (CONSTANT**2 + args[0] * args[0]),
        inputs=lambda rng: [normal(rng, (3,)), normal(rng, ())],
        way=Way.TANGENT,
        note="the first tangent was taken for the first operand's, though that is a constant",
    ),
    Mutant(
        "mlx-610",
        "https://github.com/ml-explore/mlx/issues/610",
        "a branch on a value read out of the tape",
        Kind.DROPPED,
        forward=lambda x: np.where(x > 1, x * x, 3 * x),
        right=lambda y_bar, x: y_bar * np.where(x > 1, 2 * x, 3.0),
        wrong=lambda y_bar, x: 0.0 * y_bar,
        inputs=lambda rng: [(np.array([2.0, 0.5]),), normal(rng, (4,))],
    ),
    Mutant(
        "pt-181723",
        "https://github.com/pytorch/pytorch/issues/181723",
        "recorded callables",
        Kind.ACCUMULATE,
        forward=lambda x1, x2: np.stack([np.sin(x1), np.sin(x2)]),
        right=lambda y_bar, x1, x2: two_replays(y_bar, x1, x2, copy=True),
        wrong=lambda y_bar, x1, x2: two_replays(y_bar, x1, x2, copy=False),
        inputs=lambda rng: [normal(rng, (3,), (3,)), normal(rng, (2, 2), (2, 2))],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-67800",
        "https://github.com/pytorch/pytorch/issues/67800",
        "in place on a view, forward mode",
        Kind.ALIAS,
        forward=lambda x: x * COLUMNS,
        right=lambda args, tangents: tangents[0] * COLUMNS,
        wrong=lambda args, tangents: 1.0 * tangents[0],
        inputs=lambda rng: [normal(rng, (2, 3)), normal(rng, (1, 3))],
        way=Way.TANGENT,
    ),
    Mutant(
        "pt-84681",
        "https://github.com/pytorch/pytorch/issues/84681",
        "multilabel soft margin, forward mode",
        Kind.FORWARD,
        forward=soft_margin,
        right=lambda args, tangents: np.mean((nn.sigmoid(args[0]) - TARGET) * tangents[0]),
        wrong=lambda args, tangents: np.mean(0.0 * tangents[0]),
        inputs=lambda rng: [normal(rng, (3,)), normal(rng, (2, 3))],
        way=Way.TANGENT,
    ),
    Mutant(
        "tg-9597",
        "https://github.com/tinygrad/tinygrad/issues/9597",
        "add, equal constants",
        Kind.ALIAS,
        forward=np.add,
        right=lambda y_bar, a, b: (y_bar, y_bar),
        wrong=one_leaf,
        inputs=lambda rng: [(np.array(3.0), np.array(3.0)), normal(rng, (), ())],
        way=Way.KERNEL,
    ),
)
