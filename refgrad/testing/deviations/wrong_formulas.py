"""Formulas that frameworks compute in place of the correct one, for recorded disagreements at ordinary operands, evaluated over Balls.

A wrong number is known only where it lies within the bound of the recorded formula. Any other wrong number of the same op fails. A
formula gives the value and its tangent (by these names) or the gradients of operands (by their position).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.op import Params
from refgrad.ops import dense_linalg
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import jvp, vjp

VALUE, TANGENT = "value", "tangent"
Outcomes = dict[int | str, list[Any]]  # the framework computes one of these Balls


@dataclass(frozen=True)
class Inputs:
    """The inputs of a formula at one node: operands, parameters, cotangent and tangents. They are Balls, None where there is none."""

    second: bool  # whether a second derivative is computed
    xs: tuple[Any, ...]
    params: Params
    y_bar: Any
    xs_dot: tuple[Any, ...]
    fmt: Format


def _composed(f: Callable[..., Any]) -> Callable[[Inputs], Outcomes]:
    """The framework differentiates this composition of other ops in place of the op."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return _second(lambda y_bar, *xs: vjp(f, *xs)[1](y_bar), inputs)
        found: Outcomes = {VALUE: [f(*inputs.xs)]}
        if inputs.y_bar is not None:
            found |= {k: [x_bar] for k, x_bar in enumerate(vjp(f, *inputs.xs)[1](inputs.y_bar))}
        if all(t is not None for t in inputs.xs_dot):
            found[TANGENT] = [jvp(f, inputs.xs, inputs.xs_dot)[1]]
        return found

    return evaluate


def _second(gradient: Callable[..., tuple[Any, ...]], inputs: Inputs) -> Outcomes:
    """The derivative of a gradient along the tangents, forward over reverse and reverse over reverse."""

    def of(*xs: Any) -> tuple[Any, ...]:
        return gradient(inputs.y_bar, *xs)

    forward, reverse = jvp(of, inputs.xs, inputs.xs_dot)[1], vjp(of, *inputs.xs)[1](inputs.xs_dot)
    return {k: list(pair) for k, pair in enumerate(zip(forward, reverse, strict=True))}


def _slope(g: Callable[[Any], Any]) -> Callable[[Inputs], Outcomes]:
    """The framework multiplies by this slope of a unary op."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return _second(lambda y_bar, x: (y_bar * g(x),), inputs)
        found: Outcomes = {}
        if inputs.y_bar is not None:
            found[0] = [inputs.y_bar * g(inputs.xs[0])]
        if inputs.xs_dot[0] is not None:
            found[TANGENT] = [inputs.xs_dot[0] * g(inputs.xs[0])]
        return found

    return evaluate


def _softsign(x: Any) -> Any:
    return x / (1 + np.abs(x))


def _tanhshrink(x: Any) -> Any:
    return x - np.tanh(x)


def _sinc_slope(x: Any) -> Any:
    return (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x)) / (np.pi * x * x)


def _exp_minus_one(inputs: Inputs) -> Outcomes:
    """elu: below 0, the exponential minus one."""
    return {VALUE: [inputs.params["alpha"] * (np.exp(inputs.xs[0]) - 1)]}


def _elu_slope_by_value(inputs: Inputs) -> Outcomes:
    """elu: below 0 the slope is alpha plus the value, which is the exponential minus one."""
    alpha = inputs.params["alpha"]
    return _slope(lambda x: np.where(x > 0, 1.0, alpha * (np.exp(np.minimum(x, 0)) - 1) + alpha))(inputs)


def _leaky_relu_in_single(inputs: Inputs) -> Outcomes:
    """leaky_relu: the slope below 0 is a float32 number."""
    slope = float(np.float32(inputs.params["slope"]))
    return _composed(lambda x: np.where(x > 0, x, x * slope))(inputs)


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


LOGARITHM = (
    2.0**-17
)  # largest absolute error, seen at 8.5 million points (docs/findings/mxnet-logarithm-of-onednn.md)


def _inexact(y: Any, fmt: Format) -> Any:
    """y with the absolute error of a logarithm that keeps no relative one."""
    value, radius = parts(y)
    return Ball(value, radius + LOGARITHM, fmt)


def _softplus_of_onednn(inputs: Inputs) -> Outcomes:
    return {VALUE: [_inexact(nn.softplus(inputs.xs[0]), inputs.fmt)]}


def _log_softmax_of_onednn(inputs: Inputs) -> Outcomes:
    """log_softmax and cross_entropy: the gradient is that of the inexact value."""
    x, params = inputs.xs[0], dict(inputs.params)
    axis, labels = params["axis"], params.get("labels")
    logs = _inexact(nn.log_softmax(x, axis=axis), inputs.fmt)
    value, radius = parts(np.exp(logs))
    shares = Ball(value, radius + inputs.fmt.least_normal, inputs.fmt)  # subnormal ones become zero
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


def _det_by_logarithm(x: Any) -> Any:
    """The exponential of the logarithm of |det|, with the sign."""
    y = np.linalg.det(x)
    return np.sign(y) * np.exp(np.log(np.abs(y)))


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


def _det_by_pivots(inputs: Inputs) -> Outcomes:
    """det: its sign times the exponential of the sum of the logarithms of the pivots."""
    [a] = inputs.xs
    sign = np.sign(np.linalg.det(np.asarray(parts(a)[0], float)))
    return {VALUE: [sign * np.exp(np.linalg.slogdet(a)[1])]}


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


def _secant_squared(x: Any) -> Any:
    """The slope of tan by a second function, not by its value."""
    return 1.0 / (np.cos(x) * np.cos(x))


def _fixed_factors(
    tangent: Callable[..., Any], reach: Callable[[Inputs], PlainArray] | None = None
) -> Callable[[Inputs], Outcomes]:
    """Reverse over forward mode in which the factors of the matrix are constants.

    ``tangent(fixed, xs, xs_dot)``: the tangent of the value, from the constant matrix ``fixed`` and the variable operands ``xs``.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        fixed = inputs.xs[0]
        x_bars = vjp(lambda *xs: tangent(fixed, xs, inputs.xs_dot), *inputs.xs)[1](inputs.y_bar)
        if reach is not None:
            value, radius = parts(x_bars[0])
            x_bars = (Ball(value, radius + reach(inputs)[..., None, None], inputs.fmt), *x_bars[1:])
        return {k: [x_bar] for k, x_bar in enumerate(x_bars)}

    return evaluate


