"""Formulas of recorded disagreements of Paddle: shares of at least exp(-64), norms by a float32 root, and others."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.testing.deviations.exponential_formulas import summed_to
from refgrad.testing.deviations.recorded_formula import VALUE, Formula, Inputs, Outcomes, composed, slope
from refgrad.tracing.ball import Ball, parts

CLIP = -64.0  # the least difference from the largest element that softmax and log_softmax take
SIXTH = float(np.float32(0.1666667))  # the slope of hardsigmoid, by default, in each dtype a float32 number
SHIFT = 1e-12  # what the gradient of a norm adds to the power of the norm that it divides by
# On full vectors exp is not below a quarter of the smallest normal number: 2^-128, in float64 2^-1024.
LEAST = 2.0**-1.9


def _clipped(x: Any, axis: int) -> Any:
    """x less its largest element, at least CLIP."""
    return np.maximum(x - np.max(parts(x)[0], axis=axis, keepdims=True), CLIP)


def _softmax(inputs: Inputs) -> Outcomes:
    """softmax: no exponential is below exp(CLIP)."""
    axis = inputs.params["axis"]
    powers = np.exp(_clipped(inputs.xs[0], axis))
    shares = powers / np.sum(powers, axis=axis, keepdims=True)
    found: Outcomes = {VALUE: [shares]}
    if inputs.y_bar is not None:
        y_bar = inputs.y_bar
        found[0] = [shares * (y_bar - np.sum(shares * y_bar, axis=axis, keepdims=True))]
    return found


def _log_softmax(inputs: Inputs) -> Outcomes:
    """log_softmax: no difference from the largest element is below CLIP."""
    axis = inputs.params["axis"]
    x = _clipped(inputs.xs[0], axis)
    y = x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))
    found: Outcomes = {VALUE: [y]}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar - np.exp(y) * np.sum(inputs.y_bar, axis=axis, keepdims=True)]
    return found


def _cross_entropy(inputs: Inputs) -> Outcomes:
    """cross_entropy: the mean of -log_softmax at the labels, of differences that are not below CLIP."""
    [x], axis = inputs.xs, inputs.params["axis"]
    labels = np.asarray(inputs.params["labels"])
    places = np.expand_dims(np.arange(x.shape[axis]), [k for k in range(x.ndim) if k != axis % x.ndim])
    chosen = np.where(np.expand_dims(labels, axis) == places, 1.0, 0.0)
    near = _clipped(x, axis)
    y = near - np.log(np.sum(np.exp(near), axis=axis, keepdims=True))
    found: Outcomes = {VALUE: [-np.sum(chosen * y) / labels.size]}
    if inputs.y_bar is not None:
        found[0] = [(np.exp(y) - chosen) * (inputs.y_bar / labels.size)]
    return found


def _mish(inputs: Inputs) -> Outcomes:
    """mish: value and slope by the softplus that is the logarithm of a sum."""
    x = inputs.xs[0]
    plus = _softplus(x)
    t = np.tanh(plus)
    found: Outcomes = {VALUE: [x * t]}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * (t + x * (1 - t * t) * (1 - np.exp(-plus)))]
    return found


def _at_least(y: Any, inputs: Inputs) -> Any:
    """An exponential that is not below a quarter of the smallest normal number."""
    value, radius = parts(y)
    return Ball(value, radius + LEAST * inputs.fmt.least_normal, inputs.fmt)


def _exp(inputs: Inputs) -> Outcomes:
    """exp: at least 2^-128, also in the gradient."""
    y = _at_least(np.exp(inputs.xs[0]), inputs)
    return {VALUE: [y], **({} if inputs.y_bar is None else {0: [inputs.y_bar * y]})}


def _logsumexp(inputs: Inputs) -> Outcomes:
    """logsumexp: the shares in the gradient are exponentials of differences, at least 2^-128."""
    [x], axis = inputs.xs, inputs.params["axis"]
    if inputs.y_bar is None:
        return {}
    top = np.max(parts(x)[0], axis=axis, keepdims=True)
    value = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return {0: [np.reshape(inputs.y_bar, top.shape) * _at_least(np.exp(x - value), inputs)]}


def _softplus(x: Any) -> Any:
    """softplus up to 20: the logarithm of 1 + exp(x), which loses the digits of a small exponential."""
    return np.where(x > 20, x, np.log(1 + np.exp(np.minimum(x, 20.0))))


def _value_alone(f: Any) -> Formula:
    return lambda inputs: {VALUE: [f(inputs.xs[0])]}


def _logaddexp(inputs: Inputs) -> Outcomes:
    """logaddexp: the shares in the gradient are exponentials, at least 2^-128."""
    a, b = inputs.xs
    if inputs.y_bar is None:
        return {}
    shares = _at_least(nn.sigmoid(a - b), inputs), _at_least(nn.sigmoid(b - a), inputs)
    return {
        k: [summed_to(inputs.y_bar * w, x.shape)] for k, (x, w) in enumerate(zip((a, b), shares, strict=True))
    }


def _elu(inputs: Inputs) -> Outcomes:
    """elu below 0: alpha is a float32 number, the value is alpha * (exp(x) - 1), and the slope is the value plus alpha."""
    x, alpha = inputs.xs[0], float(np.float32(inputs.params["alpha"]))
    below = alpha * (np.exp(np.minimum(x, 0.0)) - 1)
    found: Outcomes = {VALUE: [np.where(x > 0, x, below)]}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * np.where(x > 0, 1.0, below + alpha)]
    return found


def _norm(inputs: Inputs) -> Outcomes:
    """norm: a power of the sum whose exponent, the reciprocal of the order, is a float32 number; the slope's denominator is shifted."""
    [x], params = inputs.xs, inputs.params
    order = 2.0 if params["ord"] is None else float(params["ord"])
    if not np.isfinite(order) or order == 0:
        return {}
    size = np.abs(x)
    total = np.sum(size**order, axis=params["axis"], keepdims=True)
    value = total ** float(np.float32(1) / np.float32(order))
    found: Outcomes = {VALUE: [value if params["keepdims"] else np.sum(value, axis=params["axis"])]}
    if inputs.y_bar is not None:
        power = size ** (order - 1) / (value ** (order - 1) + SHIFT)
        found[0] = [np.reshape(inputs.y_bar, value.shape) * np.sign(x) * power]
    return found


