"""Normalised exponentials: softmax, log_softmax, logsumexp, cross_entropy.

All shift by the maximum, so that huge arguments do not overflow. Goodfellow et al., Deep Learning (2016), section 4.1;
rounding: Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.domain import Special, sampled
from refgrad.errors import ArgumentError
from refgrad.op import register

Array = Any


def _shift(x: Array, axis: Any) -> Array:
    """The maximum along axis; 0 where it is infinite or the axis is empty."""
    m = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(m), m, 0).astype(x.dtype)


def _logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    x = np.asarray(x)
    m = _shift(x, axis)
    with np.errstate(divide="ignore"):
        y = np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True)) + m
    return y if keepdims else np.squeeze(y, axis)[()]


def _expand(y: Array, x_shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    """Put reduced axes back with size 1."""
    if keepdims:
        return y
    axes = range(len(x_shape)) if axis is None else [a % len(x_shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
    return np.reshape(y, tuple([1 if k in axes else n for k, n in enumerate(x_shape)]))


def _weights(x: Array, y: Array, axis: Any, keepdims: bool) -> Array:
    """exp(x - y): the limit 1 for an element +inf, 0 where all elements are -inf."""
    y = _expand(y, x.shape, axis, keepdims)
    return np.exp(np.where(x == np.inf, 0.0, x - np.where(y == -np.inf, 0.0, y)))


def _count(x: Array, axis: Any) -> int:
    """How many elements are normalised together."""
    axes = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    return int(np.prod([x.shape[a] for a in axes]))


def _spread(fmt: Any, x: Array, e: Any, axis: Any) -> tuple[Array, Array, Array, Array]:
    """What the kernels share: t = x - max, log s, the relative error of the computed s, and log sum w exp(e) carried.

    s = sum exp(t): each t is rounded (relative error u|t| of its exponential), exp has its ULP error, the sum n - 1
    additions. Blanchard, Higham, Higham (2021), section 3. Stored intermediates (half formats) round in u.
    """
    t = x - _shift(x, axis)
    log_s = _logsumexp(t, axis, True)
    w = np.exp(t - np.where(np.isfinite(log_s), log_s, 0))
    distance = np.where(w > 0, np.abs(t), 0)
    relative = fmt.u * np.sum(w * distance, axis, keepdims=True) + (_count(x, axis) - 1) * fmt.u_acc + 2 * fmt.ulp("exp") * fmt.u
    relative = relative + (0.0 if fmt.u == fmt.u_acc else 2 * fmt.u) + _count(x, axis) * fmt.eta
    carried = 0.0 if e is None else _logsumexp(np.log(w) + np.broadcast_to(e, x.shape), axis, True)
    return t, log_s, relative / (1 - np.minimum(relative, 0.5)), carried


def _logsumexp_rounding(fmt: Any, forward: Any, y: Any, xs: Any, es: Any, params: Any) -> Any:
    """Carried log sum w exp(e); added: relative error of the sum, log's ULP of log s, the last addition."""
    axis, keepdims = params["axis"], params["keepdims"]
    _, log_s, relative, carried = _spread(fmt, xs[0], es[0], axis)
    radius = carried + relative + 2 * fmt.ulp("log") * fmt.u * (np.abs(log_s) + relative)
    radius = radius if keepdims else np.squeeze(radius, axis)
    return radius + fmt.store(y, radius)


def _draw_logsumexp(rng: np.random.Generator) -> Any:
    shape, axis = _AXES[int(rng.integers(len(_AXES)))]
    return (rng.uniform(-3, 3, shape),), {"axis": axis, "keepdims": bool(rng.integers(2))}


_AXES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((3,), None), ((2, 3), None), ((2, 3), 0), ((2, 3), -1), ((2, 3), (0, 1)), ((2, 1, 3), (-1, 0)), ((2, 1), 1), ((4, 0, 2), 2), ((), None),
)  # fmt: skip

logsumexp = register(
    "logsumexp", _logsumexp,
    jvp=lambda x_dot, x, y, axis, keepdims: np.sum(x_dot * _weights(x, y, axis, keepdims), axis=axis, keepdims=keepdims),
    vjp=lambda y_bar, x, y, axis, keepdims: _expand(y_bar, x.shape, axis, keepdims) * _weights(x, y, axis, keepdims),
    rounding=_logsumexp_rounding,
    torch=lambda torch, x, axis=None, keepdims=False: torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdims),
    domain=sampled(_draw_logsumexp),
    special=(
        Special(([-np.inf, 0.0],), 0.0, (([0.0, 1.0], [0.0, 1.0]),), "a weight of 0"),
        Special(([-np.inf, -np.inf],), -np.inf, (None,), "log of 0"),
        Special(([np.inf, 0.0],), np.inf, (([1.0, 0.0], [1.0, 0.0]),), "the limit at +inf"),
        Special(([1e4, 1e4],), 1e4 + np.log(2), (([0.5, 0.5], [0.5, 0.5]),), "exp overflows without the shift"),
    ),
)  # fmt: skip
