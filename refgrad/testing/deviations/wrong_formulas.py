"""Formulas that frameworks compute in place of the correct one, for recorded disagreements at ordinary operands, evaluated over Balls.

A wrong number is known only where it lies within the bound of the recorded formula. Any other wrong number of the same op fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.bounds.formats import Format
from refgrad.testing.deviations.exponential_formulas import EXPONENTIAL_FORMULAS
from refgrad.testing.deviations.factor_formulas import FACTOR_FORMULAS
from refgrad.testing.deviations.mxnet_formulas import MXNET_FORMULAS
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    composed,
    slope,
)
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp


def _softsign(x: Any) -> Any:
    return x / (1 + np.abs(x))


def _tanhshrink(x: Any) -> Any:
    return x - np.tanh(x)


def _sinc_slope(x: Any) -> Any:
    return (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x)) / (np.pi * x * x)


def _exp_minus_one(inputs: Inputs) -> Outcomes:
    """elu: below 0, the exponential minus one."""
    return {VALUE: [inputs.params["alpha"] * (np.exp(inputs.xs[0]) - 1)]}


def _leaky_relu_in_single(inputs: Inputs) -> Outcomes:
    """leaky_relu: the slope below 0 is a float32 number."""
    slope = float(np.float32(inputs.params["slope"]))
    return composed(lambda x: np.where(x > 0, x, x * slope))(inputs)


def _gelu_tanh_in_single(x: Any) -> Any:
    """gelu_tanh: the factor of the cube is a float32 number."""
    cubic = float(np.float32(0.044715))
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + cubic * (x * x * x))))


def _stored_products(a: Any, b: Any) -> Any:
    """matmul with a vector: each product is rounded to storage before all are summed."""
    if b.ndim == 1:
        return np.sum(a * b, axis=-1)
    return np.sum(a[:, None] * b, axis=-2) if a.ndim == 1 else np.matmul(a, b)


def _interpolated(inputs: Inputs) -> Outcomes:
    """Tangents of a selection: that of the second operand, plus the share of the first times their difference."""
    first, second = inputs.xs_dot
    if first is None or second is None:
        return {}
    a, b = (np.asarray(parts(x)[0]) for x in inputs.xs)
    nothing = 0 * (first + second)
    return {TANGENT: [second + (first - second) + nothing * (a == b), (first - second) * 0 + second]}


def _sixth(inputs: Inputs) -> Outcomes:
    """hardsigmoid: the slope of the middle piece is a sixth rounded to float32."""
    sixth = float(np.float32(1 / 6))
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * sixth]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [inputs.xs_dot[0] * sixth]
    return found


def _hardsigmoid_by_sixth(x: Any) -> Any:
    return np.clip(x + 3.0, 0.0, 6.0) * float(np.float32(1 / 6))


def _hardswish_by_sixth(x: Any) -> Any:
    return x * np.clip(x + 3.0, 0.0, 6.0) * float(np.float32(1 / 6))


# Of oneDNN, the largest errors seen (docs/findings/mxnet-logarithm-of-onednn.md): absolute ones of its logarithm at 8.5 million points, and
# those of its exponential in ULP at 106 million. The exponential is 0 below 2^-125.5, the smallest normal number times the root of 2.
LOGARITHM, EXPONENTIAL, LEAST = 2.0**-17, 6.0, 2.0**0.5


def _inexact(y: Any, fmt: Format) -> Any:
    """y with the absolute error of a logarithm that keeps no relative one."""
    value, radius = parts(y)
    return Ball(value, radius + LOGARITHM, fmt)


def _exponential(y: Any, fmt: Format) -> Any:
    """y, which is an exponential or in proportion to one, with the error of the exponential."""
    value, radius = parts(y)
    return Ball(value, radius + EXPONENTIAL * 2 * fmt.u * value + LEAST * fmt.least_normal, fmt)


def _softplus_of_onednn(inputs: Inputs) -> Outcomes:
    """softplus up to its threshold: the value by an inexact logarithm, the slope by an inexact exponential."""
    x, threshold, fmt = inputs.xs[0], inputs.params.get("threshold"), inputs.fmt
    below: Any = True if threshold is None else parts(x)[0] <= threshold
    found: Outcomes = {VALUE: [np.where(below, _inexact(nn.softplus(x), fmt), x)]}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * np.where(below, _exponential(nn.sigmoid(x), fmt), 1.0)]
    return found


def _elu_of_onednn(inputs: Inputs) -> Outcomes:
    """elu: below 0 the value is an inexact exponential minus one, and the slope that exponential."""
    x, alpha = inputs.xs[0], inputs.params["alpha"]
    below, e = parts(x)[0] <= 0, _exponential(np.exp(np.minimum(x, 0.0)), inputs.fmt)
    found: Outcomes = {VALUE: [np.where(below, alpha * (e - 1), x)]}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * np.where(below, alpha * e, 1.0)]
    return found


def _log_softmax_of_onednn(inputs: Inputs) -> Outcomes:
    """log_softmax and cross_entropy: the gradient is that of the inexact value."""
    x, params = inputs.xs[0], dict(inputs.params)
    axis, labels = params["axis"], params.get("labels")
    logs = _inexact(nn.log_softmax(x, axis=axis), inputs.fmt)
    value, radius = parts(np.exp(logs))
    shares = Ball(value, radius + LEAST * inputs.fmt.least_normal, inputs.fmt)  # tiny ones become zero
    if labels is None:
        found: Outcomes = {VALUE: [logs]}
        if inputs.y_bar is not None:
            total = np.sum(inputs.y_bar, axis=axis, keepdims=True)
            found[0] = [inputs.y_bar - shares * total]
        return found
    chosen = np.expand_dims(labels, axis) == np.arange(x.shape[axis]).reshape(
        [-1 if k == axis % len(x.shape) else 1 for k in range(len(x.shape))]
    )
    found = {VALUE: [-np.sum(np.where(chosen, logs, 0.0)) / np.size(labels)]}
    if inputs.y_bar is not None:
        scale = inputs.y_bar / np.size(labels)
        found[0] = [scale * shares - np.where(chosen, scale, 0.0)]
    return found


def _other_branch(inputs: Inputs) -> Outcomes:
    """where: each branch receives the gradient of the elements that the other one gave."""
    if inputs.y_bar is None:
        return {}
    taken = np.asarray(inputs.xs[0], bool)
    found = {1: np.where(taken, 0.0, inputs.y_bar), 2: np.where(taken, inputs.y_bar, 0.0)}
    return {k: [x_bar] for k, x_bar in found.items()}


def _by_sorted_axes(inputs: Inputs) -> Outcomes:
    """transpose: the inverse permutation as the argsort of axes of which some count from the end."""
    axes = inputs.params["axes"]
    if inputs.y_bar is None or axes is None:
        return {}
    return {0: [np.transpose(inputs.y_bar, tuple(np.argsort(axes).tolist()))]}


def _floor_step(inputs: Inputs) -> Outcomes:
    """remainder: the gradient in the divisor is a floor division, off by one step in either direction."""
    a, b = inputs.xs
    q = np.floor(parts(a)[0] / parts(b)[0])
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[1] = [-inputs.y_bar * (q + step) for step in (-1.0, 1.0)]
    if all(t is not None for t in inputs.xs_dot):
        found[TANGENT] = [inputs.xs_dot[0] - inputs.xs_dot[1] * (q + step) for step in (-1.0, 1.0)]
    return found


def _remainder_by_quotient(inputs: Inputs) -> Outcomes:
    """remainder: the dividend less the divisor times the floor of their quotient, each step rounded."""
    a, b = inputs.xs
    return {VALUE: [a - b * np.floor(a / b)]}


def _sign_by_quotient(inputs: Inputs) -> Outcomes:
    """abs: the slope as the quotient of the operand by its size, after the product with the cotangent or tangent."""
    x = inputs.xs[0]
    size = np.abs(x) + np.where(np.equal(parts(x)[0], 0), 1.0, 0.0)
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * x / size]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [inputs.xs_dot[0] * x / size]
    return found


def _gathered_in_storage(inputs: Inputs) -> Outcomes:
    """getitem: the gradient is rounded to the storage format where it is added into zeros."""
    if inputs.y_bar is None:
        return {}
    [x], key, fmt = inputs.xs, inputs.params["key"], inputs.fmt
    value, radius = parts(inputs.y_bar)
    found, reach = np.zeros(x.shape, fmt.wide), np.zeros(x.shape, fmt.wide)
    np.add.at(found, key, value)
    np.add.at(reach, key, np.broadcast_to(radius, value.shape) + fmt.u * np.abs(value) + fmt.eta)
    return {0: [Ball(found, reach, fmt)]}


def _number_in_double(inputs: Inputs) -> Outcomes:
    """multiply: a number of the program meets a float64 gradient or tangent and is not rounded to the storage format, as its operand is."""
    found: Outcomes = {}
    for k, (x, own, other) in enumerate(zip(inputs.xs, inputs.xs_dot, reversed(inputs.xs_dot), strict=True)):
        value, radius = parts(x)
        if own is None and other is not None and np.ndim(value) == 0:
            number = Ball(value, radius + inputs.fmt.u * np.abs(value), inputs.fmt)
            found[TANGENT] = [other * number]
            if inputs.y_bar is not None:
                found[1 - k] = [inputs.y_bar * number]
    return found


def _product_by_quotients(inputs: Inputs) -> Outcomes:
    """prod: the products of the other factors as quotients of the whole product by each factor."""
    [x], params = inputs.xs, inputs.params
    over = {"axis": params["axis"], "keepdims": True}
    found: Outcomes = {}
    if inputs.y_bar is not None:
        whole = np.prod(x, **over)
        found[0] = [np.reshape(inputs.y_bar, whole.shape) * whole / x]
    return found


def _hypot_by_a_ratio(a: Any, b: Any) -> Any:
    """hypot: the larger size times the root of 1 plus the square of the ratio."""
    larger, smaller = np.maximum(np.abs(a), np.abs(b)), np.minimum(np.abs(a), np.abs(b))
    return larger * np.sqrt(1 + np.square(smaller / larger))


def _power_by_its_factor(inputs: Inputs) -> Outcomes:
    """power: in the base, the power of one less times the product of gradient and exponent, which magnifies what underflow lost."""
    x, exponent = inputs.xs
    if inputs.y_bar is None or inputs.y_bar.shape != x.shape:
        return {}
    return {0: [inputs.y_bar * exponent * x ** (exponent - 1)]}


def _over_misplaced_axes(extreme: Any) -> Formula:
    """max and min over several axes: the tangents where extremes, whose axes were inserted one by one in order, equal elements."""

    def evaluate(inputs: Inputs) -> Outcomes:
        [x], [x_dot], axis = inputs.xs, inputs.xs_dot, inputs.params["axis"]
        if x_dot is None or not isinstance(axis, tuple) or inputs.params["keepdims"]:
            return {}
        value = np.asarray(parts(x)[0])
        extremes = extreme(value, axis=axis)
        for k in sorted(axis):
            extremes = np.expand_dims(extremes, k)
        chosen = value == extremes
        return {TANGENT: [np.sum(np.where(chosen, x_dot, 0.0), axis=axis) / np.sum(chosen, axis=axis)]}

    return evaluate


def _norm_by_a_root_in_single(inputs: Inputs) -> Outcomes:
    """norm: the exponents of the root and of its slope, the reciprocal of the order and one less, are float32 numbers."""
    [x], [x_dot], params, order = inputs.xs, inputs.xs_dot, inputs.params, inputs.params["ord"]
    if order is None or not np.isfinite(order) or order == 0:
        return {}
    root = np.float32(1) / np.float32(order)

    def total(x: Any) -> Any:
        return np.sum(np.abs(x) ** order, axis=params["axis"], keepdims=params["keepdims"])

    powers, pullback = vjp(total, x)
    slope = float(root) * powers ** float(root - np.float32(1))
    found: Outcomes = {VALUE: [powers ** float(root)]}
    if inputs.y_bar is not None:
        found[0] = [pullback(inputs.y_bar * slope)[0]]
    if x_dot is not None:
        found[TANGENT] = [slope * jvp(total, (x,), (x_dot,))[1]]
    return found


FORMULAS: dict[str, Formula] = {
    "softsign by composition": composed(_softsign),
    "tanhshrink by composition": composed(_tanhshrink),
    "sinc slope that cancels": slope(_sinc_slope),
    "exp minus one": _exp_minus_one,
    "leaky_relu's slope in float32": _leaky_relu_in_single,
    "gelu_tanh by a factor in float32": composed(_gelu_tanh_in_single),
    "stored products": composed(_stored_products),
    "interpolated tangents": _interpolated,
    "a sixth in float32": _sixth,
    "hardsigmoid by a sixth in float32": composed(_hardsigmoid_by_sixth),
    "hardswish by a sixth in float32": composed(_hardswish_by_sixth),
    "floor off by one": _floor_step,
    "remainder by its quotient": _remainder_by_quotient,
    "softplus of oneDNN": _softplus_of_onednn,
    "elu of oneDNN": _elu_of_onednn,
    "logarithm of oneDNN in log_softmax": _log_softmax_of_onednn,
    "gradient of the other branch": _other_branch,
    "transpose by the argsort of its axes": _by_sorted_axes,
    "sign by a quotient": _sign_by_quotient,
    "gathered in the storage format": _gathered_in_storage,
    "a number in float64": _number_in_double,
    "hypot by a ratio": composed(_hypot_by_a_ratio),
    "power of one less by its factor": _power_by_its_factor,
    "product by quotients": _product_by_quotients,
    "max over misplaced axes": _over_misplaced_axes(np.max),
    "min over misplaced axes": _over_misplaced_axes(np.min),
    "norm by a root in float32": _norm_by_a_root_in_single,
    "logit by a quotient": composed(lambda x: np.log(x / (1 - x))),
    **EXPONENTIAL_FORMULAS,
    **FACTOR_FORMULAS,
    **MXNET_FORMULAS,
}
