"""Ties in forward mode over Balls: where the value of an op is one of its operands, its tangent lies between those of the candidates.

The rules of such an op (maximum, clip, max over an axis) multiply each tangent by a share in [0, 1], as if each share could be anything.
But shares add up to one: where all candidates move alike the value moves with them, whichever is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import Format
from refgrad.op import Op, Params
from refgrad.ops.shape import axes_of, count
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, lift, parts


def between(op: Op, values: tuple[Any, ...], params: Params, tangents: list[Any], y: Any, y_dot: Any) -> Any:
    """The tangent y_dot that the rules of ``op`` gave, narrowed to the hull of the candidates' tangents where that is less.

    tangents   one for each operand, None for a constant

    Only a first derivative over Balls is narrowed, of an op that ``picks``; anything else comes back as it is.
    """
    if not op.picks or type(y) is not Ball or type(y_dot) is not Ball or y_dot.radius is None:
        return y_dot
    fmt = y.fmt
    if not fmt.kinks:
        return y_dot
    top, reach = parts(y)
    if not top.size:
        return y_dot
    with quiet():
        if len(values) == 2 and not _near(values, reach, fmt):
            return y_dot  # the usual case
        x, e, t, e_dot, taken = _in_rows(values, params, tangents, top.shape, fmt)
        candidate = ((x == top) | (np.abs(x - top) <= e + reach)) & taken
        number = np.count_nonzero(candidate, axis=0)
        if not np.any(number > 1):
            return y_dot
        low = np.where(candidate, t - e_dot, np.inf).min(axis=0)
        high = np.where(candidate, t + e_dot, -np.inf).max(axis=0)
        # Shares of so many elements: each a quotient, times its tangent, and their sum.
        radius = (high - low) / 2 + (number + 2) * fmt.store(np.maximum(np.abs(low), np.abs(high)))
        narrower = (number > 1) & (radius < np.broadcast_to(y_dot.radius, top.shape))
        value = np.where(narrower, low + (high - low) / 2, y_dot.value)
        return Ball(value, np.where(narrower, radius, y_dot.radius), fmt)


def _in_rows(
    values: tuple[Any, ...], params: Params, tangents: list[Any], shape: tuple[int, ...], fmt: Format
) -> tuple[Array, ...]:
    """The elements that each element of the value is picked from, along a new first axis.

    Five arrays: the elements and their radii, their tangents and the radii of those, and which of them count.
    """
    given = [_lifted(x, fmt) for x in values]
    moving = [_lifted(0.0 if x_dot is None else x_dot, fmt) for x_dot in tangents]
    if "axis" not in params:
        rows = [
            np.stack([np.broadcast_to(pair[k], shape) for pair in pairs])
            for pairs in (given, moving)
            for k in (0, 1)
        ]
        return (*rows, np.ones(rows[0].shape, bool))
    x = given[0][0]
    axes = axes_of(params["axis"], x.ndim)
    order = axes + tuple(k for k in range(x.ndim) if k not in axes)
    taken = np.broadcast_to(params["where"], x.shape)
    rows = [
        np.reshape(np.transpose(a, order), (count(x.shape, params["axis"]), *shape))
        for a in (*given[0], *moving[0], taken)
    ]
    if params["initial"] is not None:  # a constant
        ends = (*_lifted(params["initial"], fmt), 0.0, 0.0, True)
        rows = [
            np.concatenate([a, np.full((1, *shape), end, a.dtype)]) for a, end in zip(rows, ends, strict=True)
        ]
    return tuple(rows)


def _near(values: tuple[Any, ...], reach: Array, fmt: Format) -> bool:
    """Whether somewhere both of two operands may be the value."""
    (x1, e1), (x2, e2) = (_lifted(x, fmt) for x in values)
    return bool(np.count_nonzero((x1 == x2) | (np.abs(x1 - x2) <= e1 + e2 + 2 * reach)))


def _lifted(x: Any, fmt: Format) -> tuple[Array, Array]:
    return parts(x if type(x) is Ball else lift(x, fmt))


__all__ = ["between"]
