"""Mutants of indexing, embeddings, scatters and broadcasts: duplicates, ties, overlaps, missing sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray

from .record import Kind, Mutant, Way, normal

ROWS = 3  # rows of an embedding
MANY = 4096  # look-ups of one row: twice what a running sum of ones in float16 reaches


# --- bags: rows of a table, the largest of each bag -------------------------------------------------------------------

BAGS = (np.array([0, 2, 3]), np.array([1, 4]))


def bag_max(table: Array) -> Array:
    return np.stack([np.max(table[bag], axis=0) for bag in BAGS])


def bag_winner(y_bar: Array, table: Array) -> Array:
    table_bar = np.zeros_like(table)
    for g, bag in zip(y_bar, BAGS, strict=True):
        winners = bag[np.argmax(table[bag], axis=0)]
        table_bar[winners, np.arange(table.shape[1])] += g
    return table_bar


def bag_mean(y_bar: Array, table: Array) -> Array:
    table_bar = np.zeros_like(table)
    for g, bag in zip(y_bar, BAGS, strict=True):
        table_bar[bag] += g / len(bag)
    return table_bar


# --- an embedding whose rows are looked up very often -----------------------------------------------------------------


def looked_up(table: Array, index: Array) -> Array:
    """The sum of the rows looked up, as a product with one-hot rows."""
    return np.sum(np.eye(ROWS)[index] @ table, axis=0)


def look_ups_added(
    y_bar: Array, table: Array, index: Array, accumulate: type[np.floating[Any]]
) -> tuple[Array, None]:
    """Rows are added one by one, into a buffer of the format ``accumulate``."""
    total = np.zeros(table.shape, accumulate)
    np.add.at(total, index, np.broadcast_to(y_bar.astype(accumulate), (len(index), table.shape[1])))
    return total.astype(table.dtype), None


# --- duplicates -------------------------------------------------------------------------------------------------------


def rows_added(y_bar: Array, x: Array, index: Array) -> tuple[Array, None]:
    x_bar = np.zeros_like(x)
    np.add.at(x_bar, index, y_bar)
    return x_bar, None


def rows_assigned(y_bar: Array, x: Array, index: Array) -> tuple[Array, None]:
    """Of two gradients for one row, only the last remains."""
    x_bar = np.zeros_like(x)
    x_bar[index] = y_bar
    return x_bar, None


def gather_added(y_bar: Array, x: Array, index: Array) -> tuple[Array, None]:
    x_bar = np.zeros_like(x)
    np.add.at(x_bar, (np.arange(len(x))[:, np.newaxis], index), y_bar)
    return x_bar, None


def gather_assigned(y_bar: Array, x: Array, index: PlainArray) -> tuple[Array, None]:
    x_bar = np.zeros_like(x)
    np.put_along_axis(x_bar, index, y_bar, axis=1)
    return x_bar, None


def within(n: int, index: Array) -> Array:
    """Whether the index contains each of n rows, as a column."""
    found = np.zeros((n, 1), bool)
    found[index] = True
    return found


def filled(x: Array, value: Array, index: Array) -> Array:
    return np.where(within(len(x), index), value, x)


def filled_vjp(y_bar: Array, x: Array, value: Array, index: Array) -> tuple[Array, Array, None]:
    hit = within(len(x), index)
    return np.where(hit, 0.0, y_bar), np.sum(np.where(hit, y_bar, 0.0)), None


def filled_twice(y_bar: Array, x: Array, value: Array, index: Array) -> tuple[Array, Array, None]:
    """The sum of the rows in the index, each with its multiplicity."""
    return np.where(within(len(x), index), 0.0, y_bar), np.sum(y_bar[index]), None


# --- the largest of what is scattered to a place, which stays as it was where nothing is ------------------------------


def scatter_max(x: Array, source: Array, index: Array) -> Array:
    return np.stack([np.max(source[index == k]) if np.any(index == k) else x[k] for k in range(len(x))])


def scatter_max_vjp(
    y_bar: Array, x: Array, source: Array, index: Array, least: int
) -> tuple[Array, Array, None]:
    """The maxima of a position share its gradient. ``least`` is the number of maxima of a position without any."""
    y = scatter_max(x, source, index)
    won = source == y[index]
    winners = np.zeros(len(x), x.dtype)
    np.add.at(winners, index, won)
    share = y_bar / np.maximum(winners, least)
    touched = np.isin(np.arange(len(x)), index)
    return share * (1 - touched.astype(x.dtype)), share[index] * won, None


# --- overlapping memory -----------------------------------------------------------------------------------------------


def as_storage(y_bar: Array, x: Array) -> Array:
    return y_bar.copy()


def as_storage_expanded(y_bar: Array, x: Array) -> Array:
    """The input is x, expanded to three rows that share memory. Each row receives the gradient of the whole memory."""
    return np.sum(np.broadcast_to(y_bar, (3, *y_bar.shape)), axis=0)


MUTANTS = (
    Mutant(
        "fg-5220",
        "https://github.com/flagos-ai/FlagGems/issues/5220",
        "embedding_bag, max",
        Kind.DROPPED,
        forward=bag_max,
        right=bag_winner,
        wrong=bag_mean,
        inputs=lambda rng: [normal(rng, (5, 3)), normal(rng, (5, 1))],
        way=Way.KERNEL,
    ),
    Mutant(
        "mx-17703",
        "https://github.com/apache/mxnet/issues/17703",
        "embedding",
        Kind.PRECISION,
        forward=looked_up,
        right=lambda y_bar, table, index: look_ups_added(y_bar, table, index, np.float32),
        wrong=lambda y_bar, table, index: look_ups_added(y_bar, table, index, np.float16),
        inputs=lambda rng: [
            (*normal(rng, (ROWS, 2)), np.ones(MANY, int)),
            (*normal(rng, (ROWS, 2)), rng.integers(0, ROWS, 8)),
        ],
        way=Way.KERNEL,
        dtypes=("float16",),
    ),
    Mutant(
        "pt-1528",
        "https://github.com/pytorch/pytorch/issues/1528",
        "advanced indexing",
        Kind.DUPLICATES,
        forward=lambda x, index: x[index],
        right=rows_added,
        wrong=rows_assigned,
        inputs=lambda rng: [(*normal(rng, (3, 2)), np.array([0, 0])), (*normal(rng, (4,)), np.array([3, 1]))],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-1631",
        "https://github.com/pytorch/pytorch/issues/1631",
        "gather",
        Kind.DUPLICATES,
        forward=lambda x, index: np.take_along_axis(x, index, axis=1),
        right=gather_added,
        wrong=gather_assigned,
        inputs=lambda rng: [
            (*normal(rng, (2, 3)), np.array([[0, 0], [2, 1]])),
            (*normal(rng, (2, 3)), np.array([[0, 1], [2, 1]])),
        ],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-168358",
        "https://github.com/pytorch/pytorch/issues/168358",
        "scatter_reduce, amax without self",
        Kind.NAN,
        forward=scatter_max,
        right=lambda y_bar, x, source, index: scatter_max_vjp(y_bar, x, source, index, 1),
        wrong=lambda y_bar, x, source, index: scatter_max_vjp(y_bar, x, source, index, 0),
        inputs=lambda rng: [
            (np.array([5.0, 1.0]), np.array([3.0, 4.0]), np.array([0, 0])),
            (*normal(rng, (2,), (4,)), np.array([0, 1, 0, 1])),
        ],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-57006",
        "https://github.com/pytorch/pytorch/issues/57006",
        "index_fill",
        Kind.DUPLICATES,
        forward=filled,
        right=filled_vjp,
        wrong=filled_twice,
        inputs=lambda rng: [
            (*normal(rng, (3, 3), ()), np.array([1, 1])),
            (*normal(rng, (3, 2), ()), np.array([2, 0])),
        ],
    ),
    Mutant(
        "pt-8626",
        "https://github.com/pytorch/pytorch/issues/8626",
        "as_strided of an expanded array",
        Kind.ALIAS,
        forward=np.positive,
        right=as_storage,
        wrong=as_storage_expanded,
        inputs=lambda rng: [normal(rng, (2,)), normal(rng, (5,))],
        way=Way.KERNEL,
        note="x, expanded to three rows without a copy, then read as the memory it lies in, is x",
    ),
    Mutant(
        "th-1585",
        "https://github.com/Theano/Theano/pull/1585",
        "alloc",
        Kind.BROADCAST,
        forward=lambda x: np.broadcast_to(x, (5, 4, 3)),
        right=lambda y_bar, x: np.sum(y_bar, axis=(0, 1))[np.newaxis],
        wrong=lambda y_bar, x: np.sum(y_bar, axis=0),
        inputs=lambda rng: [normal(rng, (1, 3)) for _ in range(2)],
    ),
    Mutant(
        "pt-13669",
        "https://github.com/pytorch/pytorch/issues/13669",
        "subtract, a scalar and a vector",
        Kind.BROADCAST,
        forward=lambda x, y: x - y,
        right=lambda y_bar, x, y: (np.sum(y_bar), -y_bar),
        wrong=lambda y_bar, x, y: (y_bar, -y_bar),
        inputs=lambda rng: [(np.array(2.0), np.zeros(10)), normal(rng, (), (3,))],
    ),
)
