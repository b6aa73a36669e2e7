"""Formulas of recorded disagreements of HIPS autograd, PyTensor and JAX: what they compute, and not the derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Formula, Inputs, Outcomes, composed
from refgrad.tracing.ball import parts
from refgrad.transforms import jvp, vjp


def _by_sorted_axes(inputs: Inputs) -> Outcomes:
    """transpose: the inverse permutation as the argsort of axes of which some count from the end."""
    axes = inputs.params["axes"]
    if inputs.y_bar is None or axes is None:
        return {}
    return {0: [np.transpose(inputs.y_bar, tuple(np.argsort(axes).tolist()))]}


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


def _softsign_without_its_square(inputs: Inputs) -> Outcomes:
    """softsign: of the slope 1/(1 + |x|) - |x|/(1 + |x|)^2 the first term alone, where the square overflows."""
    if inputs.second:
        return {}
    [x], [x_dot], y_bar = inputs.xs, inputs.xs_dot, inputs.y_bar
    beyond = np.abs(parts(x)[0]) >= inputs.fmt.max**0.5
    share = np.where(beyond, 1 / (1 + np.abs(x)), 1 / np.square(1 + np.where(beyond, 0.0, np.abs(x))))
    found: Outcomes = {}
    if y_bar is not None:
        found[0] = [y_bar * share]
    if x_dot is not None:
        found[TANGENT] = [x_dot * share]
    return found


def _tanhshrink_by_factors(inputs: Inputs) -> Outcomes:
    """tanhshrink: what arrives less its product with (1 + t)(1 - t), the slope of t = tanh(x)."""
    if inputs.second:
        return {}
    [x], [x_dot], y_bar = inputs.xs, inputs.xs_dot, inputs.y_bar
    t = np.tanh(x)
    found: Outcomes = {}
    if y_bar is not None:
        sent = y_bar * (1 - t)
        found[0] = [y_bar - (sent + sent * t)]
    if x_dot is not None:
        found[TANGENT] = [x_dot - (x_dot + x_dot * t) * (1 - t)]
    return found


def _power_by_its_factor(inputs: Inputs) -> Outcomes:
    """power: in the base, the power of one less times the product of what arrives and the exponent, which magnifies what underflow lost."""
    x, exponent = inputs.xs
    found: Outcomes = {}
    if inputs.second:
        return found
    if inputs.y_bar is not None and inputs.y_bar.shape == x.shape:
        found[0] = [inputs.y_bar * exponent * x ** (exponent - 1)]
    x_dot, exponent_dot = inputs.xs_dot
    if x_dot is not None and exponent_dot is not None and np.all(np.asarray(parts(x)[0]) > 0):
        found[TANGENT] = [x_dot * exponent * x ** (exponent - 1) + exponent_dot * np.log(x) * x**exponent]
    return found


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


FRAMEWORK_FORMULAS: dict[str, Formula] = {
    "transpose by the argsort of its axes": _by_sorted_axes,
    "hypot by a ratio": composed(_hypot_by_a_ratio),
    "logit by a quotient": composed(lambda x: np.log(x / (1 - x))),
    "max over misplaced axes": _over_misplaced_axes(np.max),
    "min over misplaced axes": _over_misplaced_axes(np.min),
    "norm by a root in float32": _norm_by_a_root_in_single,
    "power of one less by its factor": _power_by_its_factor,
    "product by quotients": _product_by_quotients,
    "softsign without its square": _softsign_without_its_square,
    "tanhshrink by the factors of tanh's slope": _tanhshrink_by_factors,
}

__all__ = ["FRAMEWORK_FORMULAS"]
