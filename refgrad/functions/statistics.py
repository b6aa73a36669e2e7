"""Statistics and other sums: var, std, average, median, nansum and related functions, diff, trapezoid, cross, ptp."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, DtypeError
from refgrad.functions.registry import axis_within, given, implements, lined_up, moved, operand, reduced
from refgrad.op import Traced
from refgrad.ops import scan, variance
from refgrad.ops.reduction import number
from refgrad.ops.shape import axes_of, integers
from refgrad.tracing.differentiable_arguments import plain
from refgrad.tracing.dispatch import call_function

Axis = int | tuple[int, ...] | None
_NONE = np._NoValue


def _spread_about_mean(op: Any) -> Any:
    def call(
        a: Array, axis: Axis = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: Any = _NONE, *,
        where: Any = _NONE, mean: Any = _NONE, correction: Any = _NONE,
    ) -> Array:  # fmt: skip
        if correction is not _NONE:
            if isinstance(ddof, Traced) or ddof != 0:
                raise ValueError("ddof and correction can't be provided simultaneously.")
            ddof = correction
        if np.ndim(ddof):
            raise ArgumentError(f"np.{op.name}: ddof has shape {np.shape(ddof)}; one number is expected")
        a = operand(a)
        a = a if dtype is None else a.astype(dtype)
        if mean is _NONE and not isinstance(ddof, Traced):
            y = op(a, **integers({"axis": axis}), ddof=ddof, keepdims=given(keepdims), where=_mask(where))
        else:
            y = _about(a, axis, ddof, given(keepdims), _mask(where), mean)
            y = np.sqrt(y) if op is variance.std else y
        # The spread is real. NumPy returns a complex dtype that was asked for.
        return y if dtype is None or a.dtype.kind != "c" else y.astype(dtype)

    call.__name__ = op.name
    return call


def _about(a: Array, axis: Axis, ddof: Any, keepdims: bool, where: Any, mean: Any) -> Array:
    """The mean square of a about a mean that is given, or the variance with a number of degrees of freedom that is traced."""
    if mean is _NONE:
        mean = np.mean(a, axis=axis, keepdims=True, where=where)
    step = a - mean
    # As in NumPy, the dtype of a decides: a complex mean of real numbers leaves a complex square.
    square = np.square(step.real) + np.square(step.imag) if a.dtype.kind == "c" else step * step
    total = np.sum(square, axis=axis, keepdims=keepdims, where=where)
    n = number(a.shape, axis, keepdims, where)
    return (total / np.maximum(n - ddof, 0)).astype(total.dtype)


implements(np.var)(_spread_about_mean(variance.var))
implements(np.std)(_spread_about_mean(variance.std))


@implements(np.average)
def average(
    a: Array, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _NONE
) -> Any:
    a, keep = operand(a), given(keepdims)
    axis = reduced(axis, a.ndim)
    if weights is None:
        y = np.mean(a, axis=axis, keepdims=keep)
        total = np.full(y.shape, a.size / int(np.prod(y.shape)), y.dtype)
        return (y, total if total.ndim else total[()]) if returned else y
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
    dtype = np.result_type(a.dtype, w.dtype, *([np.float64] if a.dtype.kind in "iub" else []))
    total = np.sum(w.astype(dtype), axis=axis, keepdims=keep)
    if np.any(plain(total) == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    y = np.sum(a * w, axis=axis, keepdims=keep) / total
    return (y, np.broadcast_to(total, y.shape) if y.ndim else total) if returned else y


@implements(np.ptp)
def ptp(a: Array, axis: Axis = None, out: None = None, keepdims: Any = False) -> Array:
    keepdims = given(keepdims)
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# --- skipping NaN -----------------------------------------------------------------------------------------------------


def _without_nan(reduction: Any, identity: float) -> Any:
    def call(
        a: Array, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = _NONE, initial: Any = _NONE, where: Any = _NONE
    ) -> Array:  # fmt: skip
        more = {name: x for name, x in (("initial", initial), ("where", where)) if x is not _NONE}
        numbers = np.where(np.isnan(plain(a)), identity, a)
        return call_function(
            reduction, (numbers,), {"axis": axis, "dtype": dtype, "keepdims": given(keepdims), **more}
        )

    return call


def _present(a: Array, where: Any) -> Array:
    """Which elements are numbers and are asked for."""
    present = ~np.isnan(plain(a))
    return present if where is _NONE else present & _mask(where)


def _mask(where: Any) -> Any:
    """where= as NumPy reads it: a number is true or false, an array has to be boolean."""
    if where is _NONE or where is True:
        return True
    where = np.asarray(plain(where))
    if where.dtype.kind != "b":
        raise DtypeError(
            f"where= has dtype {where.dtype}; a boolean array is expected. Write a comparison, such as x > 0."
        )
    return where


def _inexact(a: Any, dtype: Any) -> None:
    """Raises NumPy's error for a dtype of whole numbers, in which a mean of floats without NaN is not formed."""
    if dtype is not None:
        np.nanmean(np.zeros(1, operand(a).dtype), dtype=plain(dtype))


