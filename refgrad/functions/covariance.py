"""Covariances and correlations, and quantiles of what is not NaN."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.choosing import take_along_axis
from refgrad.functions.registry import given, implements, operand, reduced
from refgrad.functions.statistics import linear_method, restored, sorted_rows
from refgrad.tracing.differentiable_arguments import plain

_NONE: Any = np._NoValue
Axis = int | tuple[int, ...] | None


@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None, aweights: Any = None,
    *, dtype: Any = None,
) -> Array:  # fmt: skip
    with warnings.catch_warnings():  # said below
        warnings.simplefilter("ignore")
        found = np.cov(
            plain(m), plain(y), rowvar, bias, ddof, fweights, plain(aweights), dtype=dtype
        )  # raises where NumPy does
    parts = [operand(x) for x in (m, y) if x is not None]
    dtype = np.result_type(np.float64, *[x.dtype for x in parts]) if dtype is None else dtype
    x = _variables(parts, rowvar, dtype, True)
    if x.shape[0] != (found.shape[0] if found.ndim else 1):
        x = _variables(parts, rowvar, dtype, False)
    if x.shape[0] == 0:
        return np.array([]).reshape(0, 0)
    w: Array | None = None if fweights is None else np.asarray(fweights, float)
    if aweights is not None:
        w = operand(aweights).astype(float) if w is None else w * operand(aweights)
    total = x.shape[1] if w is None else np.sum(w)
    mean = np.mean(x, axis=1) if w is None else np.sum(x * w, axis=1) / total
    ddof = (0 if bias else 1) if ddof is None else ddof
    lost = ddof if aweights is None or ddof == 0 else ddof * np.sum(w * operand(aweights)) / total
    freedom = total - lost
    if plain(freedom) <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        freedom = 0.0
    x = x - mean[:, None]
    c = np.matmul(x, (x if w is None else x * w).T)
    return np.squeeze(c * np.true_divide(1, freedom))


def _variables(parts: list[Array], rowvar: bool, dtype: Any, single: bool) -> Array:
    """The variables as rows. ``single``: whether a single row is turned to a column, which differs between releases of NumPy."""
    rows = []
    for x in parts:
        turned = not rowvar and x.ndim != 1 and (single or x.shape[0] != 1)
        x = np.atleast_2d(x).astype(dtype)
        rows.append(x.T if turned else x)
    return np.concatenate(rows, 0) if len(rows) > 1 else rows[0]


@implements(np.corrcoef)
def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = _NONE, ddof: Any = _NONE, *, dtype: Any = None
) -> Array:
    old = {
        k: v for k, v in (("bias", bias), ("ddof", ddof)) if v is not _NONE
    }  # without effect, and gone in NumPy 2.4
    np.corrcoef(plain(x), plain(y), rowvar, dtype=dtype, **old)  # raises and warns where NumPy does
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    spread = np.sqrt(np.diagonal(c))
    return np.clip(c / spread[:, None] / spread[None, :], -1, 1)


# --- what is not NaN ---------------------------------------------------------------------------------------------------


@implements(np.nanquantile)
def nanquantile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear", keepdims: Any = False, *,
    weights: Any = None, interpolation: Any = None,
) -> Array:  # fmt: skip
    linear_method("nanquantile", method, weights, interpolation)
    dtype = np.nanquantile(np.ones(1, operand(a).dtype), q).dtype
    return _quantiles(operand(a), np.asarray(q), dtype, type(q) in (int, float), axis, given(keepdims))


@implements(np.nanpercentile)
def nanpercentile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear", keepdims: Any = False, *,
    weights: Any = None, interpolation: Any = None,
) -> Array:  # fmt: skip
    linear_method("nanpercentile", method, weights, interpolation)
    dtype = np.nanpercentile(np.ones(1, operand(a).dtype), q).dtype
    return _quantiles(
        operand(a), np.asarray(np.true_divide(q, 100)), dtype, type(q) in (int, float), axis, given(keepdims)
    )


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: Any = False
) -> Array:
    return _quantiles(operand(a), np.asarray(0.5), operand(a).dtype, True, axis, given(keepdims))


def _quantiles(a: Array, q: Array, dtype: Any, weak: bool, axis: Axis, keepdims: bool) -> Array:
    """The linear method on the numbers of each row, which NaN follows when it is sorted."""
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    axis = reduced(axis, a.ndim)
    ordered = sorted_rows(a, axis)
    count = np.sum(~np.isnan(plain(ordered)), axis=-1, keepdims=True)

    def one(level: Any) -> Array:
        place = level * np.maximum(count - 1, 0)
        k = np.floor(place).astype(int)
        low = take_along_axis(ordered, k, -1)[..., 0]
        high = take_along_axis(ordered, np.minimum(k + 1, np.maximum(count - 1, 0)), -1)[..., 0]
        share = (place - k)[..., 0].astype(
            a.dtype if weak or q.dtype.kind != "f" else np.result_type(a.dtype, q.dtype)
        )
        y = np.where(share >= 0.5, high - (high - low) * (1 - share), low + (high - low) * share)
        return restored(y, a, axis, keepdims)

    levels = [one(level).astype(dtype) for level in q.ravel()]
    return levels[0] if q.ndim == 0 else np.stack(levels).reshape(q.shape + levels[0].shape)
