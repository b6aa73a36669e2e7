"""Scans along an axis: cumsum, cumprod, and the linear recurrence in which the derivatives of cumprod are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.op import Op, register
from refgrad.op.traits import HOLOMORPHIC, PARAMETRISED, InGraphs
from refgrad.ops import by_parts, params_in_graphs, samplers
from refgrad.ops.products import ghost
from refgrad.ops.shape import concatenate


def _places(ndim: int, axis: int, places: slice) -> tuple[slice, ...]:
    return (slice(None),) * (axis % ndim) + (places,)


def _before(x: Array, axis: int, first: float) -> Array:
    """The element before each one along the axis, and ``first`` before the first."""
    if x.shape[axis] == 0:
        return x
    return concatenate(_edge(x, axis, first), x[_places(len(x.shape), axis, slice(None, -1))], axis=axis)


def _after(x: Array, axis: int, last: float) -> Array:
    """The element after each one along the axis, and ``last`` after the last."""
    if x.shape[axis] == 0:
        return x
    return concatenate(x[_places(len(x.shape), axis, slice(1, None))], _edge(x, axis, last), axis=axis)


def neighbours(x: Array, axis: int, outside: float) -> tuple[Array, Array]:
    """The elements before and after each one along the axis, and ``outside`` beyond the ends."""
    return _before(x, axis, outside), _after(x, axis, outside)


def _edge(x: Array, axis: int, value: float) -> PlainArray:
    dims = list(x.shape)
    dims[axis] = 1
    return np.full(tuple(dims), value, x.dtype)


def _along(x: PlainArray, axis: int | None) -> tuple[PlainArray, int]:
    """NumPy's axis=None is the flattened array."""
    return (np.reshape(x, (-1,)), 0) if axis is None else (x, axis)


# --- sums -------------------------------------------------------------------------------------------------------------


def _cumsum(x: Any, axis: int | None = None) -> PlainArray:
    return np.cumsum(x) if axis is None else np.add.accumulate(x, axis)


def _sums_after(y_bar: PlainArray, x_shape: tuple[int, ...], axis: int | None) -> PlainArray:
    y_bar, along = _along(y_bar, axis)
    x_bar = _summed_on(y_bar, along, reverse=True)
    return np.reshape(x_bar, x_shape) if axis is None else x_bar