def _spread_without_nan(function: Any) -> Any:
    def call(
        a: Array, axis: Axis = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: Any = _NONE, *,
        where: Any = _NONE, mean: Any = _NONE, correction: Any = _NONE,
    ) -> Array:  # fmt: skip
        _inexact(a, dtype)
        present, keep = _present(a, where), given(keepdims)
        a = np.where(present, operand(a), np.zeros((), operand(a).dtype))
        if mean is not _NONE:  # NumPy subtracts it in place
            a, mean = np.where(present, (a - mean).astype(a.dtype), np.zeros((), a.dtype)), 0.0
        more = {"ddof": ddof, "where": present, "mean": mean, "correction": correction}
        y = call_function(function, (a,), {"axis": axis, "dtype": dtype, "keepdims": keep, **more})
        none_left = number(np.shape(a), axis, keep, present) <= plain(
            ddof if correction is _NONE else correction
        )
        y = np.where(none_left, y.dtype.type(np.nan), y) if np.any(none_left) else y
        return y if y.ndim else y[()]  # a scalar, as in NumPy

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
    _inexact(a, dtype)
    present = _present(a, where)
    safe = np.where(present, a, 0.0)
    return np.mean(safe, axis=axis, dtype=dtype, keepdims=given(keepdims), where=present)


def _extreme_without_nan(function: Any, reduction: Any, identity: float) -> Any:
    def call(
        a: Array,
        axis: Axis = None,
        out: None = None,
        keepdims: Any = _NONE,
        initial: Any = _NONE,
        where: Any = _NONE,
    ) -> Array:
        initial = _NONE if initial is None else initial
        if initial is _NONE and where is not _NONE and where is not True:
            function(plain(a), axis=axis, where=where)  # raises: a mask needs an initial value
        keepdims, absent = given(keepdims), np.logical_not(_present(a, where))
        start = {} if initial is _NONE else {"initial": identity}
        y = reduction(np.where(absent, identity, a), axis=axis, keepdims=keepdims, **start)
        if initial is not _NONE:
            initial = operand(initial).astype(y.dtype)
            return np.maximum(y, initial) if identity < 0 else np.minimum(y, initial)
        y = np.where(np.all(absent, axis=axis, keepdims=keepdims), np.nan, y)
        return y if y.ndim else y[()]  # a scalar, as in NumPy

    return call


implements(np.nanmax)(_extreme_without_nan(np.nanmax, np.max, -np.inf))
implements(np.nanmin)(_extreme_without_nan(np.nanmin, np.min, np.inf))


# --- sums of neighbours and of products -------------------------------------------------------------------------------


@implements(np.diff)
def diff(a: Array, n: int = 1, axis: int = -1, prepend: Any = _NONE, append: Any = _NONE) -> Array:
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if n == 0:
        return a  # itself, a list too
    a = operand(a)
    axis = axis_within(axis, a.ndim)
    lead = (slice(None),) * axis
    parts = [operand(x) if x is not _NONE else None for x in (prepend, append)]
    edge = (*a.shape[:axis], 1, *a.shape[axis + 1 :])
    parts = [np.broadcast_to(x, edge) if x is not None and x.ndim == 0 else x for x in parts]
    if any(x is not None for x in parts):
        a = np.concatenate([x for x in (parts[0], a, parts[1]) if x is not None], axis)
    for _ in range(n):
        a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
    return a


def _scan(op: Any) -> Any:
    def call(a: Array, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
        a = operand(a)
        a, axis = lined_up(a, axis) if a.ndim == 0 else (a, axis)
        return op(a if dtype is None else a.astype(dtype), axis=axis)

    call.__name__ = op.name
    return call


implements(np.cumsum)(_scan(scan.cumsum))
implements(np.cumprod)(_scan(scan.cumprod))


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
        x = np.atleast_1d(x)
        if isinstance(axis, tuple):
            (axis,) = axis
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
    parts = [np.ravel(operand(x)).astype(steps.dtype) for x in (to_begin, steps, to_end) if x is not None]
    return np.concatenate(parts) if len(parts) > 1 else steps


@implements(np.trapezoid)
def trapezoid(y: Array, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    y = operand(y)
    place = axis_within(axis, y.ndim)
    lead = (slice(None),) * place
    if x is not None:
        x = operand(x)
        dx = diff(x, axis=0 if x.ndim == 1 else axis)  # from the end of its own shape, where axis is negative
        dx = dx.reshape(tuple([-1 if k == place else 1 for k in range(y.ndim)])) if x.ndim == 1 else dx
    return np.sum(dx * (y[(*lead, slice(1, None))] + y[(*lead, slice(None, -1))]) * 0.5, axis=axis)


@implements(np.cross)
def cross(
    a: Array, b: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    a, b = moved(operand(a), axisa, -1), moved(operand(b), axisb, -1)
    lengths = a.shape[-1], b.shape[-1]
    np.cross(np.zeros(lengths[0]), np.zeros(lengths[1]))  # raises or warns where NumPy does
    (a0, a1, a2), (b0, b1, b2) = [
        (v[..., 0], v[..., 1], v[..., 2] if v.shape[-1] == 3 else 0) for v in (a, b)
    ]
    if lengths == (2, 2):
        return (a0 * b1 - a1 * b0)[...]  # an array without axes, too
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axisc)
