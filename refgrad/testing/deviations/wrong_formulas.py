"""Formulas that frameworks compute in place of the correct one, for recorded disagreements at ordinary operands, evaluated over Balls.

A wrong number is known only where it lies within the bound of the recorded formula. Any other wrong number of the same op fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.bounds.formats import Format
from refgrad.nn.activations import SELU_ALPHA, SELU_SCALE
from refgrad.testing.deviations.complex_formulas import COMPLEX_FORMULAS
from refgrad.testing.deviations.distance_formulas import DISTANCE_FORMULAS
from refgrad.testing.deviations.exponential_formulas import EXPONENTIAL_FORMULAS
from refgrad.testing.deviations.factor_formulas import FACTOR_FORMULAS
from refgrad.testing.deviations.framework_formulas import FRAMEWORK_FORMULAS
from refgrad.testing.deviations.gamma_formulas import GAMMA_FORMULAS
from refgrad.testing.deviations.half_exponential import by_coefficients_of_another_format
from refgrad.testing.deviations.kink_formulas import KINK_FORMULAS
from refgrad.testing.deviations.loss_formulas import LOSS_FORMULAS
from refgrad.testing.deviations.memory_formulas import MEMORY_FORMULAS
from refgrad.testing.deviations.mlx_formulas import MLX_FORMULAS
from refgrad.testing.deviations.mxnet_formulas import MXNET_FORMULAS
from refgrad.testing.deviations.normalization_formulas import NORMALIZATION_FORMULAS
from refgrad.testing.deviations.normalization_overflow import NORMALIZATION_OVERFLOW
from refgrad.testing.deviations.overflow_formulas import OVERFLOW_FORMULAS
from refgrad.testing.deviations.paddle_formulas import PADDLE_FORMULAS
from refgrad.testing.deviations.plane_formulas import PLANE_FORMULAS
from refgrad.testing.deviations.power_formulas import POWER_FORMULAS
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    composed,
    slope,
)
from refgrad.testing.deviations.running_formulas import RUNNING_FORMULAS
from refgrad.testing.deviations.singular_det_formulas import SINGULAR_DET_FORMULAS
from refgrad.testing.deviations.special_formulas import SPECIAL_FORMULAS
from refgrad.testing.deviations.tensorflow_formulas import TENSORFLOW_FORMULAS
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import vjp


def _softsign(x: Any) -> Any:
    return x / (1 + np.abs(x))


def _tanhshrink(x: Any) -> Any:
    return x - np.tanh(x)


def _sinc_slope(x: Any) -> Any:
    return (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x)) / (np.pi * x * x)


def _exp_minus_one(inputs: Inputs) -> Outcomes:
    """expm1, and elu below 0: the exponential minus one."""
    return {VALUE: [inputs.params.get("alpha", 1.0) * (np.exp(inputs.xs[0]) - 1)]}


def _celu_minus_one(inputs: Inputs) -> Outcomes:
    """celu below 0: alpha times the exponential minus one."""
    (x,), alpha = inputs.xs, inputs.params["alpha"]
    return {VALUE: [np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0.0) / alpha) - 1))]}


def _selu_minus_one(inputs: Inputs) -> Outcomes:
    """selu below 0: its two constants times the exponential minus one."""
    (x,) = inputs.xs
    below = SELU_SCALE * SELU_ALPHA * (np.exp(np.minimum(x, 0.0)) - 1)
    return {VALUE: [np.where(x > 0, SELU_SCALE * x, below)]}


def _leaky_relu_in_single(inputs: Inputs) -> Outcomes:
    """leaky_relu: the slope below 0 is a float32 number."""
    slope = float(np.float32(inputs.params["slope"]))
    return composed(lambda x: np.where(x > 0, x, x * slope))(inputs)


def _gelu_tanh_in_single(x: Any) -> Any:
    """gelu_tanh: the factor of the cube is a float32 number."""
    cubic = float(np.float32(0.044715))
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + cubic * (x * x * x))))


# Abramowitz and Stegun, 7.1.26: erf is 1 - (a1 t + ... + a5 t^5) exp(-x^2) with t = 1/(1 + p x), to within 1.5e-7.
_P, _A = 0.3275911, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_SINGLE = 2.0**-24  # unit roundoff of float32
_STEPS = 24  # roundings of terms that are at most 1: five products and sums, the quotient, the exponential and the difference


def _polynomial(x: Any) -> Any:
    t = 1 / (1 + _P * np.abs(x))
    total = 0.0 * t
    for a in _A:
        total = (total + a) * t
    return np.copysign(1 - total * np.exp(-x * x), x)


def _stored(value: Any, radius: Any, fmt: Format) -> Any:
    return Ball(value, radius + (0.0 if fmt.u == fmt.u_acc else fmt.store(value, radius)), fmt)


def _erf_by_polynomial(inputs: Inputs) -> Outcomes:
    """erf: a polynomial, in float32."""
    value, radius = parts(inputs.xs[0])
    return {VALUE: [_stored(_polynomial(value), _STEPS * _SINGLE + 2 * radius, inputs.fmt)]}


def _gelu_by_polynomial(inputs: Inputs) -> Outcomes:
    """gelu: the distribution function by the polynomial for erf, in float32."""
    x = inputs.xs[0]
    whole = 1 + _stored(_polynomial(parts(x)[0] / np.sqrt(2.0)), _STEPS * _SINGLE, inputs.fmt)
    return {VALUE: [0.5 * x * whole]}


def _gelu_of_onednn(inputs: Inputs) -> Outcomes:
    """gelu: value and slope by a distribution function with an absolute error, in float32."""
    x, e = parts(inputs.xs[0])
    fmt, ones = inputs.fmt, np.ones_like(x)
    value, slope = nn.gelu(x), vjp(nn.gelu, x)[1](ones)[0]
    off = DISTRIBUTION * (1 + np.abs(x))
    found: Outcomes = {
        VALUE: [_stored(value, np.abs(x) * DISTRIBUTION + 4 * _SINGLE * np.abs(value) + 2 * e, fmt)]
    }
    sloped = Ball(slope, off + 2 * e, fmt)
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * sloped]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [inputs.xs_dot[0] * sloped]
    return found


def _exponential_of_degree_eight(a: Any) -> Any:
    """matrix_exp: three products of matrices instead of seven (Bader, Blanes and Casas, Mathematics 7, 2019, section 3).

    The last coefficient is due with the square of 2/3 in its denominator. torch divides by 2/3 once, so terms from the fifth power on are
    wrong.
    """
    root, third = np.sqrt(177.0), 2 / 3
    square = np.matmul(a, a)
    fourth = np.matmul(square, third * (1 + root) / 88 * a + third * (1 + root) / 352 * square)
    factors = (-271 + 29 * root) / 315, 11 * (root - 1) / 1260, 11 * (root - 9) / 5040, (89 - root) / 5040
    one = np.eye(a.shape[-1])
    w0, w1, w2, w4 = (w / third for w in factors)
    last = np.matmul(third * square + fourth, w0 * one + w1 * a + w2 * square + w4 * fourth)
    return one + a + (857 - 58 * root) / 630 * square + last


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
# Of its normal distribution function: 4.95 roundings at 24,000 numbers (docs/findings/gelu-of-onednn.md).
DISTRIBUTION = 6 * 2.0**-24


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


FORMULAS: dict[str, Formula] = {
    "softsign by composition": composed(_softsign),
    "tanhshrink by composition": composed(_tanhshrink),
    "sinc slope that cancels": slope(_sinc_slope),
    "exp minus one": _exp_minus_one,
    "celu by exp minus one": _celu_minus_one,
    "selu by exp minus one": _selu_minus_one,
    "leaky_relu's slope in float32": _leaky_relu_in_single,
    "gelu_tanh by a factor in float32": composed(_gelu_tanh_in_single),
    "erf by a polynomial": _erf_by_polynomial,
    "gelu by a polynomial": _gelu_by_polynomial,
    "gelu of oneDNN": _gelu_of_onednn,
    "matrix_exp by a polynomial of degree 8": composed(_exponential_of_degree_eight),
    "matrix_exp by coefficients of another format": by_coefficients_of_another_format,
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
    "sign by a quotient": _sign_by_quotient,
    "gathered in the storage format": _gathered_in_storage,
    "a number in float64": _number_in_double,
    **COMPLEX_FORMULAS,
    **EXPONENTIAL_FORMULAS,
    **FACTOR_FORMULAS,
    **FRAMEWORK_FORMULAS,
    **GAMMA_FORMULAS,
    **DISTANCE_FORMULAS,
    **KINK_FORMULAS,
    **MEMORY_FORMULAS,
    **LOSS_FORMULAS,
    **MLX_FORMULAS,
    **MXNET_FORMULAS,
    **NORMALIZATION_FORMULAS,
    **NORMALIZATION_OVERFLOW,
    **OVERFLOW_FORMULAS,
    **PADDLE_FORMULAS,
    **PLANE_FORMULAS,
    **POWER_FORMULAS,
    **RUNNING_FORMULAS,
    **SINGULAR_DET_FORMULAS,
    **SPECIAL_FORMULAS,
    **TENSORFLOW_FORMULAS,
}
