"""Draws of the arguments of functions that write at given places, for their declarations."""

from __future__ import annotations

import numpy as np

from refgrad.nn import layer_draws
from refgrad.op import Draws, Params


def writing(draws: Draws) -> Params:
    """Arguments of scatter: no place comes twice. The index may be shorter than the input.

    The source has the shape of the index: for a longer one torch documents that there is no backward.
    """
    shape = draws.shape(1, 2)
    dim = draws.integer(-len(shape), len(shape) - 1)
    count = draws.integer(1, shape[dim])
    lead = tuple([n if k == dim % len(shape) else draws.integer(1, n) for k, n in enumerate(shape)])
    keys = np.argsort(draws.rng.random(lead), axis=dim)
    index = np.take(keys, np.arange(count), axis=dim)
    return {"input": draws.numbers(shape), "dim": dim, "index": index, "src": draws.numbers(index.shape)}


def combining(draws: Draws) -> Params:
    """Arguments of scatter_reduce: places that come several times, and some that do not come."""
    arguments = layer_draws.additions(draws)
    return {
        **arguments,
        "reduce": draws.choice(("sum", "mean", "amax", "amin", "prod")),
        "include_self": draws.choice((True, False)),
    }


def adding(draws: Draws) -> Params:
    """Arguments of index_add: an index in which elements come several times."""
    shape = draws.shape(1, 3)
    dim, count = draws.integer(-len(shape), len(shape) - 1), draws.integer(1, 4)
    source = tuple([count if k == dim % len(shape) else n for k, n in enumerate(shape)])
    return {
        "input": draws.numbers(shape),
        "dim": dim,
        "index": draws.labels((count,), shape[dim]),
        "source": draws.numbers(source),
        "alpha": draws.choice((1.0, 0.5, -2.0)),
    }
