"""The logarithm of running sums of exponentials.

y_k = log(exp(x_0) + ... + exp(x_k)). With the shares b_k = exp(x_k - y_k) of the last element and a_k = exp(y_(k-1) - y_k) of the others,
the tangent is the recurrence y_dot_k = a_k y_dot_(k-1) + b_k x_dot_k. No share is above 1, and a shift of all x changes none.
Rounding: Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import samplers
from refgrad.ops.scan import linear_recurrence, neighbours
from refgrad.ops.stop_gradient import stop_gradient
from refgrad.quiet import quietly


def _forward(x: PlainArray, axis: int = -1) -> PlainArray:
    x = np.asarray(x)
    wide = x.astype(np.result_type(x.dtype, np.float64), copy=False)
    y: PlainArray = quietly(np.logaddexp.accumulate, wide, axis=axis)
    return quietly(y.astype, x.dtype, copy=False)


def _rounding(run: Evaluation) -> Any:
    """Each step is m + log1p(exp(-d)), as in logaddexp, and the share of what came before is at most 1, so that errors add up.

    With d the distance of the two, d exp(-d)/(1 + exp(-d)) is below 0.28, the share of the smaller one at most 1/2, and the logarithm
    at most 0.7. Carried: the function is monotone in every element.
    """
    fmt, forward, y, xs, es, params = run
    x, e, axis = xs[0], es[0], params["axis"]
    if y.size == 0:
        return None
    carried: Any = 0.0
    if e is not None:
        with np.errstate(all="ignore"):
            ends = [np.abs(forward(x + side * e, **params) - y) for side in (-1, 1)]
        carried = np.maximum(*[np.where(y == -np.inf, 0.0, end) for end in ends])
        carried = np.where(np.isnan(carried), np.inf, carried)
    inner = 1.28 + fmt.ulp("exp") + 1.4 * fmt.ulp("log")
    size = np.where(np.isfinite(y), np.abs(y), 0.0) + inner
    first = np.arange(y.shape[axis]).reshape([-1 if k == axis % y.ndim else 1 for k in range(y.ndim)]) == 0
    steps = np.cumsum(np.where(first, 0.0, size), axis)  # the first element is itself
    u = fmt.u_acc if fmt.u_scan is None else fmt.u_scan
    radius = carried + u * steps
    stored = fmt.store(y, radius) if fmt.u != fmt.u_acc else fmt.eta
    return radius + np.where(steps > 0, stored, 0.0)


def _shares(x: Array, y: Array, axis: int) -> tuple[Array, Array]:
    """b and a, from elements and the logarithms of their sums; 0 where there is nothing but -inf."""
    safe = np.where(y == -np.inf, 0.0, y)
    before, _ = neighbours(y, axis, -np.inf)
    return np.exp(x - safe), np.exp(before - safe)


def _shifted(x: Array, axis: int) -> tuple[Array, Array]:
    """The shares, of elements that are shifted to the largest one: the rounding of a large y would be many roundings of them."""
    top = stop_gradient(np.max(x, axis=axis, keepdims=True))
    t = x - np.where(np.abs(top) == np.inf, 0.0, top)
    return _shares(t, logcumsumexp(t, axis=axis), axis)


def _defined(x_dot: Array, y: Array) -> Array:
    """NaN where the sum is 0, of whose logarithm nothing is defined."""
    return np.where(y == -np.inf, np.nan, x_dot)


def _tangent(x_dot: Array, shares: tuple[Array, Array], axis: int) -> Array:
    b, a = shares
    return linear_recurrence(a, b * x_dot, axis=axis)


def _cotangent(y_bar: Array, shares: tuple[Array, Array], axis: int) -> Array:
    b, a = shares
    _, after = neighbours(a, axis, 0.0)
    return b * linear_recurrence(after, y_bar, axis=axis, reverse=True)


def _summed(x_dot: Array, x: Array, y: Array, axis: int) -> Array:
    """The tangent as a quotient of running sums of exp(x - the largest x), whose derivative cancels but for its rounding."""
    top = np.max(x, axis=axis, keepdims=True)
    weights = np.exp(x - np.where(np.abs(top) == np.inf, 0.0, top))
    return np.cumsum(x_dot * weights, axis) / np.cumsum(weights, axis)


def by_logarithms(y_bar: Array, x: Array, y: Array, axis: int, running: Any = None) -> Array:
    """exp(x + log(sum of y_bar exp(-y) from here on)), of positive and of negative cotangents.

    A cotangent of 0 has no logarithm. Its share exp(x - y) enters as a factor: it adds 0, and its derivative is the share.
    What has the other sign has the least number for a logarithm, which is infinity less a y of -infinity.
    ``running`` sums, where it is not the op.
    """
    total: Any = _cotangent(np.where(y_bar == 0, y_bar, 0.0), _shares(x, y, axis), axis)
    none = np.where(y == -np.inf, np.inf, -np.inf)
    for sign in (1.0, -1.0):
        part = np.where(sign * y_bar > 0, sign * y_bar, 0.0)
        logs = np.where(part > 0, np.log(np.where(part > 0, part, 1.0)) - y, none)
        sums = np.flip((running or logcumsumexp)(np.flip(logs, axis), axis=axis), axis)
        nothing = sums == -np.inf
        total = total + sign * np.where(nothing, 0.0, np.exp(np.where(nothing, 0.0, sums) + x))
    return total


logcumsumexp: Op = register(
    "logcumsumexp", _forward,
    jvp=lambda x_dot, x, y, axis: _defined(_tangent(x_dot, _shifted(x, axis), axis), y) if x.size else x_dot,
    vjp=lambda y_bar, x, y, axis: _defined(_cotangent(y_bar, _shifted(x, axis), axis), y) if x.size else y_bar,
    rounding=_rounding,
    torch=lambda torch, x, axis=-1: torch.logcumsumexp(x, axis),
    domain=sampled(samplers.scan_along),
    special=(
        Special((np.array([-400.0, 300.0]),), [-400.0, 300.0], (([1.0, 1.0], [1.0, 1.0]),), "one element dominates"),
        Special((np.array([-np.inf, 0.0]),), [-np.inf, 0.0], (None,), "log of 0"),
    ),
    usual=(
        Formula(
            "shares exp(x - y): the rounding of a large y is many roundings of them; in reverse by logarithms of cotangents",
            jvp=lambda x_dot, x, y, axis: _tangent(x_dot, _shares(x, y, axis), axis) if x.size else x_dot,
            vjp=lambda y_bar, x, y, axis: by_logarithms(y_bar, x, y, axis) if x.size else y_bar,
            blind=True,
        ),
        Formula(
            "running sums of exp(x - the largest x), which underflow; in reverse shares exp(x - y)",
            jvp=lambda x_dot, x, y, axis: _summed(x_dot, x, y, axis) if x.size else x_dot,
            vjp=lambda y_bar, x, y, axis: _cotangent(y_bar, _shares(x, y, axis), axis) if x.size else y_bar,
            blind=True,
        ),
    ),
    sums=True,
)  # fmt: skip
