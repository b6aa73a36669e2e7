"""The share of one of two exponentials in their sum, b^x1/(b^x1 + b^x2), and its slope: the derivatives of logaddexp and logaddexp2.

Both are functions of d = x1 - x2. Far out the share is exp(-|d|), and a rounding of d is |d| roundings of it: so what the difference
leaves out goes on as a factor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.op import Op, register
from refgrad.ops.activation import sigmoid
from refgrad.ops.compensated import in_float64, two_sum


def _natural(binary: bool, like: Array) -> Any:
    """log b in the dtype of ``like``: the base b is 2 or e."""
    return np.log(like.dtype.type(2)) if binary else 1


def _apart(x1: Array, x2: Array, binary: bool) -> tuple[Array, Array, Array]:
    """d = x1 - x2, b^-|d|, and what d leaves out, times log b."""
    d, rest = two_sum(x1, -x2)
    rest = np.where(np.isfinite(d), rest, 0.0) * _natural(binary, d)
    return d, np.exp2(-np.abs(d)) if binary else np.exp(-np.abs(d)), rest


@in_float64
def _share(x1: Array, x2: Array, binary: bool = False) -> Array:
    d, z, rest = _apart(x1, x2, binary)
    negative = np.signbit(d)
    return np.where(negative, z, 1.0) / (1 + z) * (1 + np.where(negative, 1.0, z) / (1 + z) * rest)


@in_float64
def _share_slope(x1: Array, x2: Array, binary: bool = False) -> Array:
    d, z, rest = _apart(x1, x2, binary)
    return z / ((1 + z) * (1 + z)) * (1 + np.copysign((1 - z) / (1 + z), -d) * rest)


def _moved(fmt: Any, xs: Any, es: Any, binary: bool) -> tuple[Array, Array, Array, Array]:
    """d log b, its radius, and how many roundings of b^d the rounding of d comes to, and those of the power itself."""
    natural = float(np.log(2)) if binary else 1.0
    d = xs[0] - xs[1]
    d = np.where(np.isfinite(d), d, np.where(np.isnan(d), 0.0, np.sign(d) / fmt.u)) * natural
    e = (bounds.zero(es[0]) + bounds.zero(es[1])) * natural
    of_d = np.where((xs[0] == 0) | (xs[1] == 0), 0.0, 1.0) + binary
    return d, e, of_d * (np.abs(d) + e), 2 * fmt.ulp("exp2" if binary else "exp")


def _share_rounding(run: Evaluation) -> Array:
    """1/(1 + z) or z/(1 + z): the error of z counts with the share of the other; sum and quotient round. |y''| <= 0.0963."""
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    d, e, moved, power = _moved(fmt, xs, es, params["binary"])
    other = sigmoid.forward(-d)
    carried: Array | float = 0.0
    if bounds.some(es):
        carried = bounds.endless(np.minimum(y * other * e + 0.0482 * e * e, 1.0), *es)
    size = np.abs(y) + carried
    steps = (np.minimum(moved, 1 / fmt.u) + power) * np.minimum(other + e, 1.0) + 3
    return carried + fmt.u * steps * size + np.where(size < 4 / fmt.max, size, 0.0) + 2 * fmt.eta


def _share_slope_rounding(run: Evaluation) -> Array:
    """z/(1 + z)^2, or the two quotients multiplied: the error of z counts with a factor of at most 1. |y''| <= 1/8."""
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    d, e, moved, power = _moved(fmt, xs, es, params["binary"])
    carried: Array | float = 0.0
    if bounds.some(es):
        carried = bounds.endless(np.minimum(y * np.tanh(np.abs(d) / 2) * e + e * e / 16, 0.25), *es)
    size = np.abs(y) + carried
    steps = np.minimum(moved, 1 / fmt.u) + power + 6
    return carried + fmt.u * steps * size + np.where(size < 4 / fmt.max, size, 0.0) + 4 * fmt.eta


def _bent(x1: Array, x2: Array, binary: bool) -> Array:
    """The slope of the slope over the slope: -tanh(d log(b)/2) log b."""
    natural = _natural(binary, x1)
    return -np.tanh((x1 - x2) * (natural / 2)) * natural


share_slope: Op = register(
    "share_slope", _share_slope,
    jvp={
        "x1": lambda x1_dot, x1, x2, y, binary: x1_dot * (y * _bent(x1, x2, binary)),
        "x2": lambda x2_dot, x1, x2, y, binary: x2_dot * (y * _bent(x2, x1, binary)),
    },
    vjp={
        "x1": lambda y_bar, x1, x2, y, binary: y_bar * y * _bent(x1, x2, binary),
        "x2": lambda y_bar, x1, x2, y, binary: y_bar * y * _bent(x2, x1, binary),
    },
    rounding=_share_slope_rounding,
    broadcasts=True,
    elementwise=True, commutes=True, helper=True,
)  # fmt: skip

share: Op = register(
    "share", _share,
    jvp={
        "x1": lambda x1_dot, x1, x2, binary: x1_dot * share_slope(x1, x2, binary=binary) * _natural(binary, x1),
        "x2": lambda x2_dot, x1, x2, binary: -x2_dot * share_slope(x1, x2, binary=binary) * _natural(binary, x1),
    },
    vjp={
        "x1": lambda y_bar, x1, x2, binary: y_bar * share_slope(x1, x2, binary=binary) * _natural(binary, x1),
        "x2": lambda y_bar, x1, x2, binary: -(y_bar * share_slope(x1, x2, binary=binary)) * _natural(binary, x1),
    },
    rounding=_share_rounding,
    broadcasts=True,
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip
