"""Quantiles: median, quantile, percentile, and the same of what is not NaN, by all of NumPy's methods.

The continuous methods interpolate between two neighbours in sorted order at a place that is linear in the level q, so the elements and q
have derivatives. The discrete methods and those with weights choose an element: which one is constant wherever the derivative exists.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.functions.choosing import sort, take_along_axis
from refgrad.functions.registry import given, implements, operand, reduced
from refgrad.functions.statistics import nanmean
from refgrad.op import Traced
from refgrad.ops.shape import axes_of, count, kept
from refgrad.tracing.differentiable_arguments import plain

Axis = int | tuple[int, ...] | None
# The place in sorted order, from the number of elements and the level.
Levels = Callable[[Array, Array], Array]

NUMPY: Any = np  # of which the plain functions are called with whatever the program gave
DISCRETE = frozenset({"inverted_cdf", "closest_observation", "lower", "higher", "nearest"})


def _hyndman_fan(alpha: float, beta: float) -> Levels:
    """The place of a level q among n elements (Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996)."""
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


PLACES: dict[str, Levels] = {
    "linear": lambda n, q: (n - 1) * q,
    "interpolated_inverted_cdf": _hyndman_fan(0, 1),
    "hazen": _hyndman_fan(0.5, 0.5),
    "weibull": _hyndman_fan(0, 0),
    "median_unbiased": _hyndman_fan(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _hyndman_fan(3 / 8.0, 3 / 8.0),
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
}


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # NumPy warns of a row that is NaN alone
    # Whether such a row keeps its dtype, as it does before NumPy 2.5, whatever that of the levels is.
    _NAN_HAS_DTYPE = np.nanquantile(np.full(1, np.nan, np.float32), np.array([0.5])).dtype == np.float32


# --- rows -------------------------------------------------------------------------------------------------------------


def _rows(a: Array, axis: Axis) -> Array:
    """The elements that each result takes together, as a last axis."""
    axes = axes_of(axis, a.ndim)  # None: all
    rest = tuple([k for k in range(a.ndim) if k not in axes])
    return a.transpose(rest + axes).reshape((*[a.shape[k] for k in rest], count(a.shape, axis)))


def _with_nan(y: Array, ordered: Array) -> Array:
    """y, and NaN for each row that holds one."""
    last = np.isnan(plain(ordered)[..., -1])  # NaN sorts to the end
    return np.where(last, np.nan, y) if last.any() else y


def _restored(y: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    """A statistic of ``a``, with the reduced axes back where keepdims asks for them. Axes of y before those of a stay in front."""
    if keepdims:
        rest = y.ndim - (a.ndim - len(axes_of(axis, a.ndim)))
        return y.reshape(y.shape[:rest] + kept(a.shape, axis))
    return y if y.ndim else y[()]  # a scalar, as in NumPy


# --- medians ----------------------------------------------------------------------------------------------------------


@implements(np.median)
def median(
    a: Array, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    a = operand(a)
    axis = reduced(axis, a.ndim)
    ordered = sort(_rows(a, axis))
    n = ordered.shape[-1]
    if n == 0:
        return np.mean(a, axis=axis, keepdims=keepdims)  # NaN, with NumPy's warning
    y = ordered[..., n // 2] if n % 2 else (ordered[..., n // 2 - 1] + ordered[..., n // 2]) * 0.5
    return _restored(_with_nan(y, ordered), a, axis, keepdims)


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: Any = False
) -> Array:
    a = operand(a)
    axis = reduced(axis, a.ndim)
    if a.size == 0:
        return nanmean(a, axis=axis, keepdims=keepdims)
    ordered = sort(_rows(a, axis))  # NaN last
    last = np.maximum(np.sum(~np.isnan(plain(ordered)), -1, keepdims=True) - 1, 0)
    low, high = [take_along_axis(ordered, k, -1)[..., 0] for k in (last // 2, (last + 1) // 2)]
    y = np.where((last % 2 == 0)[..., 0], low, (low + high) * 0.5)
    return _restored(y, a, axis, given(keepdims))


# --- quantiles --------------------------------------------------------------------------------------------------------


def _front(function: Any, scale: int, *, skip: bool) -> Any:
    """np.quantile or one of its relatives: levels are divided by ``scale``; NaN is skipped or makes a row NaN."""

    def call(
        a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear", keepdims: Any = False,
        *, weights: Any = None, interpolation: Any = None,
    ) -> Array:  # fmt: skip
        if interpolation is not None:
            raise NoRuleError(
                f"np.{function.__name__}: interpolation= has another name: write method={interpolation!r}"
            )
        a, weak = operand(a), type(q) in (int, float)
        # NumPy says the dtype, which differs between its releases, and raises for what it does not know.
        dtype = function(np.ones(1, a.dtype), plain(q), method=method).dtype
        levels = np.true_divide(operand(q), scale) if scale != 1 else operand(q)
        found = plain(levels)
        if not np.all((found >= 0) & (found <= 1)):
            function(np.ones(1), plain(q))  # raises
        return _quantiles(a, levels, method, axis, given(keepdims), weights, dtype, weak=weak, skip=skip)

    call.__name__ = function.__name__
    return call


def _quantiles(
    a: Array, q: Array, method: str, axis: Axis, keepdims: bool, weights: Any, dtype: Any, *, weak: bool, skip: bool
) -> Array:  # fmt: skip
    """Quantiles of levels in [0, 1], which stand in front. ``weak``: the level is a Python number, which leaves the dtype as it is."""
    axis = reduced(axis, a.ndim)
    if skip and a.size == 0:
        return nanmean(a, axis=axis, keepdims=keepdims)  # whatever the levels are, as in NumPy
    rows = _rows(a, axis)
    if rows.shape[-1] == 0:
        raise ArgumentError(f"a quantile of no elements is not defined: shape {a.shape}, axis {axis}")
    ordered = sort(rows)
    levels = q.reshape((-1,))
    if ordered.size and (skip or (q.ndim == 0 and rows.ndim == 1)):
        nan = np.isnan(plain(ordered).reshape(-1, rows.shape[-1])[0])
        if (nan.all() and (_NAN_HAS_DTYPE or q.ndim == 0)) if skip else nan[-1]:
            # The NaN is an element of a, and a first row of nothing else gives its dtype to all.
            dtype = a.dtype
    whole = method == "linear" and levels.dtype.kind != "f"  # the first element or the last one
    if method in DISCRETE or weights is not None or whole:
        y = take_along_axis(
            ordered,
            _ranks(
                a,
                rows,
                float(plain(levels)[0]) if weak else plain(levels),
                method,
                axis,
                plain(weights),
                skip,
            ),
            -1,
        )
    else:
        y = _between(ordered, levels, method, weak, skip)
    y = y if skip else np.where(np.isnan(plain(ordered)[..., -1:]), np.nan, y)
    y = np.moveaxis(y, -1, 0).reshape(q.shape + rows.shape[:-1]).astype(dtype)
    # A quantile with weights is an array without axes where others are a scalar.
    return y if weights is not None and not (y.ndim or keepdims) else _restored(y, a, axis, keepdims)


def _ranks(a: Array, rows: Array, levels: Any, method: str, axis: Axis, weights: Any, skip: bool) -> Array:
    """The places in sorted order that NumPy chooses, with the levels as last axis: its own quantiles of the ranks of the elements."""
    values = plain(rows)
    ranks = np.argsort(np.argsort(values, -1, kind="stable"), -1, kind="stable")
    # In the dtype of the elements where it holds the ranks: before NumPy 2.4 a level that is a Python number is rounded to it.
    ranks = ranks.astype(
        values.dtype
        if values.dtype.kind == "f" and values.shape[-1] * np.finfo(values.dtype).eps < 1
        else float
    )
    quantile = NUMPY.nanquantile if skip else NUMPY.quantile
    if weights is not None:
        spread = np.asarray(weights, float)
        if spread.shape != a.shape:
            axes = axes_of(axis, a.ndim)
            # Raises for a shape that NumPy refuses.
            quantile(plain(a), levels, axis, weights=weights, method=method)
            spread = spread.transpose(np.argsort(axes)).reshape(
                tuple([n if k in axes else 1 for k, n in enumerate(a.shape)])
            )
        weights = _rows(np.broadcast_to(spread, a.shape), axis)
    if skip:
        ranks = np.where(np.isnan(values), np.nan, ranks)
    found = quantile(ranks, levels, -1, method=method, weights=weights)
    found = np.moveaxis(np.asarray(found), 0, -1) if np.ndim(levels) else np.asarray(found)[..., None]
    # Of nothing but NaN it is the last one.
    return np.where(np.isnan(found), values.shape[-1] - 1, found).astype(np.intp)


def _between(ordered: Array, levels: Array, method: str, weak: bool, skip: bool) -> Array:
    """What lies between two neighbours of sorted rows (..., n), at each level of (m,): (..., m)."""
    values, q = plain(ordered), levels if levels.dtype.kind == "f" else levels.astype(float)
    n = np.sum(~np.isnan(values), -1, keepdims=True) if skip else np.asarray(values.shape[-1])
    places = PLACES[method](n.astype(q.dtype), q)
    found = plain(places)
    first = np.floor(found)
    last = np.maximum(n - 1, 0)
    above, below = found >= last, found < 0
    low = np.where(above, last, np.where(below, 0, first)).astype(np.intp)
    high = np.where(above | below, low, first + 1).astype(np.intp)
    if method == "linear" and isinstance(levels, Traced) and np.isfinite(values).all():
        low = np.where(above, np.maximum(low - 1, 0), low)  # at q = 1 the derivative is that from below
    share = _share(method, places, low, found)
    upper = plain(share) >= 0.5  # from the nearer one, as NumPy
    share = np.where(upper, share - 1, share)
    if weak:
        share = share.astype(ordered.dtype)
    dims = (*values.shape[:-1], levels.shape[0])
    left, right = [take_along_axis(ordered, np.broadcast_to(k, dims), -1) for k in (low, high)]
    return np.where(upper, right, left) + (right - left) * share


def _share(method: str, places: Array, low: Array, found: Array) -> Array:
    """How far a place lies from the lower neighbour towards the upper one."""
    if method == "averaged_inverted_cdf":
        return np.where(found == np.floor(found), 0.5, 1.0).astype(places.dtype)
    if method == "midpoint":
        return np.where(found == np.floor(found), 0.0, 0.5).astype(places.dtype)
    return places - low.astype(places.dtype)


implements(np.quantile)(_front(np.quantile, 1, skip=False))
implements(np.percentile)(_front(np.percentile, 100, skip=False))
implements(np.nanquantile)(_front(np.nanquantile, 1, skip=True))
implements(np.nanpercentile)(_front(np.nanpercentile, 100, skip=True))
