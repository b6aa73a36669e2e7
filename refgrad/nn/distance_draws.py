"""Draws of the arguments of distances, similarities and losses of pairs and triplets, for their declarations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.nn.arguments import REDUCTIONS
from refgrad.op import Draws, Params

FEW_ROWS = 25  # up to so many rows torch takes differences for distances of order 2
ORDERS = (2.0, 1.0, 3.0, 1.5, np.inf)


def signs(draws: Draws, shape: tuple[int, ...]) -> PlainArray:
    """Labels -1 and 1: integers, which have no derivative."""
    return np.asarray(2 * draws.labels(shape, 2) - 1)


def norms(draws: Draws) -> Params:
    """Arguments of normalize."""
    shape = draws.shape(1, 3)
    return {
        "input": draws.numbers(shape),
        "p": draws.choice(ORDERS),
        "dim": draws.integer(-len(shape), len(shape) - 1),
        "eps": draws.choice((1e-12, 1e-3, 1.0)),
    }


def _broadcast(draws: Draws) -> tuple[PlainArray, PlainArray]:
    """Two operands whose first axis may be broadcast, or absent in the second."""
    shape = draws.shape(1, 3)
    kind = draws.choice(("equal", "first", "second", "shorter"))
    first = (1, *shape[1:]) if kind == "first" and len(shape) > 1 else shape
    second = (1, *shape[1:]) if kind == "second" and len(shape) > 1 else shape
    if kind == "shorter" and len(shape) > 1:
        second = shape[1:]
    return draws.numbers(first), draws.numbers(second)


def cosines(draws: Draws) -> Params:
    """Arguments of cosine_similarity."""
    x1, x2 = _broadcast(draws)
    axes = max(x1.ndim, x2.ndim)
    return {"x1": x1, "x2": x2, "dim": draws.integer(-axes, axes - 1), "eps": draws.choice((1e-8, 1e-2, 1.0))}


def differences(draws: Draws) -> Params:
    """Arguments of pairwise_distance."""
    x1, x2 = _broadcast(draws)
    return {
        "x1": x1,
        "x2": x2,
        "p": draws.choice(ORDERS),
        "eps": draws.choice((1e-6, 1e-2, 0.0)),
        "keepdim": draws.choice((False, True)),
    }


def rows(draws: Draws) -> Params:
    """Arguments of cdist: few rows, or so many that torch multiplies matrices."""
    lead, length = draws.shape(0, 1), draws.size()
    few = draws.integer(1, 4), draws.integer(1, 4)
    many = FEW_ROWS + few[0], few[1]
    counts = draws.choice((few, few, many, many[::-1]))
    return {
        "x1": draws.numbers((*lead, counts[0], length)),
        "x2": draws.numbers((*lead, counts[1], length)),
        "p": draws.choice(ORDERS),
    }


def pairs_of_rows(draws: Draws) -> Params:
    """Arguments of pdist."""
    return {"input": draws.numbers((draws.integer(2, 5), draws.size())), "p": draws.choice(ORDERS)}


def signed(name: str, margins: tuple[float, ...]) -> Callable[[Draws], Params]:
    """Operands of one shape, so many as the name says, and labels -1 and 1."""
    names = {"one": ("input",), "two": ("input1", "input2")}[name]

    def draw(draws: Draws) -> Params:
        shape = draws.shape(0, 3)
        return {
            **{n: draws.numbers(shape) for n in names},
            "target": signs(draws, shape),
            "margin": draws.choice(margins),
            "reduction": draws.choice(REDUCTIONS),
        }

    return draw


def embedded(draws: Draws) -> Params:
    """Arguments of cosine_embedding_loss."""
    lead, length = draws.shape(0, 1), draws.size()
    return {
        "input1": draws.numbers((*lead, length)),
        "input2": draws.numbers((*lead, length)),
        "target": signs(draws, lead),
        "margin": draws.choice((0.0, 0.5, -0.25)),
        "reduction": draws.choice(REDUCTIONS),
    }


def triplets(draws: Draws) -> Params:
    """Arguments of triplet_margin_loss."""
    shape = draws.shape(1, 2)
    return {
        **{name: draws.numbers(shape) for name in ("anchor", "positive", "negative")},
        "margin": draws.choice((1.0, 0.25, 3.0)),
        "p": draws.choice(ORDERS),
        "eps": draws.choice((1e-6, 1e-2)),
        "swap": draws.choice((False, True)),
        "reduction": draws.choice(REDUCTIONS),
    }


def triplets_by_distance(draws: Draws) -> Params:
    """Arguments of triplet_margin_with_distance_loss with the usual distance: a case holds no function."""
    drawn = triplets(draws)
    return {"distance_function": None, **{k: v for k, v in drawn.items() if k not in ("p", "eps")}}