cumsum = register(
    "cumsum", _cumsum,
    jvp=lambda x_dot, axis: np.cumsum(x_dot, axis),
    vjp=lambda y_bar, x_shape, axis: _sums_after(y_bar, x_shape, axis),
    rounding=bounds.running,
    torch=lambda torch, x, axis=None: torch.cumsum(x.reshape(-1) if axis is None else x, 0 if axis is None else axis),
    numpy=(np.cumsum,),
    domain=sampled(samplers.scan),
    sums=True, accumulates=np.add,
    in_graphs=InGraphs(PARAMETRISED, 8, params=params_in_graphs.one_axis),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


# --- products ---------------------------------------------------------------------------------------------------------


def _recurrence(x1: PlainArray, x2: PlainArray, axis: int = -1, reverse: bool = False) -> PlainArray:
    """y_k = x1_k y_(k-1) + x2_k from y_(-1) = 0; with ``reverse`` from the other end."""
    a, b = np.moveaxis(x1, axis, 0), np.moveaxis(x2, axis, 0)
    y = np.empty(b.shape, np.result_type(a, b))
    last: Any = None
    for k in reversed(range(len(b))) if reverse else range(len(b)):
        y[k] = last = b[k] if last is None else a[k] * last + b[k]
    return np.moveaxis(y, 0, axis)


def _recurrence_rounding(run: Evaluation) -> Any:
    """Up to n products and n sums on the way of each term, in any order: 2n u in the recurrence of absolute values."""
    fmt, forward, y, xs, es, params = run
    a, b = np.abs(xs[0]), np.abs(xs[1])
    ea, eb = bounds.zero(es[0]), bounds.zero(es[1])
    most = forward(a + ea, b + eb, **params)
    radius = most - forward(a, b, **params) if bounds.some(es) else 0.0
    n = np.shape(y)[params["axis"]]
    radius = (
        radius
        + 2 * n * fmt.u * most
        + n * fmt.eta * forward(np.maximum(a + ea, 1.0), np.ones_like(b), **params)
    )
    return np.where((most > fmt.max) & (np.abs(y) - radius < fmt.max), np.inf, radius)


def _recurrence_x1_jvp(
    x1_dot: PlainArray, x1: PlainArray, y: PlainArray, axis: int, reverse: bool
) -> PlainArray:
    previous = _after(y, axis, 0.0) if reverse else _before(y, axis, 0.0)
    return linear_recurrence(x1, x1_dot * previous, axis=axis, reverse=reverse)


def _recurrence_x1_vjp(
    y_bar: PlainArray, x1: PlainArray, y: PlainArray, axis: int, reverse: bool
) -> PlainArray:
    previous = _after(y, axis, 0.0) if reverse else _before(y, axis, 0.0)
    return _recurrence_x2_vjp(y_bar, x1, axis, reverse) * previous


def _recurrence_x2_vjp(y_bar: PlainArray, x1: PlainArray, axis: int, reverse: bool) -> PlainArray:
    following = _before(x1, axis, 0.0) if reverse else _after(x1, axis, 0.0)
    return linear_recurrence(following, y_bar, axis=axis, reverse=not reverse)


# Differentiating y_k = a_k y_(k-1) + b_k gives a recurrence of the same a; its transpose runs the other way, with a shifted by one.
linear_recurrence: Op = register(
    "linear_recurrence", _recurrence,
    jvp={
        "x1": _recurrence_x1_jvp,
        "x2": lambda x2_dot, x1, axis, reverse: linear_recurrence(x1, x2_dot, axis=axis, reverse=reverse),
    },
    vjp={
        "x1": _recurrence_x1_vjp,
        "x2": lambda y_bar, x1, axis, reverse: _recurrence_x2_vjp(y_bar, x1, axis, reverse),
    },
    rounding=_recurrence_rounding,
    domain=sampled(samplers.recurrence),
    helper=True,
    complex_rules=HOLOMORPHIC,
)  # fmt: skip


def _cumprod(x: Any, axis: int | None = None) -> PlainArray:
    return np.cumprod(x) if axis is None else np.multiply.accumulate(x, axis)


def _cumprod_rounding(run: Evaluation) -> Any:
    """The bound of a product, for every partial one."""
    fmt, forward, y, xs, es, params = run
    return bounds.multiplied(
        fmt, y, xs, es, lambda x: _cumsum(x, params["axis"]), lambda x: forward(x, **params)
    )


def _as_quotients_rounding(run: Evaluation) -> Any:
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    axis = params["axis"]
    e, factors, terms = bounds.zero(es[0]), np.abs(xs[1]), np.abs(xs[2]) + bounds.zero(es[2])
    lost, unsafe = bounds.product_underflow(
        fmt, factors, bounds.zero(es[1]), np.shape(y)[axis], lambda x: _cumprod(x, axis)
    )
    inverse = np.where(factors > 0, 1.0 / np.where(factors > 0, factors, 1.0), 0.0)
    if params["reverse"]:
        extra = (
            np.flip(_cumsum(np.flip(lost * terms, axis), axis), axis) * inverse
            + np.shape(y)[axis] * fmt.eta * inverse
        )
        sums = np.flip(_cumsum(np.flip(terms * _cumprod(factors, axis), axis), axis), axis)
        unsafe = unsafe | (sums > fmt.max)
        unsafe = np.flip(np.logical_or.accumulate(np.flip(unsafe, axis), axis), axis)
    else:
        ratios = _cumsum(terms * inverse, axis)
        # A quotient may underflow.
        extra = lost * ratios + np.shape(y)[axis] * fmt.eta * _cumprod(factors, axis)
        unsafe = unsafe | (ratios > fmt.max)
    return np.where(unsafe, np.where(np.isfinite(y), np.inf, np.nan), e + extra)


def _summed_on(x: PlainArray, axis: int, reverse: bool) -> PlainArray:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)


