"""Formulas of recorded disagreements about logarithms of sums of exponentials: logsumexp, log_softmax, logaddexp, logaddexp2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    second_derivative,
)
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp

Function = Callable[..., Any]
_SINGLE = 2.0**-24  # unit roundoff of float32


def _shares_by_the_value(logarithm: Function, exponential: Function) -> Formula:
    """logaddexp: the shares of the operands as exponentials of operand minus value, with the rounding of a large value."""

    def evaluate(inputs: Inputs) -> Outcomes:
        shares = [exponential(x - logarithm(*inputs.xs)) for x in inputs.xs]
        found: Outcomes = {}
        if inputs.y_bar is not None:
            found |= {
                k: [summed_to(inputs.y_bar * w, x.shape)]
                for k, (x, w) in enumerate(zip(inputs.xs, shares, strict=True))
            }
        moving = [x_dot * w for x_dot, w in zip(inputs.xs_dot, shares, strict=True) if x_dot is not None]
        if moving:
            found[TANGENT] = [sum(moving[1:], moving[0])]
        return found

    return evaluate


def _shares_with_zero_for_infinity(inputs: Inputs) -> Outcomes:
    """logaddexp: as ``_shares_by_the_value``, where 0 stands for an operand and for a value of +inf."""

    def finite(x: Any) -> Any:
        return np.where(np.asarray(parts(x)[0]) == np.inf, 0.0, x)

    value = finite(np.logaddexp(*inputs.xs))
    given = replace(inputs, xs=tuple(map(finite, inputs.xs)))
    return _shares_by_the_value(lambda *_: value, np.exp)(given)


def _log_of_shifted_sum(inputs: Inputs) -> Outcomes:
    """logsumexp and logaddexp: the derivative of log(sum(exp(x - m))) + m, also by its shift m, the largest element.

    What the shift receives is zero up to the rounding of a sum, and is added at all largest elements. An infinite shift is left out,
    which makes the derivative NaN.
    """
    xs, y_bar = inputs.xs, inputs.y_bar
    if len(xs) == 1:
        over = {"axis": inputs.params["axis"], "keepdims": True}
        value = np.asarray(parts(xs[0])[0])
        top = np.max(value, **over, initial=-np.inf)

        def total(terms: list[Any]) -> Any:
            return np.sum(terms[0], **over)

        shape = np.shape(
            np.max(value, axis=over["axis"], keepdims=inputs.params["keepdims"], initial=-np.inf)
        )
    else:
        top = np.maximum(*(np.asarray(parts(x)[0]) for x in xs))
        shape = top.shape

        def total(terms: list[Any]) -> Any:
            return sum(terms[1:], terms[0])

    shift = np.where(np.isinf(top), 0.0, top)
    largest = [np.asarray(parts(x)[0]) == np.where(np.isinf(top), np.nan, top) for x in xs]
    powers = [np.exp(x - shift) for x in xs]
    found: Outcomes = {}
    if y_bar is not None:
        arriving = np.reshape(y_bar, top.shape)
        sent = [e * (arriving / total(powers)) for e in powers]
        rest = arriving - total(sent)
        for k, (x_bar, at) in enumerate(zip(sent, largest, strict=True)):
            found[k] = [summed_to(x_bar + np.where(at, rest, 0.0), xs[k].shape)]
    if all(x_dot is not None for x_dot in inputs.xs_dot):
        moved = total([np.where(at, x_dot, 0.0) for at, x_dot in zip(largest, inputs.xs_dot, strict=True)])
        changes = [e * (x_dot - moved) for e, x_dot in zip(powers, inputs.xs_dot, strict=True)]
        found[TANGENT] = [np.reshape(total(changes) / total(powers) + moved, shape)]
    return found


def _log_softmax_of_another_shift(inputs: Inputs) -> Outcomes:
    """log_softmax: x - m - log(sum(exp(x - m))) in float32, where m is not the largest element of the row but that of another one.

    The mathematics is the same for each m. The rounding is that of numbers as large as x - m: five roundings of float32, and those of the
    sum. An element alone in its row has the value 0 by its own m alone.
    """
    x = inputs.xs[0]
    value, radius = parts(nn.log_softmax(x, axis=inputs.params["axis"]))
    size = 2 * float(np.max(np.abs(parts(x)[0]), initial=0.0)) + np.log(np.shape(x)[inputs.params["axis"]])
    steps = 5 + np.shape(x)[inputs.params["axis"]]
    return {VALUE: [Ball(value, radius + steps * _SINGLE * size, x.fmt)]}


def _weighted_sum_overflows(function: Function) -> Formula:
    """logsumexp, softmax, log_softmax: tangents weighted by exp(x - m) are added up, and then divided by the sum of the weights.

    The quotient is a mean of tangents, and in the range. The sum of n of them may overflow: then a tangent is anything that infinity makes.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        x, x_dot, params = inputs.xs[0], inputs.xs_dot[0], inputs.params
        if x_dot is None or params["axis"] == ():
            return {}
        over = {"axis": params["axis"], "keepdims": True}
        top = np.max(parts(x)[0], **over, initial=-np.inf)
        size, radius = parts(np.sum(x_dot * np.exp(x - np.where(np.isinf(top), 0.0, top)), **over))
        overflows = ~(np.abs(size) + radius < inputs.fmt.max)
        if inputs.second:
            gradient = second_derivative(
                lambda y_bar, x: vjp(lambda x: function(x, **params), x)[1](y_bar), inputs
            )
            return {0: [np.where(overflows, np.nan, ball) for ball in gradient[0]]}
        tangent = jvp(lambda x: function(x, **params), (x,), (x_dot,))[1]
        if tangent.size == overflows.size:  # logsumexp, with or without keepdims
            overflows = np.reshape(overflows, tangent.shape)
        return {TANGENT: [np.where(overflows, np.nan, tangent)]}

    return evaluate


