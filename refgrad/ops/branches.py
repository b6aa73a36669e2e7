"""Operands brought to the other side of a branch of an op, for planted errors (``Mistakes.other_branch``).

Each takes the operands as arrays and a random generator. It returns all operands, those that it did not change as the same objects,
or None where there is nothing to change. The operands are not empty.
"""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array

Random = np.random.Generator


def negated(xs: list[Array], rng: Random) -> list[Array]:
    """One element of the first operand on the other side of zero."""
    x = np.array(xs[0])
    x.flat[int(rng.integers(x.size))] *= -1
    return [x, *xs[1:]]


def mirrored(xs: list[Array], _rng: Random) -> list[Array]:
    """All elements of the first operand negated: the smallest takes the place of the largest."""
    return [-xs[0], *xs[1:]]


def exchanged(xs: list[Array], rng: Random) -> list[Array]:
    """The two operands exchanged at one element of their common shape."""
    a, b = (np.array(x) for x in np.broadcast_arrays(*xs))
    k = int(rng.integers(a.size))
    a.flat[k], b.flat[k] = b.flat[k], a.flat[k]
    return [a, b]


def clipped(xs: list[Array], rng: Random) -> list[Array]:
    """One element moved from inside the bounds to beyond the upper one, or from outside to between them."""
    x, low, high = (np.array(a) for a in np.broadcast_arrays(*xs))
    k = int(rng.integers(x.size))
    inside = low.flat[k] < x.flat[k] < high.flat[k]
    x.flat[k] = high.flat[k] + 1 if inside else (low.flat[k] + high.flat[k]) / 2
    return [x, low, high]


def flipped(xs: list[Array], rng: Random) -> list[Array] | None:
    """One element of the condition negated; None where the first operand is not boolean."""
    if xs[0].dtype.kind != "b":
        return None
    condition = np.array(xs[0])
    k = int(rng.integers(condition.size))
    condition.flat[k] = not condition.flat[k]
    return [condition, *xs[1:]]