def _size(x2: PlainArray, x3: PlainArray, axis: int, reverse: bool) -> PlainArray:
    """What cancels where a kernel differentiates its quotients by a factor: two terms of this size for each, or (forward) for each pair."""
    safe = np.where(x2 == 0, 1.0, x2)
    terms = _summed_on(np.abs(x3 * np.cumprod(x2, axis)), axis, True) if reverse else x3
    return ghost(terms / (safe * safe), roundings=3 * x2.shape[axis] + 6)


def _as_quotients_x2_jvp(
    x2_dot: PlainArray, x2: PlainArray, x3: PlainArray, axis: int, reverse: bool
) -> PlainArray:
    left = x2_dot * _size(x2, x3, axis, reverse)
    return left if reverse else np.cumprod(x2, axis) * np.cumsum(left, axis)


def _as_quotients_x2_vjp(
    y_bar: PlainArray, x2: PlainArray, x3: PlainArray, axis: int, reverse: bool
) -> PlainArray:
    return (y_bar if reverse else _summed_on(y_bar * np.cumprod(x2, axis), axis, True)) * _size(
        x2, x3, axis, reverse
    )


# The derivative x1 of cumprod of x2 along or against x3, as kernels compute it where no factor is zero: from the products y by
# dividing factors out again, y_k sum x3_i/x2_i or sum x3_k y_k/x2_i. What y lost to underflow is enlarged by the division, and a second
# derivative in one factor, zero in truth, is left with the rounding of what cancels.
as_quotients = register(
    "as_quotients", lambda x1, x2, x3, axis=0, reverse=False: +x1,
    jvp={"x1": lambda x1_dot: x1_dot, "x2": _as_quotients_x2_jvp},
    vjp={"x1": lambda y_bar: y_bar, "x2": _as_quotients_x2_vjp},
    rounding=_as_quotients_rounding,
    domain=sampled(samplers.quotients),
    helper=True,
    complex_rules=lambda x1, x2, x3, **params: np.positive(x1),  # what it adds to x1 counts in bounds alone
)  # fmt: skip


# dy_k = x_k dy_(k-1) + y_(k-1) dx_k: no division, so right at zeros.
def _cumprod_jvp(x_dot: PlainArray, x: PlainArray, y: PlainArray, axis: int | None) -> PlainArray:
    (x_dot, along), (x, _) = _along(x_dot, axis), _along(x, axis)
    y_dot = linear_recurrence(x, x_dot * _before(y, along, 1.0), axis=along)
    return as_quotients(y_dot, x, x_dot, axis=along)


# x_bar_i = y_(i-1) r_i with r_i = y_bar_i + x_(i+1) r_(i+1).
def _cumprod_vjp(y_bar: PlainArray, x: PlainArray, y: PlainArray, axis: int | None) -> PlainArray:
    dims = x.shape
    x, along = _along(x, axis)
    x_bar = _before(y, along, 1.0) * linear_recurrence(_after(x, along, 0.0), y_bar, axis=along, reverse=True)
    x_bar = as_quotients(x_bar, x, y_bar, axis=along, reverse=True)
    return np.reshape(x_bar, dims) if axis is None else x_bar


cumprod = register(
    "cumprod", _cumprod,
    jvp=_cumprod_jvp,
    vjp=_cumprod_vjp,
    rounding=_cumprod_rounding,
    torch=lambda torch, x, axis=None: torch.cumprod(x.reshape(-1) if axis is None else x, 0 if axis is None else axis),
    numpy=(np.cumprod,),
    domain=sampled(samplers.scan),
    special=(
        Special((np.array([2.0, 0.0, 3.0, 4.0]),), [2.0, 0.0, 0.0, 0.0], (([1.0, 32.0, 0.0, 0.0], [1.0, 32.0, 0.0, 0.0]),), "one zero"),
        Special((np.array([2.0, 0.0, 0.0, 4.0]),), [2.0, 0.0, 0.0, 0.0], (([1.0, 2.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]),), "two zeros"),
        Special((np.zeros(0),), np.zeros(0), ((0.0, 0.0),), "empty"),
    ),
    accumulates=np.multiply,
    in_graphs=InGraphs(PARAMETRISED, 10, params=params_in_graphs.one_axis),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip
