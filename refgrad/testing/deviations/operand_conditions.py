"""Named conditions on the operands of an op that limit a recorded disagreement to some elements (true: the element is covered)."""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import FORMATS, Format
from refgrad.op import Params
from refgrad.testing.deviations.condition import Operands, Place
from refgrad.testing.deviations.matrix_conditions import MATRIX_PLACES
from refgrad.testing.deviations.result_conditions import RESULT_PLACES
from refgrad.testing.deviations.row_conditions import ROW_PLACES
from refgrad.tracing.ball import nearest


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


def _at_threshold(xs: Operands, params: Params, fmt: Format) -> Array:
    """softplus: beta x is the threshold, where the function jumps to the identity. The product is one of the format of kernels."""
    scaled = nearest(params.get("beta", 1.0) * np.asarray(xs[0], float), FORMATS[fmt.accumulator])
    return np.equal(scaled, np.nan if params["threshold"] is None else params["threshold"])


def _squares_leave_the_range(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The square of the largest operand, or the sum of two, overflows or has lost digits to underflow."""
    size = np.abs(xs[0]) if len(xs) == 1 else np.maximum(*np.broadcast_arrays(*map(np.abs, xs)))
    return (size >= (fmt.max / 2) ** 0.5) | (size <= (fmt.eta / fmt.u) ** 0.5)


def _square_of_divisor_leaves_the_range(xs: Operands, params: Params, fmt: Format) -> Array:
    """The square of the second operand overflows or has lost digits to underflow."""
    return _squares_leave_the_range((np.broadcast_arrays(*xs)[1],), params, fmt)


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


def _query_without_keys(xs: Operands, params: Params, _fmt: Format) -> Array:
    """scaled_dot_product_attention: the mask leaves a query no key."""
    if "attn_mask" in params:
        return np.asarray(False)
    mask = np.asarray(xs[3])
    taken = mask if mask.dtype.kind == "b" else ~np.isneginf(mask)
    return np.asarray(np.any(~np.any(taken, axis=-1)))


def _infinite(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Some element of an operand is infinite."""
    return np.asarray(any(np.isinf(x).any() for x in xs))


def _complex_zero_base(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """complex.power: the base is zero."""
    return np.equal(xs[0], 0) & np.equal(xs[1], 0)


def _complex_zero_exponent(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """complex.power: the exponent is an array, and zero there."""
    return np.equal(xs[2], 0) & np.equal(xs[3], 0) if len(xs) == 4 else np.zeros(np.shape(xs[0]), bool)


def _complex_zero_exponent_of_a_base(xs: Operands, params: Params, fmt: Format) -> Array:
    somewhere = np.logical_not(_complex_zero_base(xs, params, fmt))
    return np.logical_and(somewhere, _complex_zero_exponent(xs, params, fmt))


def _complex_zero_base_and_exponent(xs: Operands, params: Params, fmt: Format) -> Array:
    return np.logical_and(_complex_zero_base(xs, params, fmt), _complex_zero_exponent(xs, params, fmt))


def _zero_input(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Some element of the first operand is zero."""
    return np.asarray(np.any(np.equal(xs[0], 0)))


def _first_is_subnormal(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The first operand, broadcast against the others, is below the normal range."""
    return np.abs(np.broadcast_arrays(*xs)[0]) < fmt.least_normal


def _reciprocal_of_modulus_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Some complex number, of these two parts, is not zero and has a reciprocal that overflows."""
    size = np.hypot(*[np.asarray(x, fmt.wide) for x in xs])
    return np.asarray(np.any((size > 0) & (size <= 1 / fmt.max)))


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


def _square_of_exponential_of_the_difference_leaves_the_range(base: float) -> Place:
    def place(xs: Operands, _params: Params, fmt: Format) -> Array:
        """The reciprocal of the square of a power of the difference of two operands has lost digits to underflow."""
        a, b = np.broadcast_arrays(*[np.asarray(x, fmt.wide) for x in xs])
        with np.errstate(invalid="ignore"):
            return ~(2 * np.abs(a - b) * math.log(base) < -np.log(fmt.least_normal))

    return place


def _exponential_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The exponential of the first operand overflows."""
    return ~(np.asarray(xs[0], fmt.wide) < np.log(fmt.max))


def _corner(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """xlogy and xlog1py: the first operand is 0, and the logarithm of the second is infinite."""
    a, b = np.broadcast_arrays(*xs)
    return (a == 0) & ((b == 0) | (b == -1))


def _negative(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The first operand is negative."""
    return np.broadcast_arrays(*xs)[0] < 0


def _last_reciprocal_overflows(xs: Operands, params: Params, fmt: Format) -> Array:
    """The reciprocal of the last operand overflows."""
    return _reciprocal_overflows((xs[0], xs[-1]), params, fmt)


def _not_finite(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """Some element of an operand is infinite or NaN."""
    return np.asarray(any(not np.isfinite(x).all() for x in xs))


def _sum_leaves_the_range(xs: Operands, _params: Params, fmt: Format) -> Array:
    """The sum of the magnitudes of all elements overflows, or that of their squares where these are larger."""
    size = np.abs(np.asarray(xs[0], fmt.wide))
    with np.errstate(all="ignore"):
        return np.asarray(~(np.sum(np.maximum(size, size * size)) < fmt.max))


def _fewer_axes(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """An operand has fewer axes than another one, to which it is broadcast."""
    return np.asarray(len({np.ndim(x) for x in xs}) > 1)


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
    "query without keys": _query_without_keys,
    "squares leave the range": _squares_leave_the_range,
    "the square of the divisor leaves the range": _square_of_divisor_leaves_the_range,
    "at the threshold": _at_threshold,
    "complex zero base": _complex_zero_base,
    "complex zero exponent of a base that is not zero": _complex_zero_exponent_of_a_base,
    "complex zero base and exponent": _complex_zero_base_and_exponent,
    "a zero among the inputs": _zero_input,
    "first operand one and second zero": _exponential_at_zero,
    "the reciprocal of a modulus overflows": _reciprocal_of_modulus_overflows,
    "first operand subnormal": _first_is_subnormal,
    "origin": _origin,
    "zero or one": _zero_or_one,
    "second operand minus one": _second_is_minus_one,
    "beyond a tenth of the range": _tenth_of_the_range,
    "infinite, or the square of the reciprocal is": _reciprocal_or_operand_infinite,
    "exp of the difference overflows": _exponential_of_the_difference_overflows(math.e),
    "exp2 of the difference overflows": _exponential_of_the_difference_overflows(2.0),
    "the square of exp of the difference leaves the range": (
        _square_of_exponential_of_the_difference_leaves_the_range(math.e)
    ),
    "the square of exp2 of the difference leaves the range": (
        _square_of_exponential_of_the_difference_leaves_the_range(2.0)
    ),
    "exp overflows": _exponential_overflows,
    "the corner of x log y": _corner,
    "below zero": _negative,
    "the reciprocal of the last operand overflows": _last_reciprocal_overflows,
    "an operand that is not finite": _not_finite,
    "a sum leaves the range": _sum_leaves_the_range,
    "an operand of fewer axes": _fewer_axes,
    **MATRIX_PLACES,
    **RESULT_PLACES,
    **ROW_PLACES,
}