def _solve_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    a, b = xs
    lone = len(np.shape(parts(xs_dot[1])[0])) == 1  # a vector; all else is matrices
    solution = np.linalg.solve(a, b)
    columns = solution[..., None] if lone else solution
    change = (xs_dot[1][..., None] if lone else xs_dot[1]) - np.matmul(xs_dot[0], columns)
    found = np.linalg.solve(fixed, change)
    return found[..., 0] if lone else found


def _relative_change(fixed: Any, x_dot: Any) -> Any:
    """The tangent of the determinant by the determinant: the trace of the quotient; undefined where the matrix is singular."""
    y, y_dot = jvp(np.linalg.det, (fixed,), (x_dot,))
    return y_dot / y


def _det_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    return np.linalg.det(xs[0]) * _relative_change(fixed, xs_dot[0])


def _logabsdet_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    return 0 * np.sum(xs[0], axis=(-2, -1)) + _relative_change(fixed, xs_dot[0])


@dataclass(frozen=True)
class _Elimination:
    """Norms of the matrices of a det, and a normwise bound of the rounding of det times the inverse.

    The computed factors, or singular values, are those of a matrix within n^2 u, growth of the pivots included (Higham, ch. 9 and 14),
    and n of them are multiplied. Elements that are zero by the structure of a matrix are computed as rounding noise. The vectors of two
    singular values, and the derivatives that use them, lose digits as the values approach each other (``gap``, relative). Singular
    matrices are replaced by identities here.
    """

    regular: Any
    singular: PlainArray
    inverse: PlainArray
    noise: PlainArray
    gap: PlainArray

    @classmethod
    def of(cls, inputs: Inputs) -> _Elimination:
        x = inputs.xs[0]
        n = x.shape[-1]
        singular: Any = np.isnan(dense_linalg.inverse_or_nan(x.value)).any(axis=(-2, -1))
        regular = exact(np.where(singular[..., None, None], np.eye(n), x.value), inputs.fmt)
        size = np.linalg.svd(np.asarray(regular.value, float), compute_uv=False)
        inverse, condition = 1 / size[..., -1], size[..., 0] / size[..., -1]
        noise = n**3 * inputs.fmt.u * condition * np.prod(size, axis=-1) * inverse
        gap = np.min((size[..., :-1] - size[..., 1:]) / size[..., :1], axis=-1, initial=1.0)
        return cls(regular, singular, inverse, noise, gap)

    def second(self, inputs: Inputs) -> PlainArray:
        """The bound for the derivative along the tangent."""
        change = np.linalg.norm(np.asarray(inputs.xs_dot[0].value, float), axis=(-2, -1))
        with quiet():  # an infinite bound where there is no gap
            noise = self.noise / self.gap
        return (
            2
            * noise
            * self.inverse
            * np.abs(np.asarray(inputs.y_bar.value, float))
            * change
            * inputs.xs[0].shape[-1]
        )


