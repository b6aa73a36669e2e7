"""Scans along an axis: cumsum, cumprod, and the linear recurrence in which the derivatives of cumprod are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.domain import Special, sampled
from refgrad.op import register
from refgrad.ops import samplers

Array = Any


def _cumsum(x: Array, axis: int | None = None) -> Array:
    return np.add.accumulate(x, axis) if axis is not None else np.cumsum(x)


def _cumsum_rounding(fmt: Any, forward: Any, y: Array, xs: Any, es: Any, params: Any) -> Any:
    """Partial sums, each of m non-zero terms in any order: the bound of a sum."""
    x, e = np.abs(xs[0]), es[0]
    radius = 0.0 if e is None else forward(np.broadcast_to(e, x.shape), **params)
    size = x + bounds.zero(e)
    terms = forward((size != 0).astype(fmt.wide), **params)
    spread = np.where(terms > 1, (terms - 1) * fmt.u_acc * forward(size, **params), 0.0)
    return radius + spread + (0.0 if fmt.u == fmt.u_acc else fmt.store(y, radius + spread))


cumsum = register(
    "cumsum", _cumsum,
    jvp=lambda x_dot, axis: np.cumsum(x_dot, axis),
    vjp=lambda y_bar, x_shape, axis: np.reshape(np.flip(np.cumsum(np.flip(y_bar, axis), axis or 0), axis), x_shape)
    if axis is None
    else np.flip(np.cumsum(np.flip(y_bar, axis), axis), axis),
    rounding=_cumsum_rounding,
    torch=lambda torch, x, axis=None: torch.cumsum(x.reshape(-1) if axis is None else x, axis or 0),
    numpy=(np.cumsum,),
    domain=sampled(samplers.scan),
)  # fmt: skip


def _shifted(x: Array, axis: int, first: float) -> Array:
    """x moved one place up along the axis: the element before each one, ``first`` before the first."""
    lead = (slice(None),) * (axis % x.ndim)
    head = np.full_like(_plain_like(x)[(*lead, slice(0, 1))], first)
    return np.concatenate([head, x[(*lead, slice(None, -1))]], axis)


def _plain_like(x: Array) -> Array:
    return np.empty(x.shape, x.dtype)


def _recurrence(a: Array, b: Array, axis: int = -1, reverse: bool = False) -> Array:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    y = np.empty(b.shape, np.result_type(a, b))
    order = range(len(b))[::-1] if reverse else range(len(b))
    last: Any = None
    for k in order:
        last = b[k] if last is None else a[k] * last + b[k]
        y[k] = last
    return np.moveaxis(y, 0, axis)


def _cumprod(x: Array, axis: int | None = None) -> Array:
    return np.multiply.accumulate(x, axis) if axis is not None else np.cumprod(x)


cumprod = register(
    "cumprod", _cumprod,
    jvp=lambda x_dot, x, y, axis: x_dot * 0 + y,
    vjp=lambda y_bar, x, y, axis: y_bar * y,
    rounding=bounds.moved,
    torch=lambda torch, x, axis=None: torch.cumprod(x.reshape(-1) if axis is None else x, axis or 0),
    numpy=(np.cumprod,),
    domain=sampled(samplers.scan),
)  # fmt: skip
