"""Formulas of recorded disagreements at kinks and ties, where torch's modes are derivatives of different functions.

Where two modes are compared, the first tangent of a formula is that of forward mode, and the gradients are those of reverse mode.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.arrays import Array
from refgrad.op import FUNCTIONS
from refgrad.ops.stop_gradient import stop_gradient
from refgrad.testing.deviations.exponential_formulas import summed_to
from refgrad.testing.deviations.recorded_formula import TANGENT, Formula, Inputs, Outcomes
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp


def _two_slopes(inputs: Inputs) -> Outcomes:
    """prelu: at 0 the slope of reverse mode is the weight, and that of forward mode is 1."""
    (x, weight), (x_dot, weight_dot) = inputs.xs, inputs.xs_dot
    if inputs.second or inputs.y_bar is None or x_dot is None or weight_dot is None:
        return {}
    value = parts(x)[0]
    one = weight.size == 1

    def spread(w: Any) -> Any:
        return np.reshape(w, () if one else (-1, *(1,) * (value.ndim - 2)))

    below = np.where(value > 0, 0.0, x)
    moved = spread(weight) * x_dot + x * spread(weight_dot)
    return {
        TANGENT: [np.where(value >= 0, x_dot, moved)],
        0: [inputs.y_bar * np.where(value > 0, 1.0, spread(weight))],
        1: [vjp(lambda w: spread(w) * below, weight)[1](inputs.y_bar)[0]],
    }


def _excluded_share(inputs: Inputs) -> Outcomes:
    """scatter_reduce of extremes without the input: an element of the input that equals the extreme counts as one of the tied."""
    params, names = inputs.params, FUNCTIONS["nn.scatter_reduce"].operands(inputs.params)
    if inputs.second or params["include_self"] or params["reduce"] not in ("amax", "amin"):
        return {}
    own, at = names.index("input"), names.index("src")
    given = {**params, **dict(zip(names, inputs.xs, strict=True))}
    x, index, source = parts(given["input"])[0], np.asarray(given["index"]), parts(given["src"])[0]
    source = source[tuple(slice(0, n) for n in index.shape)]
    key = list(np.indices(index.shape))
    key[params["dim"]] = index
    places = tuple(key)
    sign = 1.0 if params["reduce"] == "amax" else -1.0
    most, touched = np.full(x.shape, -np.inf), np.zeros(x.shape, bool)
    np.maximum.at(most, places, sign * source)
    touched[places] = True
    tied = sign * source == most[places]
    count = (sign * x == most).astype(float)
    np.add.at(count, places, tied)
    share = np.zeros(parts(given["src"])[0].shape)
    share[tuple(slice(0, n) for n in index.shape)] = np.where(tied, 1.0, 0.0)

    def spread(y_bar: Any) -> tuple[Any, Any]:
        each = nn.gather(y_bar / np.where(touched, count, 1.0), params["dim"], index)
        room = [(0, n - m) for n, m in zip(share.shape, index.shape, strict=True)]
        return np.where(touched, 0.0, y_bar), share * np.pad(each, room)

    found: Outcomes = {}
    if inputs.y_bar is not None:
        found |= {k: [x_bar] for k, x_bar in zip((own, at), spread(inputs.y_bar), strict=True)}
    dots = inputs.xs_dot[own], inputs.xs_dot[at]
    if dots[0] is not None and dots[1] is not None:
        right = jvp(
            lambda x, src: nn.scatter_reduce(**{**given, "input": x, "src": src}),
            (given["input"], given["src"]),
            dots,
        )[1]
        found[TANGENT] = [right, vjp(spread, np.zeros(x.shape) + 0.0 * given["input"])[1](dots)[0]]
    return found


def _slope_of_the_norm(inputs: Inputs) -> Outcomes:
    """cosine_similarity: each divisor is max(norm, eps), and reverse mode takes the slope of the norm for its slope.

    A tangent of that gradient is the right one: the divisor is a constant where it is eps. A gradient of it repeats the mistake.
    """
    params, eps = inputs.params, inputs.params["eps"]
    axis = params["dim"] % max(len(x.shape) for x in inputs.xs)

    def norms(xs: Any) -> list[Any]:
        return [np.linalg.norm(x, axis=axis, keepdims=True) for x in xs]

    def cosine(*xs: Any) -> Any:
        """The value, whose derivative is the wrong one."""
        pair = np.broadcast_arrays(*xs)
        sizes = [n + stop_gradient(np.maximum(n, eps) - n) for n in norms(pair)]
        return np.sum((pair[0] / sizes[0]) * (pair[1] / sizes[1]), axis=axis)

    def gradient(y_bar: Any, *xs: Any) -> tuple[Any, Any]:
        """The wrong gradient, whose derivative is right; of broadcast operands."""
        plain = norms(xs)
        sizes = [np.maximum(n, eps) for n in plain]
        y = np.sum((xs[0] / sizes[0]) * (xs[1] / sizes[1]), axis=axis, keepdims=True)
        given = np.expand_dims(y_bar, axis)
        found = [
            given * (other / sizes[1 - k] - y * (x / np.where(n == 0, 1.0, n))) / sizes[k]
            for k, (x, other, n) in enumerate(zip(xs, xs[::-1], plain, strict=True))
        ]
        return found[0], found[1]

    def along(*xs: Any) -> tuple[Any, ...]:
        """The gradient of operands that are broadcast first, as forward over reverse mode differentiates it."""
        pair, back = vjp(lambda *zs: tuple(np.broadcast_arrays(*zs)), *xs)
        return tuple(back(gradient(inputs.y_bar, *pair)))

    moving = all(t is not None for t in inputs.xs_dot)
    if inputs.second:
        held = vjp(lambda *xs: vjp(cosine, *xs)[1](inputs.y_bar), *inputs.xs)[1](inputs.dots)
        tangents = jvp(along, inputs.xs, inputs.dots)[1]
        return {k: list(pair) for k, pair in enumerate(zip(tangents, held, strict=True))}
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found |= {k: [x_bar] for k, x_bar in enumerate(vjp(cosine, *inputs.xs)[1](inputs.y_bar))}
    if moving:
        right = jvp(lambda *xs: nn.cosine_similarity(*xs, **params), inputs.xs, inputs.xs_dot)[1]
        found[TANGENT] = [right, jvp(cosine, inputs.xs, inputs.xs_dot)[1]]
    return found


def _shared(inputs: Inputs, shares: list[Any], tangent: Any) -> Outcomes:
    """The gradients of elementwise operands that each receive a share of the cotangent, and a tangent."""
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found |= {
            k: [summed_to(inputs.y_bar * share, x.shape)]
            for k, (x, share) in enumerate(zip(inputs.xs, shares, strict=True))
        }
    if all(x_dot is not None for x_dot in inputs.xs_dot):
        found[TANGENT] = [tangent(*inputs.xs_dot)]
    return found


def _first_and_second(inputs: Inputs) -> Outcomes:
    """fmax: at a tie reverse mode takes the first operand, and forward mode the second, by a sum and a difference."""
    if inputs.second:
        return {}
    a, b = (parts(x)[0] for x in inputs.xs)
    first, taken = (a >= b) | np.isnan(b), ((a > b) | np.isnan(b)).astype(float)
    return _shared(
        inputs, [first.astype(float), 1.0 - first], lambda a_dot, b_dot: b_dot + (a_dot - b_dot) * taken
    )


def _nan_in_comparisons(sign: float) -> Formula:
    """fmax (sign 1) and fmin: beside NaN reverse mode gives all to both operands, and forward mode takes the second."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return {}
        a, b = (sign * parts(x)[0] for x in inputs.xs)
        shares = _all_beside_nan(a, b)

        def tangent(a_dot: Any, b_dot: Any) -> Any:
            return np.where(a > b, a_dot, np.where(a == b, (a_dot + b_dot) / 2, b_dot))

        return _shared(inputs, shares, tangent)

    return evaluate


def _both_tangents_beside_nan(sign: float) -> Formula:
    """fmax (sign 1) and fmin: the transpose of reverse mode, which beside NaN gives all to both operands."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second or any(x_dot is None for x_dot in inputs.xs_dot):
            return {}
        shares = _all_beside_nan(*(sign * parts(x)[0] for x in inputs.xs))
        a_dot, b_dot = (share * x_dot for share, x_dot in zip(shares, inputs.xs_dot, strict=True))
        return {TANGENT: [a_dot + b_dot]}

    return evaluate


def _all_beside_nan(a: Array, b: Array) -> list[Array]:
    """The shares of two operands in the gradient of the larger one: halves at a tie, and all to both where one is NaN."""
    tied = np.where(a == b, 0.5, np.where(np.isnan(a) | np.isnan(b), 1.0, 0.0))
    return [np.where(one > other, 1.0, tied) for one, other in ((a, b), (b, a))]


def _nothing_at_equal_bounds(inputs: Inputs) -> Outcomes:
    """clip: reverse mode gives a lower bound its share only if it is below the upper one, and forward mode also if they are equal."""
    if inputs.second or len(inputs.xs) != 3:
        return {}
    x, low, high = (parts(given)[0] for given in inputs.xs)
    inside, above = (low <= x) & (x <= high), (x > high) | (low > high)
    shares = [np.asarray(mask, float) for mask in (inside, (x < low) & (low < high), above)]

    def tangent(*dots: Any) -> Any:
        return np.where(above, dots[2], np.where(x < low, dots[1], dots[0]))

    return _shared(inputs, shares, tangent)


def _by_masks(choice: Any) -> Formula:
    """maximum, minimum and clip: what arrives, and what moves, is multiplied by the share of each operand, also by a share of 0.

    An infinite or NaN direction is NaN there. Between operands that are equal the shares are not those of every framework.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return {}
        xs = [parts(x)[0] for x in inputs.xs]
        chosen = [x == choice(*xs) for x in xs]
        shares = [mask / np.maximum(np.sum(chosen, axis=0), 1) for mask in chosen]

        def tangent(*dots: Any) -> Any:
            first, *rest = (x_dot * share for x_dot, share in zip(dots, shares, strict=True))
            return sum(rest, first)

        return _shared(inputs, shares, tangent)

    return evaluate