def _det_by_inverse(inputs: Inputs) -> Outcomes:
    """The gradient of det as det times the inverse; undefined where a matrix has no inverse."""
    of, y_bar, x_dot = _Elimination.of(inputs), inputs.y_bar, inputs.xs_dot[0]
    stack = (*of.singular.shape, 1, 1)

    def gradient(y_bar: Any, x: Any) -> tuple[Any, ...]:
        return (np.reshape(y_bar * np.linalg.det(x), stack) * np.swapaxes(np.linalg.inv(x), -2, -1),)

    def judged(ball: Any, radius: PlainArray, lost: PlainArray) -> Any:
        value, own = parts(ball)
        return Ball(np.where(lost, np.nan, value), own + radius, inputs.fmt)

    lost = of.singular.reshape(stack)
    if inputs.second:
        both = _second(gradient, replace(inputs, xs=(of.regular,)))[0]
        return {0: [judged(ball, of.second(inputs).reshape(stack), lost) for ball in both]}
    found: Outcomes = {}
    if y_bar is not None:
        reach = of.noise * np.abs(np.asarray(y_bar.value, float))
        found[0] = [judged(gradient(y_bar, of.regular)[0], reach.reshape(stack), lost)]
    if x_dot is not None:
        tangent = np.sum(gradient(1.0, of.regular)[0] * x_dot, axis=(-2, -1))
        reach = x_dot.shape[-1] * of.noise * np.linalg.norm(np.asarray(x_dot.value, float), axis=(-2, -1))
        found[TANGENT] = [judged(tangent, reach, of.singular)]
    return found


FORMULAS: dict[str, Callable[[Inputs], Outcomes]] = {
    "softsign by composition": _composed(_softsign),
    "tanhshrink by composition": _composed(_tanhshrink),
    "sinc slope that cancels": _slope(_sinc_slope),
    "exp minus one": _exp_minus_one,
    "elu's slope by its value": _elu_slope_by_value,
    "leaky_relu's slope in float32": _leaky_relu_in_single,
    "stored products": _composed(_stored_products),
    "interpolated tangents": _interpolated,
    "a sixth in float32": _sixth,
    "hardsigmoid by a sixth in float32": _composed(_hardsigmoid_by_sixth),
    "hardswish by a sixth in float32": _composed(_hardswish_by_sixth),
    "floor off by one": _floor_step,
    "logarithm of oneDNN in softplus": _softplus_of_onednn,
    "logarithm of oneDNN in log_softmax": _log_softmax_of_onednn,
    "gradient of the other branch": _other_branch,
    "det by its logarithm": _composed(_det_by_logarithm),
    "sign by a quotient": _sign_by_quotient,
    "gathered in the storage format": _gathered_in_storage,
    "det by the logarithms of its pivots": _det_by_pivots,
    "slope of tan by its cosine": _slope(_secant_squared),
    "det by inverse": _det_by_inverse,
    "solve with factors held": _fixed_factors(_solve_tangent),
    "det with factors held": _fixed_factors(
        _det_tangent, lambda inputs: replace(_Elimination.of(inputs), gap=np.asarray(1.0)).second(inputs)
    ),
    "logabsdet with factors held": _fixed_factors(_logabsdet_tangent),
}


def within(got: float, ball: Any, element: tuple[int, ...], slack: float) -> bool:
    """Whether a wrong number is the result of a formula: within its bound, or any number where the formula has no bound."""
    value, radius = parts(ball)  # not rounded to float64, which may move the value by its own radius
    if len(element) != value.ndim or any(i >= n for i, n in zip(element, value.shape, strict=True)):
        return False
    v, r = value[element], radius[element] * slack
    if np.isnan(v) or not np.isfinite(r):
        return True
    return bool(got == v or abs(got - v) <= r)


__all__ = ["FORMULAS", "Ball", "Inputs", "Outcomes", "within"]
