"""Formulas that MXNet computes in float64 by float32 numbers, and others of its kernels outside oneDNN, for recorded disagreements."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.recorded_formula import VALUE, Formula, Inputs, Outcomes, composed
from refgrad.tracing.ball import Ball, parts

SINGLE = FORMATS["float32"]
PI = np.float32(np.pi)
TO_DEGREES, TO_RADIANS = float(np.float32(180) / PI), float(PI / np.float32(180))


def _stored_in_single(y: Any, inputs: Inputs, roundings: int) -> Any:
    """y after so many roundings to float32, the last of which may overflow."""
    value, radius = parts(y)
    size = np.abs(value)
    wider = radius + roundings * ((1 + SINGLE.u) * SINGLE.u * size + SINGLE.eta)
    return Ball(value, np.where(size > SINGLE.max, np.inf, wider), inputs.fmt)


def _leaky_relu(inputs: Inputs) -> Outcomes:
    """leaky_relu: below 0 the product of two float32 numbers. The sign of the value, not of the operand, decides on the slope."""
    x, slope = inputs.xs[0], float(np.float32(inputs.params["slope"]))
    below = parts(x)[0] <= 0
    found: Outcomes = {VALUE: [np.where(below, _stored_in_single(x * slope, inputs, 2), x)]}
    if inputs.y_bar is not None:
        ascends = np.where(below, parts(x)[0] * slope, parts(x)[0]) > 0
        found[0] = [inputs.y_bar * np.where(ascends, 1.0, slope)]
    return found


def _elu(inputs: Inputs) -> Outcomes:
    """elu: alpha is a float32 number. The slope below 0 is the value plus alpha."""
    x, alpha = inputs.xs[0], float(np.float32(inputs.params["alpha"]))
    below = parts(x)[0] <= 0
    y = alpha * np.expm1(np.minimum(x, 0.0))
    found: Outcomes = {VALUE: [np.where(below, y, x)]}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * np.where(below, y + alpha, 1.0)]
    return found


def _softplus_up_to_20(inputs: Inputs) -> Outcomes:
    """softplus: beyond 20 the identity, which float32 cannot tell from it."""
    x = inputs.xs[0]
    return {VALUE: [np.where(parts(x)[0] > 20, x, nn.softplus(x))]}


def _norm_by_ratios(inputs: Inputs) -> Outcomes:
    """norm: the gradient as a power of the ratio of an element to the norm, which underflow rounds."""
    [x], params, order = inputs.xs, inputs.params, inputs.params["ord"]
    if inputs.y_bar is None or order is None or not 1 < order < np.inf:
        return {}
    size = np.abs(x)
    whole = np.sum(size**order, axis=params["axis"], keepdims=True) ** (1 / order)
    y_bar = np.reshape(inputs.y_bar, whole.shape)
    return {0: [y_bar * np.sign(parts(x)[0]) * (size / whole) ** (order - 1)]}


def _arctan2_by_its_slopes(inputs: Inputs) -> Outcomes:
    """arctan2: what arrives times a slope that underflow has rounded."""
    a, b = inputs.xs
    if inputs.y_bar is None or not inputs.y_bar.shape == a.shape == b.shape:
        return {}
    squares = a * a + b * b
    return {0: [inputs.y_bar * (b / squares)], 1: [inputs.y_bar * (-a / squares)]}


def _padded_by_zeros(inputs: Inputs) -> Outcomes:
    """pad: zeros in place of the constants."""
    return {VALUE: [np.pad(inputs.xs[0], inputs.params["pad_width"])]}


MXNET_FORMULAS: dict[str, Formula] = {
    "leaky_relu in float32": _leaky_relu,
    "elu by an alpha in float32": _elu,
    "softplus up to 20": _softplus_up_to_20,
    "degrees by a factor in float32": composed(lambda x: x * TO_DEGREES),
    "radians by a factor in float32": composed(lambda x: x * TO_RADIANS),
    "norm by ratios": _norm_by_ratios,
    "arctan2 by its slopes": _arctan2_by_its_slopes,
    "pad by zeros": _padded_by_zeros,
}