def _hardshrink(inputs: Inputs) -> Outcomes:
    """hardshrink: an operand of the threshold's magnitude is kept."""
    kept = np.abs(parts(inputs.xs[0])[0]) >= inputs.params["threshold"]
    return composed(lambda x: np.where(kept, x, 0.0))(inputs)


PADDLE_FORMULAS: dict[str, Formula] = {
    "softmax of differences of at most 64": _softmax,
    "log_softmax of differences of at most 64": _log_softmax,
    "cross_entropy of differences of at most 64": _cross_entropy,
    "exponential of at least 2^-128": _exp,
    "logsumexp by exponentials of at least 2^-128": _logsumexp,
    "logaddexp by exponentials of at least 2^-128": _logaddexp,
    "hardsigmoid by seven digits of a sixth": composed(lambda x: np.clip(SIXTH * x + 0.5, 0.0, 1.0)),
    "elu by a float32 alpha and exp minus one": _elu,
    "norm by a float32 root and a shifted denominator": _norm,
    "softplus by the logarithm of a sum": _value_alone(_softplus),
    "log_sigmoid by the logarithm of a sum": _value_alone(
        lambda x: np.minimum(x, 0.0) - np.log(1 + np.exp(-np.abs(x)))
    ),
    "mish by the logarithm of a sum": _mish,
    "slope of softplus up to 20": slope(lambda x: np.where(parts(x)[0] > 20, 1.0, nn.sigmoid(x))),
    "hardshrink that keeps its threshold": _hardshrink,
}

__all__ = ["PADDLE_FORMULAS"]
