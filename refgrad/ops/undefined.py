"""Two linear maps without a derivative at some places, for special points (refgrad/tracing/special_points.py). They are in no registry."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.op import Op, Traced
from refgrad.op.traits import REAL_LINEAR
from refgrad.ops import by_parts
from refgrad.ops.shape import sum_to


def _void_rounding(run: Evaluation) -> Any:
    y, es, params = run.y, run.es, run.params
    if es[0] is None:
        return None
    radius = np.broadcast_to(es[0], y.shape)
    return np.where(params["at"] & (radius > 0), np.nan, y), radius


# x times a derivative that is 1, and not defined at some places: NaN there, but 0 where x is exactly 0.
void: Op = Op(
    "void", lambda x, at=False: np.where(at & (x != 0), np.nan, x),
    jvp=lambda x_dot, at: void(x_dot, at=at),
    vjp=lambda y_bar, at: void(y_bar, at=at),
    rounding=_void_rounding,
    complex_rules=REAL_LINEAR, by_parts=by_parts.separately,
)  # fmt: skip

# Zero, of the shape of x and the places together. It has no derivative at the places.
rough = Op(
    "rough", lambda x, at=False: np.zeros(np.broadcast_shapes(np.shape(x), np.shape(at)), x.dtype),
    jvp=lambda x_dot, at: np.where(at, x_dot * np.nan, 0.0),
    vjp=lambda y_bar, x_shape, at: sum_to(np.where(at, y_bar * np.nan, 0.0), x_shape),
    rounding=lambda run: None,
    complex_rules=REAL_LINEAR, by_parts=by_parts.separately,
)  # fmt: skip


def at_cusp(slope: Array, x: Array, y: Array) -> Array:
    """The slope of a norm y at x, which is a convention where y is 0: further derivatives are NaN there.

    Otherwise the derivative of what stands for the slope, 0/1, would count as that of x/y. Only an x that a transformation traces has
    further derivatives; over Balls the special points say the same.
    """
    if not isinstance(x, Traced) or x._level == 0:
        return slope
    at = y == 0
    if isinstance(at, Traced) or not np.any(at):
        return slope
    return slope + rough(x, at=at)
