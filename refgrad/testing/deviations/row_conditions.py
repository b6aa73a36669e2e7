"""Named conditions on rows, groups and channels that limit a recorded disagreement of an op that reduces or normalizes them."""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import Format
from refgrad.op import Params
from refgrad.testing.deviations.condition import Operands, Place


def _weight_for_single_elements(xs: Operands, params: Params, _fmt: Format) -> Array:
    """batch_norm: a weight, and one element for each channel of a sample."""
    return np.asarray("weight" not in params and math.prod(np.shape(xs[0])[2:]) == 1)


def _norm_below_eps(xs: Operands, params: Params, fmt: Format) -> Array:
    """cosine_similarity: the norm of a vector is below eps, as far as its rounding can tell."""
    axis = params["dim"] % max(np.ndim(x) for x in xs)
    pair = np.broadcast_arrays(*[np.asarray(x, float) for x in xs])
    small = [np.linalg.norm(x, axis=axis) <= params["eps"] * (1 + x.shape[axis] * fmt.u) for x in pair]
    return np.asarray(np.any(small))


def _columns_beside_larger_ones(xs: Operands, params: Params, fmt: Format) -> Array:
    """log_softmax over columns: a row is so much wider than the format's logarithm that the maximum of another column leaves the range."""
    x = np.asarray(xs[0], float)
    axis = params["axis"] % max(x.ndim, 1)
    inner = math.prod(x.shape[axis + 1 :])
    finite = x[np.isfinite(x)]
    wide = finite.size > 0 and np.ptp(finite) > np.log(fmt.max)
    return np.asarray(inner > 8 and wide)


def _row_of_equal_numbers(xs: Operands, params: Params, _fmt: Format) -> Array:
    """var and std: all numbers of some row are equal."""
    x, over = np.asarray(xs[0]), {"axis": params["axis"], "keepdims": True}
    return np.asarray(np.any(np.max(x, **over, initial=-np.inf) == np.min(x, **over, initial=np.inf)))


def _row_of_zeros(xs: Operands, params: Params, _fmt: Format) -> Array:
    """norm: all numbers of some vector are zero."""
    return np.asarray(np.any(np.all(np.equal(xs[0], 0), axis=params["axis"])))


def _small_running_sum(xs: Operands, params: Params, fmt: Format) -> Array:
    """logcumsumexp: 1e-13 beside some running sum of exp(x - the largest x) along the axis is more than a rounding."""
    axis = params["axis"]
    with np.errstate(invalid="ignore"):
        sums = np.cumsum(np.exp(xs[0] - np.max(xs[0], axis=axis, keepdims=True)), axis)
    small = np.any(~(sums * fmt.u > 1e-13), axis=axis, keepdims=True)
    return np.broadcast_to(small, sums.shape)


def _squares_overflow(xs: Operands, params: Params, fmt: Format) -> Array:
    """var and std: the sum of the squares of the deviations is not below the largest number, or no number at all."""
    axis, wide = params["axis"], np.asarray(xs[0], fmt.wide)
    with np.errstate(all="ignore"):
        near = wide - np.mean(wide, axis=axis, keepdims=True)
        return ~(np.sum(near * near, axis=axis, keepdims=params["keepdims"]) < fmt.max)


def _share_below_the_range(xs: Operands, params: Params, fmt: Format) -> Array:
    """softmax: a share is below the root of 2 times the least normal number, but for the rounding of its exponent."""
    x, axis = np.asarray(xs[0], fmt.wide), params["axis"]
    with np.errstate(all="ignore"):
        sizes = np.exp(x - np.max(x, axis=axis, keepdims=True))
        shares = sizes / np.sum(sizes, axis=axis, keepdims=True)
        return np.asarray(shares <= 2**0.5 * fmt.least_normal * (1 - np.log(fmt.least_normal) * fmt.u))


def _product_of_neighbours_overflows(xs: Operands, params: Params, fmt: Format) -> Array:
    """complex.prod: along the axis the product of some complex numbers in a row, zeros left out, is beyond the range."""
    size = np.moveaxis(np.hypot(*[np.asarray(x, fmt.wide) for x in xs]), params["axis"], 0)
    sums = np.cumsum(np.log(np.where(size > 0, size, 1.0)), axis=0)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    most = np.max(sums - np.minimum.accumulate(sums, axis=0), initial=0.0)
    return np.asarray(~(most < np.log(fmt.max) - len(sums) * fmt.u))


ROW_PLACES: dict[str, Place] = {
    "weight for single elements": _weight_for_single_elements,
    "a norm below eps": _norm_below_eps,
    "columns beside larger ones": _columns_beside_larger_ones,
    "a row of equal numbers": _row_of_equal_numbers,
    "a row of zeros": _row_of_zeros,
    "a small running sum": _small_running_sum,
    "the sum of squares overflows": _squares_overflow,
    "a product of neighbours overflows": _product_of_neighbours_overflows,
    "a share of softmax below the range": _share_below_the_range,
}

__all__ = ["ROW_PLACES"]
