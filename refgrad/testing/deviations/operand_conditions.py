"""Named conditions on the operands of an op that limit a recorded disagreement to some elements (true: the element is covered)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import Format
from refgrad.bounds.profiles import DOUBLE
from refgrad.op import Params

Operands = tuple[Array, ...]
Place = Callable[[Operands, Params, Format], Array]


def _ties(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Two operands are equal."""
    return np.equal(xs[0], xs[1])


def _one_nan(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Of two operands one is NaN."""
    return np.isnan(xs[0]) ^ np.isnan(xs[1])


def _equal_bounds(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """clip: the bounds are equal, and the result is the bound."""
    x, low, high = xs
    return (low == high) & (x <= low)


def _zero_base_or_exponent(xs: Operands, _params: Params, _fmt: Format) -> Array:
    return np.equal(xs[0], 0) | np.equal(xs[1], 0)


def _equal_to_zero(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The first operand, broadcast against the others, is zero."""
    return np.equal(np.broadcast_arrays(*xs)[0], 0)


def _taken_as_zero(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The first operand, broadcast against the others, is zero, or kernels may take it as zero."""
    return np.abs(np.broadcast_arrays(*xs)[0]) <= np.nextafter(fmt.zeroed, 0.0)


def _at_threshold(xs: Operands, params: Params, _fmt: Format) -> Array:
    """softplus: the operand is the threshold, where the function jumps to the identity."""
    return np.equal(xs[0], np.nan if params["threshold"] is None else params["threshold"])


def _squares_leave_the_range(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The square of the largest operand, or the sum of two, overflows or has lost digits to underflow."""
    size = np.abs(xs[0]) if len(xs) == 1 else np.maximum(*np.broadcast_arrays(*map(np.abs, xs)))
    return (size >= (fmt.max / 2) ** 0.5) | (size <= (fmt.eta / fmt.u) ** 0.5)


def _square_of_divisor_leaves_the_range(xs: Operands, params: Params, fmt: Format) -> Array:
    """The square of the second operand overflows or has lost digits to underflow."""
    return _squares_leave_the_range((np.broadcast_arrays(*xs)[1],), params, fmt)


def _singular(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether it has no inverse, as far as elimination can tell: within n^2 u of one (Higham, ch. 9)."""
    matrices = np.asarray(xs[0], float)
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    spectrum = np.linalg.svd(np.where(finite[..., None, None], matrices, 0.0), compute_uv=False)
    return spectrum[..., -1] <= matrices.shape[-1] ** 2 * fmt.u * spectrum[..., 0]


def _singular_in_the_stack(xs: Operands, params: Params, fmt: Format) -> Array:
    """Some matrix of the stack has no inverse, as far as elimination can tell."""
    return np.asarray(np.any(_singular(xs, params, fmt)))


def _equal_singular_values(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether two of its singular values are equal, as far as their computation can tell."""
    matrices = np.asarray(xs[0], float)
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    spectrum = np.linalg.svd(np.where(finite[..., None, None], matrices, 0.0), compute_uv=False)
    gaps = spectrum[..., :-1] - spectrum[..., 1:]
    return np.any(gaps <= matrices.shape[-1] ** 2 * fmt.u * spectrum[..., :1], axis=-1)


def _small_matrix(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether its 1-norm is at most 0.05, or 0.58 where kernels do not compute in float64."""
    norms = np.max(np.sum(np.abs(np.asarray(xs[0], float)), axis=-2), axis=-1, initial=0.0)
    return norms <= (0.05 if fmt.accumulator == DOUBLE else 0.58)


def _equal_extremes(xs: Operands, params: Params, _fmt: Format) -> Array:
    """max and min over axes: several elements are the largest, or the smallest."""
    x, over = np.asarray(xs[0]), {"axis": params["axis"], "keepdims": True}
    several = [
        np.sum(x == f(x, **over), axis=params["axis"], keepdims=params["keepdims"]) > 1
        for f in (np.max, np.min)
    ]
    return np.logical_or(*several)


def _second_is_zero(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The second operand, broadcast against the others, is zero."""
    return np.equal(np.broadcast_arrays(*xs)[1], 0)


def _reciprocal_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The second operand, broadcast against the others, is so small that its reciprocal overflows."""
    return np.abs(np.broadcast_arrays(*xs)[1]) < 1 / fmt.max


def _quotient_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The quotient of two operands overflows."""
    a, b = np.broadcast_arrays(*xs)
    return ~(np.abs(a) <= np.abs(b) * fmt.max)


def _cube_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The cube of the first operand overflows."""
    return np.abs(xs[0]) >= fmt.max ** (1 / 3)


def _lone_zero(xs: Operands, params: Params, _fmt: Format) -> Array:
    """prod: the only factor, which is zero."""
    factors = np.sum(np.ones(np.shape(xs[0])), axis=params["axis"], keepdims=True)
    return np.equal(xs[0], 0) & (factors == 1)


def _smallest(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The first operand is the smallest number above zero, whose half is none."""
    return np.equal(xs[0], fmt.least)


def _nan_operand(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The first operand is NaN."""
    return np.isnan(xs[0])


def _squares_overflow(xs: Operands, params: Params, fmt: Format) -> Array:
    """var and std: the sum of the squares of the deviations is not below the largest number, or no number at all."""
    axis, wide = params["axis"], np.asarray(xs[0], fmt.wide)
    with np.errstate(all="ignore"):
        near = wide - np.mean(wide, axis=axis, keepdims=True)
        return ~(np.sum(near * near, axis=axis, keepdims=params["keepdims"]) < fmt.max)


def _query_without_keys(xs: Operands, params: Params, _fmt: Format) -> Array:
    """scaled_dot_product_attention: the mask leaves a query no key."""
    if "attn_mask" in params:
        return np.asarray(False)
    mask = np.asarray(xs[3])
    taken = mask if mask.dtype.kind == "b" else ~np.isneginf(mask)
    return np.asarray(np.any(~np.any(taken, axis=-1)))


def _weight_for_single_elements(xs: Operands, params: Params, _fmt: Format) -> Array:
    """batch_norm: a weight, and one element for each channel of a sample."""
    return np.asarray("weight" not in params and math.prod(np.shape(xs[0])[2:]) == 1)


def _a_group_of_equal_elements(xs: Operands, params: Params, _fmt: Format) -> Array:
    """group_norm: all elements of a group are equal."""
    x = np.asarray(xs[0])
    groups = np.reshape(x, (x.shape[0], params["num_groups"], -1))
    return np.asarray(np.any(np.all(groups == groups[..., :1], axis=-1)))


def _infinite(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Some element of an operand is infinite."""
    return np.asarray(any(np.isinf(x).any() for x in xs))


def _no_modulus(xs: Operands, _params: Params, fmt: Format) -> Array:
    """polar: the modulus is 0 or no normal number, so that the value has lost digits."""
    return np.abs(xs[0]) < fmt.least_normal


def _complex_zero_base(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """complex.power: the base is zero."""
    return np.equal(xs[0], 0) & np.equal(xs[1], 0)


def _complex_zero_exponent(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """complex.power: the exponent is an array, and zero there."""
    return np.equal(xs[2], 0) & np.equal(xs[3], 0) if len(xs) == 4 else np.zeros(np.shape(xs[0]), bool)


def _complex_zero_base_or_exponent(xs: Operands, params: Params, fmt: Format) -> Array:
    return np.logical_or(_complex_zero_base(xs, params, fmt), _complex_zero_exponent(xs, params, fmt))


def _complex_zero_base_and_exponent(xs: Operands, params: Params, fmt: Format) -> Array:
    return np.logical_and(_complex_zero_base(xs, params, fmt), _complex_zero_exponent(xs, params, fmt))


def _zero_input(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Some element of the first operand is zero."""
    return np.asarray(np.any(np.equal(xs[0], 0)))


def _power_of_a_norm_overflows(xs: Operands, params: Params, fmt: Format) -> Array:
    """normalize with p > 2: |y_bar| |x| norm^(-2p) leaves the range for a cotangent of 16, where |x| is the norm."""
    x, p = np.asarray(xs[0], float), params["p"]
    norm = np.broadcast_to(np.linalg.norm(x, p, axis=params["dim"], keepdims=True), x.shape)
    small = norm < (16 / fmt.max) ** (1 / (2 * p - 1))
    return (norm > 0) & small & (p > 2)


def _norm_below_eps(xs: Operands, params: Params, fmt: Format) -> Array:
    """cosine_similarity: the norm of a vector is below eps, as far as its rounding can tell."""
    axis = params["dim"] % max(np.ndim(x) for x in xs)
    pair = np.broadcast_arrays(*[np.asarray(x, float) for x in xs])
    small = [np.linalg.norm(x, axis=axis) <= params["eps"] * (1 + x.shape[axis] * fmt.u) for x in pair]
    return np.asarray(np.any(small))


def _small_running_sum(xs: Operands, params: Params, fmt: Format) -> Array:
    """logcumsumexp: 1e-13 beside some running sum of exp(x - the largest x) along the axis is more than a rounding."""
    axis = params["axis"]
    with np.errstate(invalid="ignore"):
        sums = np.cumsum(np.exp(xs[0] - np.max(xs[0], axis=axis, keepdims=True)), axis)
    small = np.any(~(sums * fmt.u > 1e-13), axis=axis, keepdims=True)
    return np.broadcast_to(small, sums.shape)


def _exponential_at_zero(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """gammainc, gammaincc: the first operand is 1 and the second 0, where the slope is that of 1 - exp(-x)."""
    a, x = np.broadcast_arrays(*xs)
    return (a == 1) & (x == 0)


def _origin(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """All operands are zero."""
    return np.logical_and.reduce([np.equal(x, 0) for x in np.broadcast_arrays(*xs)])


def _zero_or_one(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The first operand is zero or one."""
    return np.equal(xs[0], 0) | np.equal(xs[0], 1)


def _second_is_minus_one(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The second operand, broadcast against the others, is -1."""
    return np.equal(np.broadcast_arrays(*xs)[1], -1)


def _tenth_of_the_range(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The first operand is beyond a tenth of the range, or infinite: its product with a constant below ten may overflow."""
    return ~(np.abs(xs[0]) < fmt.max / 10)


def _reciprocal_or_operand_infinite(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The first operand is infinite, or the square of its reciprocal is."""
    size = np.abs(np.broadcast_arrays(*xs)[0])
    return np.isinf(size) | (size <= fmt.max**-0.5)


def _exponential_of_the_difference_overflows(base: float) -> Place:
    def place(xs: Operands, _params: Params, fmt: Format) -> Array:
        """A power of the difference of two operands overflows."""
        a, b = np.broadcast_arrays(*[np.asarray(x, fmt.wide) for x in xs])
        with np.errstate(invalid="ignore"):
            return ~(np.abs(a - b) * math.log(base) < np.log(fmt.max))

    return place


def _exponential_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The exponential of the first operand overflows."""
    return ~(np.asarray(xs[0], fmt.wide) < np.log(fmt.max))


def _cube_of_pinv_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether the cube of the norm of its pseudo-inverse overflows."""
    matrices = np.asarray(xs[0], float)
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    spectrum = np.linalg.svd(np.where(finite[..., None, None], matrices, 0.0), compute_uv=False)
    least = np.min(np.where(spectrum > 0, spectrum, np.inf), axis=-1, initial=np.inf)
    return least < fmt.max ** (-1 / 3)


def _columns_beside_larger_ones(xs: Operands, params: Params, fmt: Format) -> Array:
    """log_softmax over columns: a row is so much wider than the format's logarithm that the maximum of another column leaves the range."""
    x = np.asarray(xs[0], float)
    axis = params["axis"] % max(x.ndim, 1)
    inner = math.prod(x.shape[axis + 1 :])
    finite = x[np.isfinite(x)]
    wide = finite.size > 0 and np.ptp(finite) > np.log(fmt.max)
    return np.asarray(inner > 8 and wide)


def _small_variance(axes: Callable[[Array, Params], Array]) -> Place:
    def place(xs: Operands, params: Params, fmt: Format) -> Array:
        """A normalization: the third power of the reciprocal of some standard deviation overflows, or 8 times it."""
        with np.errstate(all="ignore"):
            variance = np.var(axes(np.asarray(xs[0], float), params), axis=-1)
            return np.asarray(np.any(~((variance + params["eps"]) ** -1.5 * 8 < fmt.max)))

    return place


def _rows(x: Array, params: Params) -> Array:
    """The rows of layer_norm, one after the other."""
    return np.reshape(x, (-1, math.prod(params["normalized_shape"])))


def _groups(x: Array, params: Params) -> Array:
    """The groups of group_norm in a sample."""
    return np.reshape(x, (x.shape[0], params["num_groups"], -1))


def _channels(x: Array, _params: Params) -> Array:
    """The channels of batch_norm."""
    return np.reshape(np.moveaxis(x, 1, 0), (x.shape[1], -1))


def _samples_and_channels(x: Array, _params: Params) -> Array:
    """The channels of each sample of instance_norm."""
    return np.reshape(x, (*x.shape[:2], -1))


PLACES: dict[str, Place] = {
    "ties": _ties,
    "an infinite operand": _infinite,
    "equal extremes": _equal_extremes,
    "one NaN": _one_nan,
    "equal bounds": _equal_bounds,
    "zero base or exponent": _zero_base_or_exponent,
    "zero": _equal_to_zero,
    "taken as zero": _taken_as_zero,
    "second operand zero": _second_is_zero,
    "the reciprocal of the second operand overflows": _reciprocal_overflows,
    "the quotient overflows": _quotient_overflows,
    "the cube overflows": _cube_overflows,
    "lone zero": _lone_zero,
    "NaN operand": _nan_operand,
    "the smallest number": _smallest,
    "the sum of squares overflows": _squares_overflow,
    "a group of equal elements": _a_group_of_equal_elements,
    "query without keys": _query_without_keys,
    "weight for single elements": _weight_for_single_elements,
    "squares leave the range": _squares_leave_the_range,
    "the square of the divisor leaves the range": _square_of_divisor_leaves_the_range,
    "at the threshold": _at_threshold,
    "singular matrix": _singular,
    "a singular matrix in the stack": _singular_in_the_stack,
    "equal singular values": _equal_singular_values,
    "small matrix": _small_matrix,
    "no modulus": _no_modulus,
    "complex zero base": _complex_zero_base,
    "complex zero base or exponent": _complex_zero_base_or_exponent,
    "complex zero base and exponent": _complex_zero_base_and_exponent,
    "a zero among the inputs": _zero_input,
    "a norm below eps": _norm_below_eps,
    "a power of a norm overflows": _power_of_a_norm_overflows,
    "a small running sum": _small_running_sum,
    "first operand one and second zero": _exponential_at_zero,
    "origin": _origin,
    "zero or one": _zero_or_one,
    "second operand minus one": _second_is_minus_one,
    "beyond a tenth of the range": _tenth_of_the_range,
    "infinite, or the square of the reciprocal is": _reciprocal_or_operand_infinite,
    "exp of the difference overflows": _exponential_of_the_difference_overflows(math.e),
    "exp2 of the difference overflows": _exponential_of_the_difference_overflows(2.0),
    "exp overflows": _exponential_overflows,
    "the cube of the pseudo-inverse overflows": _cube_of_pinv_overflows,
    "columns beside larger ones": _columns_beside_larger_ones,
    "a row of small variance": _small_variance(_rows),
    "a group of small variance": _small_variance(_groups),
    "a channel of small variance": _small_variance(_channels),
    "a channel of small variance in a sample": _small_variance(_samples_and_channels),
}