def _whole_share_at_a_tie(scale: float) -> Formula:
    """logaddexp: a maximum and a function of the absolute difference, which give a tie to the first operand. ``scale`` is log(base).

    Operands of which rounding decides whether they are equal give the first one any share from its own to 1. Of equal infinities the
    gradients are NaN, 0 times infinity, and the tangent is the sum of both.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return {}
        x, y = np.broadcast_arrays(*inputs.xs)
        (apart, reach), (a, b) = parts(x - y), (parts(given)[0] for given in (x, y))
        shares = []
        for difference, whole in ((x - y, 1.0), (y - x, 0.0)):
            share = nn.sigmoid(difference * scale)
            own, radius = parts(share)
            centre, half = (own + whole) / 2, np.abs(own - whole) / 2 + radius
            maybe = np.abs(apart) <= reach
            centre, half = np.where(maybe, centre, own), np.where(maybe, half, radius)
            told = np.where(np.isinf(a), np.nan, whole)
            tied = (a == b) & (reach == 0)
            shares.append(Ball(np.where(tied, told, centre), np.where(tied, 0.0, half), inputs.fmt))
        moved = [np.where((a == b) & np.isinf(a), 1.0, share) for share in shares]
        return _shared(inputs, shares, lambda x_dot, y_dot: x_dot * moved[0] + y_dot * moved[1])

    return evaluate


KINK_FORMULAS: dict[str, Formula] = {
    "prelu with two slopes at 0": _two_slopes,
    "scatter_reduce with a share for the excluded element": _excluded_share,
    "cosine_similarity by the slope of the norm": _slope_of_the_norm,
    "fmax of the first and of the second operand": _first_and_second,
    "fmax by comparisons with NaN": _nan_in_comparisons(1.0),
    "fmin by comparisons with NaN": _nan_in_comparisons(-1.0),
    "fmax of both tangents beside NaN": _both_tangents_beside_nan(1.0),
    "fmin of both tangents beside NaN": _both_tangents_beside_nan(-1.0),
    "clip with nothing for equal bounds": _nothing_at_equal_bounds,
    "logaddexp with the whole share of a tie": _whole_share_at_a_tie(1.0),
    "logaddexp2 with the whole share of a tie": _whole_share_at_a_tie(math.log(2.0)),
    "maximum by masks": _by_masks(np.maximum),
    "minimum by masks": _by_masks(np.minimum),
    "clip by masks": _by_masks(lambda x, low, high: np.minimum(np.maximum(x, low), high)),
}

__all__ = ["KINK_FORMULAS"]