def _quotients(power: Callable[[Any], Any]) -> Formula:
    """logaddexp, logaddexp2: the second derivatives of the shares 1 / (1 + power(difference)), of a quotient as it stands.

    The derivative of a quotient is divided by the divisor twice and then multiplied by the derivative of the divisor, which is as large.
    Where the square of the divisor leaves the range, underflow on the way takes some digits or all.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        if not inputs.second or inputs.y_bar is None or any(x_dot is None for x_dot in inputs.xs_dot):
            return {}

        def gradient(y_bar: Any, a: Any, b: Any) -> tuple[Any, Any]:
            return (
                summed_to(y_bar / (1 + power(b - a)), a.shape),
                summed_to(y_bar / (1 + power(a - b)), b.shape),
            )

        return second_derivative(gradient, inputs)

    return evaluate


def summed_to(x: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of an operand of this shape that was broadcast to the shape of x."""
    lead = x.ndim - len(shape)
    axes = (*range(lead), *(lead + k for k, n in enumerate(shape) if n == 1 and x.shape[lead + k] != 1))
    return np.reshape(np.sum(x, axis=axes), shape) if axes else x


EXPONENTIAL_FORMULAS: dict[str, Formula] = {
    "shares of logaddexp by its value": _shares_by_the_value(np.logaddexp, np.exp),
    "shares of logaddexp2 by its value": _shares_by_the_value(np.logaddexp2, np.exp2),
    "shares of logaddexp with 0 for infinity": _shares_with_zero_for_infinity,
    "logaddexp by quotients": _quotients(np.exp),
    "logaddexp2 by quotients": _quotients(np.exp2),
    "logarithm of a sum whose shift is differentiated": _log_of_shifted_sum,
    "log_softmax of another shift": _log_softmax_of_another_shift,
    "logsumexp of tangents added up first": _weighted_sum_overflows(nn.logsumexp),
    "softmax of tangents added up first": _weighted_sum_overflows(nn.softmax),
    "log_softmax of tangents added up first": _weighted_sum_overflows(nn.log_softmax),
}
