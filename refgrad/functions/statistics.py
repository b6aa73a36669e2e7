"""Statistics and other sums: var, std, average, median, nansum and its kin, diff, trapezoid, cross, ptp."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.dispatch import plain
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.functions.choosing import sort
from refgrad.functions.front import axes_within, given, implements, operand
from refgrad.op import Traced
from refgrad.ops import deviation
from refgrad.ops.shape import axes_of, count, kept

Array = Any
Axis = int | tuple[int, ...] | None
_NONE = np._NoValue


def _spread_about_mean(op: Any) -> Any:
    def call(
        a: Array, axis: Axis = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: Any = _NONE, *,
        where: Any = _NONE, mean: Any = _NONE, correction: Any = _NONE,
    ) -> Array:  # fmt: skip
        if mean is not _NONE:
            raise NoRuleError(f"np.{op.name}(mean=...) has no rule: leave mean= away, it changes cost only")
        if correction is not _NONE:
            if ddof != 0:
                raise ValueError("ddof and correction can't be provided simultaneously.")
            ddof = correction
        a = a if dtype is None else a.astype(dtype)
        return op(
            a, axis=axis, ddof=ddof, keepdims=given(keepdims), where=True if where is _NONE else plain(where)
        )

    call.__name__ = op.name
    return call


implements(np.var)(_spread_about_mean(deviation.var))
implements(np.std)(_spread_about_mean(deviation.std))


@implements(np.average)
def average(
    a: Array, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _NONE
) -> Any:
    a, keep = operand(a), given(keepdims)
    if weights is None:
        y = np.mean(a, axis=axis, keepdims=keep)
        total = np.full(y.shape, a.size / max(int(np.prod(y.shape)), 1), y.dtype)
        return (y, total) if returned else y
    w = operand(weights)
    if w.shape != a.shape:
        axes = axes_of(axis, a.ndim)
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if w.shape != tuple([a.shape[k] for k in axes]):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        w = np.transpose(w, tuple(np.argsort(axes).tolist())).reshape(
            tuple([n if k in axes else 1 for k, n in enumerate(a.shape)])
        )
        w = np.broadcast_to(w, a.shape)
    total = np.sum(w, axis=axis, keepdims=keep)
    y = np.sum(a * w, axis=axis, keepdims=keep) / total
    return (y, np.broadcast_to(total, y.shape)) if returned else y


@implements(np.median)
def median(
    a: Array, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    ordered = _sorted_rows(a, axis)
    n = ordered.shape[-1]
    y = ordered[..., n // 2] if n % 2 else (ordered[..., n // 2 - 1] + ordered[..., n // 2]) * 0.5
    return _finished(y, ordered, a, axis, keepdims)


def _sorted_rows(a: Array, axis: Axis) -> Array:
    axes = axes_of(axis, a.ndim)
    rest = tuple([k for k in range(a.ndim) if k not in axes])
    rows = a.transpose(rest + axes).reshape((*[a.shape[k] for k in rest], count(a.shape, axis)))
    if rows.shape[-1] == 0:
        raise ArgumentError(
            f"the median or a quantile of no elements is not defined: shape {a.shape}, axis {axis}"
        )
    return sort(rows)


def _finished(y: Array, ordered: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    last = plain(ordered)[..., -1]  # NaN sorts to the end
    y = np.where(np.isnan(last), np.nan, y) if np.isnan(last).any() else y
    return y.reshape(kept(a.shape, axis)) if keepdims else y


@implements(np.quantile)
def quantile(
    a: Array, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: Any = None, interpolation: Any = None,
) -> Array:  # fmt: skip
    if method != "linear" or weights is not None or interpolation is not None:
        raise NoRuleError(
            f"np.quantile: method={method!r} with weights has no rule; the linear method without weights has"
        )
    if isinstance(q, Traced):
        raise NoRuleError("np.quantile: the derivative in q has no rule; q must be plain numbers")
    a = operand(a)
    ordered, q = _sorted_rows(a, axis), np.asarray(q)
    n = ordered.shape[-1]

    def one(level: float) -> Array:
        place = level * (n - 1)
        k = min(int(place), max(n - 2, 0))
        low, high = ordered[..., k], ordered[..., min(k + 1, n - 1)]
        return _finished(low + (high - low) * (place - k), ordered, a, axis, keepdims)

    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    levels = [one(float(level)) for level in q.ravel()]
    return levels[0] if q.ndim == 0 else np.stack(levels).reshape(q.shape + levels[0].shape)


@implements(np.percentile)
def percentile(
    a: Array, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear", keepdims: bool = False,
    *, weights: Any = None, interpolation: Any = None,
) -> Array:  # fmt: skip
    levels = np.true_divide(q, 100)
    return quantile(
        a, levels, axis, None, overwrite_input, method, keepdims, weights=weights, interpolation=interpolation
    )


@implements(np.ptp)
def ptp(a: Array, axis: Axis = None, out: None = None, keepdims: Any = False) -> Array:
    keepdims = given(keepdims)
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# --- skipping NaN -----------------------------------------------------------------------------------------------------


def _without_nan(reduction: Any, identity: float) -> Any:
    def call(
        a: Array, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = _NONE, **kwargs: Any
    ) -> Array:
        keepdims = given(keepdims)
        return reduction(
            np.where(np.isnan(plain(a)), identity, a), axis=axis, dtype=dtype, keepdims=keepdims, **kwargs
        )

    return call


def _present(a: Array, where: Any) -> Array:
    """Which elements are numbers and are asked for."""
    present = ~np.isnan(plain(a))
    return present if where is _NONE else present & plain(where)


def _spread_without_nan(function: Any) -> Any:
    def call(
        a: Array, axis: Axis = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: Any = _NONE, *,
        where: Any = _NONE, mean: Any = _NONE, correction: Any = _NONE,
    ) -> Array:  # fmt: skip
        present = _present(a, where)
        return function(
            np.where(present, a, 0.0), axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=present, mean=mean,
            correction=correction,
        )  # fmt: skip

    return call


implements(np.nanvar)(_spread_without_nan(np.var))
implements(np.nanstd)(_spread_without_nan(np.std))
implements(np.nansum)(_without_nan(np.sum, 0.0))
implements(np.nanprod)(_without_nan(np.prod, 1.0))


@implements(np.nancumsum)
def nancumsum(a: Array, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    return np.cumsum(np.where(np.isnan(plain(a)), 0.0, a), axis, dtype)


@implements(np.nancumprod)
def nancumprod(a: Array, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    return np.cumprod(np.where(np.isnan(plain(a)), 1.0, a), axis, dtype)


@implements(np.nanmean)
def nanmean(
    a: Array,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = _NONE,
    *,
    where: Any = _NONE,
) -> Array:
    present = _present(a, where)
    safe = np.where(present, a, 0.0)
    return np.mean(safe, axis=axis, dtype=dtype, keepdims=given(keepdims), where=present)


def _extreme_without_nan(reduction: Any, identity: float) -> Any:
    def call(
        a: Array,
        axis: Axis = None,
        out: None = None,
        keepdims: Any = _NONE,
        initial: Any = _NONE,
        where: Any = _NONE,
    ) -> Array:
        keepdims, absent = given(keepdims), ~_present(a, where)
        y = reduction(np.where(absent, identity, a), axis=axis, keepdims=keepdims)
        if initial is not _NONE:
            return np.maximum(y, initial) if identity < 0 else np.minimum(y, initial)
        return np.where(np.all(absent, axis=axis, keepdims=keepdims), np.nan, y)

    return call


implements(np.nanmax)(_extreme_without_nan(np.max, -np.inf))
implements(np.nanmin)(_extreme_without_nan(np.min, np.inf))


# --- sums of neighbours and of products -------------------------------------------------------------------------------


@implements(np.diff)
def diff(a: Array, n: int = 1, axis: int = -1, prepend: Any = _NONE, append: Any = _NONE) -> Array:
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    a = operand(a)
    (axis,) = axes_within(axis, a.ndim)
    lead = (slice(None),) * axis
    parts = [operand(x) if x is not _NONE else None for x in (prepend, append)]
    edge = (*a.shape[:axis], 1, *a.shape[axis + 1 :])
    parts = [np.broadcast_to(x, edge) if x is not None and x.ndim == 0 else x for x in parts]
    if any(x is not None for x in parts):
        a = np.concatenate([x for x in (parts[0], a, parts[1]) if x is not None], axis)
    for _ in range(n):
        a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
    return a


def _cumulative(scan: Any, identity: float) -> Any:
    def call(
        x: Array,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        out: None = None,
        include_initial: bool = False,
    ) -> Array:
        if axis is None and x.ndim > 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        y = scan(x, 0 if axis is None else axis, dtype)
        if not include_initial:
            return y
        edge = list(y.shape)
        edge[axis or 0] = 1
        return np.concatenate([np.full(tuple(edge), identity, y.dtype), y], axis or 0)

    return call


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    implements(np.cumulative_sum)(_cumulative(np.cumsum, 0.0))
    implements(np.cumulative_prod)(_cumulative(np.cumprod, 1.0))


@implements(np.ediff1d)
def ediff1d(ary: Array, to_end: Any = None, to_begin: Any = None) -> Array:
    steps = diff(np.ravel(ary))
    parts = [np.ravel(operand(x)) for x in (to_begin, steps, to_end) if x is not None]
    return np.concatenate(parts) if len(parts) > 1 else steps


@implements(np.trapezoid)
def trapezoid(y: Array, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    y = operand(y)
    (axis,) = axes_within(axis, y.ndim)
    lead = (slice(None),) * axis
    if x is not None:
        x = operand(x)
        dx = diff(x, axis=0 if x.ndim == 1 else axis)
        dx = dx.reshape(tuple([-1 if k == axis else 1 for k in range(y.ndim)])) if x.ndim == 1 else dx
    return np.sum(dx * (y[(*lead, slice(1, None))] + y[(*lead, slice(None, -1))]) * 0.5, axis=axis)


@implements(np.cross)
def cross(
    a: Array, b: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    a, b = np.moveaxis(operand(a), axisa, -1), np.moveaxis(operand(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(
            f"np.cross: vectors of three components are expected, got {a.shape[-1]} and {b.shape[-1]}"
        )
    (a0, a1, a2), (b0, b1, b2) = [(v[..., 0], v[..., 1], v[..., 2]) for v in (a, b)]
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axisc)
