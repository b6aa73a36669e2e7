"""Parameters of ops in random graphs: each function draws them for the first operand at hand (``InGraphs.params``).

Where the operand has too few dimensions for the op, ValueError says so, and the graph takes another op.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.op.traits import Choices


def axes(source: Choices, x: Array) -> Params:
    """All axes, one of either sign, or the first and the last; and keepdims."""
    options: list[Any] = [None, *range(-x.ndim, x.ndim)]
    if x.ndim > 1:
        options.append((0, x.ndim - 1))
    return {"axis": source.choice(options), "keepdims": source.choice((False, True))}


def one_axis(source: Choices, x: Array) -> Params:
    """One axis, of either sign."""
    if not x.ndim:
        raise ValueError("an axis needs a dimension")
    return {"axis": source.integer(-x.ndim, x.ndim - 1)}


def reshape(source: Choices, x: Array) -> Params:
    """One dimension, or one more."""
    return {"shape": source.choice(((-1,), (*x.shape, 1), (1, *x.shape))) if x.size else (*x.shape, 1)}


def transpose(source: Choices, x: Array) -> Params:
    """A permutation of the axes."""
    return {"axes": tuple(int(i) for i in source.rng.permutation(x.ndim))}


def key(source: Choices, x: Array) -> Params:
    """An index: slices, a number, numbers with duplicates, a mask."""
    n = x.shape[0] if x.ndim else 0
    keys: list[Any] = [(Ellipsis,), (Ellipsis, None)]
    if n:
        keys += [
            (slice(None, None, 2),),
            (slice(1, None),),
            (-1,),
            (np.array([0, 0, n - 1]),),
            (np.arange(n) % 2 == 0,),
        ]
    return {"key": source.choice(keys)}


def norm(source: Choices, x: Array) -> Params:
    """Orders 1, 2 and 3 of a vector; the Frobenius norm of anything else."""
    return {"ord": source.choice((2, 1, 3)), **axes(source, x)} if x.ndim == 1 else {"ord": 2, "axis": None}


def pad(source: Choices, x: Array) -> Params:
    """Zeros before and after every axis."""
    if not x.ndim:
        raise ValueError("padding needs a dimension")
    return {"pad_width": ((source.integer(0, 2), 1),) * x.ndim, "constant_values": 0.0}


def labels(source: Choices, x: Array) -> Params:
    """A class for each row of logits."""
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError("labels need rows of classes")
    return {"labels": tuple(int(k) for k in source.rng.integers(0, x.shape[-1], x.shape[0]))}


def flip(source: Choices, x: Array) -> Params:
    """All axes, or one."""
    return {"axis": source.choice((None, *range(x.ndim)))}


def roll(source: Choices, x: Array) -> Params:
    """A shift of either sign, along all axes or one."""
    return {"shift": source.integer(-2, 3), "axis": source.choice((None, *range(x.ndim)))}


def broadcast_to(source: Choices, x: Array) -> Params:
    """One axis more, of length 1 to 3."""
    return {"shape": (source.integer(1, 3), *x.shape)}
