"""Formulas of recorded disagreements of MLX: an exponential that underflows early, sines by a pi of too few digits, det by cofactors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.testing.deviations.exponential_formulas import summed_to
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Formula, Inputs, Outcomes, composed
from refgrad.tracing.ball import Ball, parts

# exp of float32 numbers is 0 up to -87.6832 (docs/findings/mlx-exponential.md): this is the largest number that becomes 0.
LOST = 8.32e-39
# sin and cos of float32 numbers are those of the operand times 1 + d, with |d| of 1.09e-15 at ten million multiples of pi/2.
PI_OFF = 2.0**-49.5

Function = Callable[..., Any]


def _ended(y: Any, fmt: Any) -> Any:
    """An exponential, or what is in proportion to one of at most 1, of which tiny numbers become zero."""
    value, radius = parts(y)
    return Ball(value, radius + LOST, fmt)


def _in_both_modes(moved: Function, inputs: Inputs) -> Outcomes:
    """The gradient and the tangent by one function of what arrives, that of a symmetric Jacobian."""
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [moved(inputs.y_bar)]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [moved(inputs.xs_dot[0])]
    return found


def _softmax(inputs: Inputs) -> Outcomes:
    """softmax: shares below LOST are 0."""
    axis = inputs.params["axis"]
    shares = _ended(nn.softmax(inputs.xs[0], axis=axis), inputs.fmt)

    def moved(x: Any) -> Any:
        return shares * (x - np.sum(shares * x, axis=axis, keepdims=True))

    return {VALUE: [shares], **_in_both_modes(moved, inputs)}


def _softmax_in_the_format(inputs: Inputs) -> Outcomes:
    """softmax: the sums over the axis are added up in the format itself.

    Each addition of positive numbers is off by a factor between 1 - u and 1 + u, so that n of them are off by no more than the n-th power
    of these, in any order; and a sum is not below its largest term, which is 1.
    """
    axis, fmt = inputs.params["axis"], inputs.fmt
    x = parts(inputs.xs[0])[0]
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    total, n = np.sum(powers, axis=axis, keepdims=True), x.shape[axis] if x.ndim else 1
    high = powers * (1 + 4 * fmt.u) / np.maximum(total * (1 - fmt.u) ** n, 1.0)
    low = powers * (1 - 4 * fmt.u) / (total * (1 + fmt.u) ** n)
    shares = Ball((high + low) / 2, (high - low) / 2 + 2 * fmt.eta, fmt)

    def moved(arriving: Any) -> Any:
        terms = shares * arriving
        value, radius = parts(np.sum(terms, axis=axis, keepdims=True))
        lost = np.sum(np.abs(parts(terms)[0]) + parts(terms)[1], axis=axis, keepdims=True)
        return shares * (arriving - Ball(value, radius + ((1 + fmt.u) ** n - 1) * lost, fmt))

    return {VALUE: [shares], **_in_both_modes(moved, inputs)}


def _softmax_without_its_sum(inputs: Inputs) -> Outcomes:
    """softmax: the gradient is y g in place of y (g - sum(y g)), and so is the tangent."""
    y = nn.softmax(inputs.xs[0], axis=inputs.params["axis"])
    return _in_both_modes(lambda x: y * x, inputs)


def _product_before_the_divisor(inputs: Inputs) -> Outcomes:
    """divide: the gradient in the divisor is the product of cotangent and dividend, as it is stored, by the square of the divisor."""
    x, divisor = inputs.xs
    if inputs.second or inputs.y_bar is None:
        return {}
    return {1: [summed_to(-(inputs.y_bar * x) / (divisor * divisor), divisor.shape)]}


def _log_softmax(inputs: Inputs) -> Outcomes:
    """log_softmax: shares below LOST are 0 in the derivatives."""
    axis = inputs.params["axis"]
    shares = _ended(nn.softmax(inputs.xs[0], axis=axis), inputs.fmt)
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar - shares * np.sum(inputs.y_bar, axis=axis, keepdims=True)]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [inputs.xs_dot[0] - np.sum(shares * inputs.xs_dot[0], axis=axis, keepdims=True)]
    return found


def _cross_entropy(inputs: Inputs) -> Outcomes:
    """cross_entropy: the mean of -log_softmax at the labels."""
    [x], axis = inputs.xs, inputs.params["axis"]
    labels = np.asarray(inputs.params["labels"])
    places = np.expand_dims(np.arange(x.shape[axis]), [k for k in range(x.ndim) if k != axis % x.ndim])
    chosen = np.where(np.expand_dims(labels, axis) == places, 1.0, 0.0)
    shares = _ended(nn.softmax(x, axis=axis), inputs.fmt) - chosen
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [shares * (inputs.y_bar / labels.size)]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [np.sum(shares * inputs.xs_dot[0]) / labels.size]
    return found


def _logsumexp(inputs: Inputs) -> Outcomes:
    """logsumexp: shares below LOST are 0 in the derivatives."""
    [x], axis = inputs.xs, inputs.params["axis"]
    top = nn.logsumexp(x, axis=axis, keepdims=True)
    shares = _ended(np.exp(x - parts(top)[0]), inputs.fmt)
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [np.reshape(inputs.y_bar, top.shape) * shares]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [np.sum(shares * inputs.xs_dot[0], axis=axis, keepdims=inputs.params["keepdims"])]
    return found


def _logaddexp(inputs: Inputs) -> Outcomes:
    """logaddexp: the share of the second operand is one minus that of the first."""
    a, b = inputs.xs
    first = _ended(nn.sigmoid(a - b), inputs.fmt)
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found |= {
            0: [summed_to(inputs.y_bar * first, a.shape)],
            1: [summed_to(inputs.y_bar * (1 - first), b.shape)],
        }
    if all(x_dot is not None for x_dot in inputs.xs_dot):
        found[TANGENT] = [inputs.xs_dot[0] * first + inputs.xs_dot[1] * (1 - first)]
    return found


def _by_a_shortened_pi(f: Function, slope: Function) -> Formula:
    """sin and cos: of an operand that is taken modulo a pi of too few digits."""

    def evaluate(inputs: Inputs) -> Outcomes:
        value, radius = parts(inputs.xs[0])
        x = Ball(value, radius + PI_OFF * np.abs(value), inputs.fmt)
        found: Outcomes = {VALUE: [f(x)]}
        if inputs.y_bar is not None:
            found[0] = [inputs.y_bar * slope(x)]
        if inputs.xs_dot[0] is not None:
            found[TANGENT] = [inputs.xs_dot[0] * slope(x)]
        return found

    return evaluate


def _det_by_cofactors(a: Any) -> Any:
    """det of two or three rows: the expansion along the first one. Larger matrices are eliminated."""
    n = a.shape[-1]
    if n == 2:
        return a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]
    if n != 3:
        return np.linalg.det(a)
    (a0, a1, a2), (b0, b1, b2), (c0, c1, c2) = ([a[..., i, j] for j in range(3)] for i in range(3))
    return a0 * (b1 * c2 - b2 * c1) - a1 * (b0 * c2 - b2 * c0) + a2 * (b0 * c1 - b1 * c0)


def _mean_square(params: Any) -> Function:
    """The mean square of x - mean(x), whose mean is rounded to the format and differentiated, too."""

    def square(x: Any) -> Any:
        over = {"axis": params["axis"], "keepdims": params["keepdims"]}
        near = x - np.mean(x, axis=params["axis"], keepdims=True)
        return np.sum(near * near, **over) / (np.sum(np.ones(x.shape), **over) - params["ddof"])

    return square


def _std(inputs: Inputs) -> Outcomes:
    """std: the root of that mean square, also where the elements are equal but for rounding.

    The root of a Ball that reaches 0 has no bound. It lies between 0 and the root of the largest number. The slopes, x - mean(x) divided
    by the number of elements and by the root, have a sum of squares of at most 1, whatever the rounding of x - mean(x); the mean
    receives as much once more.
    """
    square, fmt = _mean_square(inputs.params), inputs.fmt
    value, radius = parts(square(inputs.xs[0]))
    root, low, high = (np.sqrt(np.maximum(value + k * radius, 0.0)) for k in (0, -1, 1))
    found = composed(lambda x: np.sqrt(square(x)))(inputs)
    found[VALUE] = [Ball(root, np.maximum(high - root, root - low) + 2 * fmt.u * high, fmt)]
    for key, arriving in ((0, inputs.y_bar), (TANGENT, inputs.xs_dot[0])):
        if key in found:
            value, radius = parts(found[key][0])
            most = 2 * np.max(np.abs(parts(arriving)[0]), initial=0.0) * np.sqrt(np.size(parts(arriving)[0]))
            known = np.isfinite(value) & np.isfinite(radius)
            found[key] = [Ball(np.where(known, value, 0.0), np.where(known, radius, most), fmt)]
    return found


MLX_FORMULAS: dict[str, Formula] = {
    "cross_entropy that underflows early": _cross_entropy,
    "det by cofactors": composed(_det_by_cofactors),
    "softmax without the sum of its derivatives": _softmax_without_its_sum,
    "a product by the square of the divisor": _product_before_the_divisor,
    "softmax that adds up in the format": _softmax_in_the_format,
    "softmax that underflows early": _softmax,
    "log_softmax that underflows early": _log_softmax,
    "logsumexp that underflows early": _logsumexp,
    "shares of logaddexp that add up to one": _logaddexp,
    "std whose mean is differentiated": _std,
    "var whose mean is differentiated": lambda inputs: composed(_mean_square(inputs.params))(inputs),
    "sin by a shortened pi": _by_a_shortened_pi(np.sin, np.cos),
    "cos by a shortened pi": _by_a_shortened_pi(np.cos, lambda x: -np.sin(x)),
}

__all__ = ["MLX_FORMULAS"]
