"""Recorded disagreements where an intermediate number overflows or is infinite, and the correct result is in the range.

A formula here tells in which elements that happens: NaN stands for any number there, 0 stands elsewhere. Entries cover NaN and inf alone.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.arrays import Array
from refgrad.op import FUNCTIONS
from refgrad.ops.reduction import expanded
from refgrad.testing.deviations.recorded_formula import TANGENT, Formula, Inputs, Outcomes
from refgrad.testing.deviations.running_formulas import ADDED
from refgrad.tracing.ball import parts
from refgrad.transforms import vjp


def _infinite_direction_times_mask(inputs: Inputs) -> Outcomes:
    """Elementwise ops, max and min over axes: what arrives is multiplied by 0 where it takes no part: NaN if it is not finite."""
    xs, params, found = [_plain(x) for x in inputs.xs], inputs.params, Outcomes()
    if inputs.y_bar is not None:
        arriving = ~np.isfinite(_plain(inputs.y_bar))
        if "axis" in params:
            arriving = np.broadcast_to(
                expanded(arriving, xs[0], params["axis"], params["keepdims"]), xs[0].shape
            )
        found |= {k: [_meeting(_anything(arriving), x.shape)] for k, x in enumerate(xs)}
    moving = [~np.isfinite(_plain(x_dot)) for x_dot in inputs.xs_dot if x_dot is not None]
    if moving and "axis" in params:
        met = np.any(moving[0], axis=params["axis"], keepdims=params["keepdims"])
        found[TANGENT] = [_anything(np.asarray(met))]
    elif moving:
        shape = np.broadcast_shapes(*[x.shape for x in xs])
        found[TANGENT] = [_anything(np.logical_or.reduce([np.broadcast_to(m, shape) for m in moving]))]
    return found


def _quotient_by_operand(inputs: Inputs) -> Outcomes:
    """log10 and prod: the cotangent or the tangent is divided by the operand first; of prod the quotients are added up."""
    x, params, found = _plain(inputs.xs[0]), inputs.params, Outcomes()
    with np.errstate(all="ignore"):
        if inputs.y_bar is not None and "axis" not in params:
            found[0] = [_overflowing(np.abs(_plain(inputs.y_bar) / x), inputs, x.shape)]
        if inputs.xs_dot[0] is not None:
            quotients = np.abs(_plain(inputs.xs_dot[0]) / x)
            if "axis" in params:
                quotients = np.sum(quotients, axis=params["axis"], keepdims=params["keepdims"])
            found[TANGENT] = [_overflowing(quotients, inputs, np.shape(quotients))]
    return found


def _quotient_by_deviation(inputs: Inputs) -> Outcomes:
    """std: the cotangent is divided by the standard deviation before it is multiplied by the distance from the mean."""
    if inputs.y_bar is None:
        return {}
    x, params = _plain(inputs.xs[0]), inputs.params
    near = np.std(
        x, axis=params["axis"], ddof=params["ddof"], keepdims=params["keepdims"], where=params["where"]
    )
    with np.errstate(all="ignore"):
        quotient = np.asarray(np.abs(_plain(inputs.y_bar)) / near)
    return {0: [_overflowing(expanded(quotient, x, params["axis"], params["keepdims"]), inputs, x.shape)]}


def _products_before_norm(inputs: Inputs) -> Outcomes:
    """norm: the tangent is the sum of products of operand and tangent, divided by the norm at the end."""
    if inputs.xs_dot[0] is None:
        return {}
    products = np.abs(_plain(inputs.xs[0]) * _plain(inputs.xs_dot[0]))
    total = np.sum(products, axis=inputs.params["axis"], keepdims=inputs.params["keepdims"])
    return {TANGENT: [_overflowing(total, inputs, np.shape(total))]}


def _quotient_divided_twice(inputs: Inputs) -> Outcomes:
    """normalize with p > 2: the cotangent of the norm n is divided by n^(p - 1) twice before anything else is multiplied.

    The cotangent is the sum of y_bar x by n^2, so that the quotient is that sum by n^(2 p). In forward mode the tangent stands in the place
    of y_bar. Each of the 2 p powers of the norm has its rounding.
    """
    y_bar, x_dot, params = inputs.y_bar, inputs.xs_dot[0], inputs.params
    if not inputs.second or y_bar is None or x_dot is None or params["p"] <= 2:
        return {}
    x, p, over = _plain(inputs.xs[0]), params["p"], {"axis": params["dim"], "keepdims": True}
    given = [_plain(a) for a in (y_bar, x_dot)]
    along = np.maximum(*[np.abs(np.sum(a * x, **over)) for a in given])
    others = np.maximum(1.0, np.maximum(*[np.max(np.abs(a), **over, initial=0.0) for a in given]))
    with np.errstate(all="ignore"):
        quotient = along * others / np.linalg.norm(x, p, **over) ** (2 * p)
    return {
        0: [_overflowing(quotient * (1 + 2 * p * x.shape[params["dim"]] * inputs.fmt.u), inputs, x.shape)]
    }


def _distance_divided_twice(inputs: Inputs) -> Outcomes:
    """pairwise_distance with p > 2: what is sent through the norm n is divided by n^(p - 1) twice before anything else is multiplied.

    Each of the 2 p powers of the norm has its rounding.
    """
    y_bar, params = inputs.y_bar, inputs.params
    if not inputs.second or y_bar is None or any(t is None for t in inputs.xs_dot) or params["p"] <= 2:
        return {}
    (x1, x2), p = [_plain(x) for x in inputs.xs], params["p"]
    row: dict[str, Any] = {"axis": -1, "keepdims": True}
    difference = x1 - x2 + params["eps"]
    sent = np.reshape(np.abs(_plain(y_bar)), (*difference.shape[:-1], 1))
    along = sum(np.sum(np.abs(_plain(x_dot)), **row) for x_dot in inputs.xs_dot)
    with np.errstate(all="ignore"):
        divisor = np.linalg.norm(difference, p, **row) ** (p - 1)
        quotient = sent / divisor**2 * np.maximum(1.0, along * divisor)
    most = quotient * (1 + 2 * p * difference.shape[-1] * inputs.fmt.u)
    places = _overflowing(most, inputs, difference.shape)
    return {k: [_meeting(places, x.shape)] for k, x in enumerate((x1, x2))}


def _powers_before_quotient(axes: int, inputs: Inputs) -> Outcomes:
    """lp_pool: the tangent of the sum of powers t over a window is multiplied by the cotangent before t^(1/p - 2) makes it small again.

    Source: y = t^(1/p) has the second derivative (1/p)(1/p - 1) t^(1/p - 2), and t the tangent sum of p x^(p - 1) x_dot.
    """
    y_bar, x_dot, params = inputs.y_bar, inputs.xs_dot[0], inputs.params
    if not inputs.second or y_bar is None or x_dot is None or params["norm_type"] == 1:
        return {}
    x, p, size = _plain(inputs.xs[0]), params["norm_type"], params["kernel_size"]
    count = math.prod(size) if isinstance(size, tuple) else size**axes

    def summed(x: Any) -> Any:
        return count * getattr(nn, f"avg_pool{axes}d")(x, size, params["stride"], 0, params["ceil_mode"])

    with np.errstate(all="ignore"):
        total, pullback = vjp(summed, p * np.abs(x) ** (p - 1) * np.abs(_plain(x_dot)))
    (windows,) = pullback(_overflowing(total * np.maximum(1.0, np.abs(_plain(y_bar))), inputs, total.shape))
    return {0: [windows]}


def _quotient_times_tangent(inputs: Inputs) -> Outcomes:
    """complex.divide: the tangent (z_dot - y w_dot)/w multiplies the value y as a complex number, also where a part of it overflows."""
    if inputs.second or any(t is None for t in inputs.xs_dot):
        return {}
    with np.errstate(all="ignore"):
        y = FUNCTIONS["complex.divide"].forward(*[_plain(x) for x in inputs.xs], **inputs.params)
        size = np.max(np.abs(y), axis=-1, keepdims=True)
    return {TANGENT: [_overflowing(size, inputs, y.shape)]}


def _square_before_factors(inputs: Inputs) -> Outcomes:
    """xlog1py: the second derivative divides by the square of 1 + y before all factors are multiplied, which may be below 1."""
    if not inputs.second or inputs.y_bar is None or any(t is None for t in inputs.xs_dot):
        return {}
    factors = [np.maximum(1.0, np.abs(_plain(x))) for x in (inputs.y_bar, inputs.xs[0], inputs.xs_dot[1])]
    with np.errstate(all="ignore"):
        largest = factors[0] * factors[1] * factors[2] / np.square(1 + _plain(inputs.xs[1]))
    shapes = [x.shape for x in inputs.xs]
    return {
        k: [_meeting(_overflowing(largest, inputs, largest.shape), shape)] for k, shape in enumerate(shapes)
    }


def _complement_divided_twice(inputs: Inputs) -> Outcomes:
    """logit: the cotangent, or the tangent, is divided by x (1 - x) twice; NaN is the difference of two multiples of the quotient."""
    y_bar, x_dot = inputs.y_bar, inputs.xs_dot[0]
    if not inputs.second or y_bar is None or x_dot is None:
        return {}
    x, *given = [_plain(a) for a in (inputs.xs[0], y_bar, x_dot)]
    first, second = np.abs(given)
    largest = np.maximum(first * np.maximum(1.0, second), second * np.maximum(1.0, first))
    with np.errstate(all="ignore"):
        return {0: [_overflowing(largest / np.square(x * (1 - x)), inputs, x.shape)]}


def _exponential_times_tangent(log: float, inputs: Inputs) -> Outcomes:
    """logaddexp, logaddexp2: forward mode through 1/(1 + exp(difference)) multiplies the exponential by the tangent of the difference.

    ``log`` is the logarithm of the base. The exponential has the rounding of the difference, and its own.
    """
    if not inputs.second or inputs.y_bar is None or any(t is None for t in inputs.xs_dot):
        return {}
    (a, b), (a_dot, b_dot) = [[_plain(x) for x in of] for of in (inputs.xs, inputs.xs_dot)]
    found: Outcomes = {}
    for k, far in enumerate((b - a, a - b)):
        with np.errstate(all="ignore"):
            slack = 1 + (np.abs(far) + 8) * inputs.fmt.u
            size = np.exp(log * far) * log * np.abs(b_dot - a_dot) * slack
        found[k] = [_meeting(_overflowing(size, inputs, size.shape), (a, b)[k].shape)]
    return found


def _logarithm_of_zero_cotangent(inputs: Inputs) -> Outcomes:
    """logcumsumexp: the gradient takes logarithms of the positive and of the negative cotangents, and running sums from the end.

    The derivative with respect to a cotangent of 0 is NaN. Forward mode through the gradient divides by a running sum plus 1e-13. In a
    format that has no such number this is 0/0 where the sum is 0, if the row has cotangents of that sign at all.
    """
    if inputs.y_bar is None:
        return {}
    y_bar, axis, fmt = _plain(inputs.y_bar), inputs.params["axis"], inputs.fmt
    if not inputs.second:
        return {TANGENT: [_anything(y_bar == 0)]}
    places = np.zeros(y_bar.shape, bool)
    for sign in (1, -1) if fmt.u * fmt.least_normal > ADDED else ():
        there = sign * y_bar > 0
        below = np.flip(np.cumsum(np.flip(there, axis), axis), axis)
        places |= (below == 0) & np.any(there, axis=axis, keepdims=True)
    return {0: [_anything(places)]}


def _plain(x: Any) -> Array:
    """The numbers of a Ball in float64 or wider."""
    value = np.asarray(parts(x)[0])
    return value if value.dtype.itemsize > 8 else value.astype(float)


def _overflowing(size: Array, inputs: Inputs, shape: tuple[int, ...]) -> Array:
    """Anything where numbers of this size may round to infinity."""
    return _anything(np.broadcast_to(~(size < inputs.fmt.max * (1 - 8 * inputs.fmt.u)), shape))


def _anything(places: Array) -> Array:
    """NaN at these places."""
    return np.where(places, np.nan, 0.0)


def _meeting(places: Array, shape: tuple[int, ...]) -> Array:
    """NaN in an operand of this shape where NaN meets it, if it was broadcast."""
    lead = places.ndim - len(shape)
    axes = (*range(lead), *(lead + k for k, n in enumerate(shape) if n == 1))
    return np.reshape(np.sum(places, axis=axes), shape)


OVERFLOW_FORMULAS: dict[str, Formula] = {
    "an infinite direction times a mask": _infinite_direction_times_mask,
    "a quotient by the operand that overflows": _quotient_by_operand,
    "std by a quotient that overflows": _quotient_by_deviation,
    "norm by products that overflow": _products_before_norm,
    "normalize by a quotient divided twice": _quotient_divided_twice,
    **{f"lp_pool{k}d by powers that overflow": functools.partial(_powers_before_quotient, k) for k in (1, 2)},
    "pairwise_distance by a quotient divided twice": _distance_divided_twice,
    "complex.divide by an infinite value": _quotient_times_tangent,
    "xlog1py by a quotient that overflows": _square_before_factors,
    "logit by a quotient divided twice": _complement_divided_twice,
    "logaddexp by an exponential times a tangent": functools.partial(_exponential_times_tangent, 1.0),
    "logaddexp2 by an exponential times a tangent": functools.partial(
        _exponential_times_tangent, math.log(2)
    ),
    "the logarithm of a cotangent of zero": _logarithm_of_zero_cotangent,
}

__all__ = ["OVERFLOW_FORMULAS"]
