"""Formulas of TensorFlow that store intermediate results in a half format, for recorded disagreements."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.bounds.rounding import rounded
from refgrad.ops.shape import count, kept
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Formula, Inputs, Outcomes
from refgrad.tracing.ball import parts
from refgrad.tracing.cotangents import unbroadcast


def _means(x: Any, axis: Any, fmt: Format) -> list[PlainArray]:
    """The mean along the axis as it is stored: the sum is accumulated in float32, so it is one number of the format, or one of two."""
    value, _ = parts(x)
    terms = count(value.shape, axis)
    mean, size = (np.mean(v, axis=axis, keepdims=True) for v in (value, np.abs(value)))
    off = (terms + 1) * fmt.u_acc * size
    return [np.asarray(rounded(mean + way * off, fmt)) for way in (-1, 1)]


def _about(mean: PlainArray, inputs: Inputs, root: bool) -> Outcomes:
    """Variance, or its root, about this mean, step by step: deviations, squares, their sum divided by the degrees of freedom."""
    [x], [x_dot], params = inputs.xs, inputs.xs_dot, inputs.params
    over = {"axis": params["axis"], "keepdims": True}
    terms = count(x.shape, params["axis"])
    left = float(max(terms - params["ddof"], 0))
    deviations = x - mean
    variance = np.sum(np.square(deviations), **over) / left
    y = np.sqrt(variance) if root else variance

    def fitting(y: Any) -> Any:
        return y if params["keepdims"] else np.squeeze(y, params["axis"])

    found: Outcomes = {VALUE: [fitting(y)]}
    if inputs.y_bar is not None:
        y_bar = np.reshape(inputs.y_bar, y.shape)
        sent = (y_bar * 0.5 / y if root else y_bar) / left * (2 * deviations)
        found[0] = [sent - np.sum(sent, **over) / terms]
    if x_dot is not None:
        moved = np.sum(2 * deviations * (x_dot - np.sum(x_dot, **over) / terms), **over) / left
        found[TANGENT] = [fitting(moved * 0.5 / y if root else moved)]
    return found


def _spread(inputs: Inputs, root: bool) -> Outcomes:
    if inputs.second or inputs.params["where"] is not True:
        return {}  # with a mask the bound of the op's own rule stores each step, too
    found: Outcomes = {}
    for mean in _means(inputs.xs[0], inputs.params["axis"], inputs.fmt):
        for key, balls in _about(mean, inputs, root).items():
            found.setdefault(key, []).extend(balls)
    return found


def _product_of_each_matrix(inputs: Inputs) -> Outcomes:
    """matmul: the gradient of a matrix that serves a whole stack, as the sum of one stored product for each matrix of the stack."""
    x1, x2 = inputs.xs
    y_bar = inputs.y_bar
    if y_bar is None:
        return {}
    if x1.ndim > 2 and x2.ndim == 2:
        return {1: [_over_stack(np.matmul(x1.mT, y_bar), 2)]}
    if x1.ndim > 2 and x2.ndim == 1:
        return {1: [_over_stack(np.matmul(x1.mT, y_bar[..., None]), 2)[:, 0]]}
    if x1.ndim == 1 and x2.ndim > 2:
        return {0: [_over_stack(np.matmul(x2, y_bar[..., None]), 2)[:, 0]]}
    return {}


def _over_stack(products: Any, kept: int) -> Any:
    return np.sum(products, axis=tuple(range(products.ndim - kept)))


def _power_by_stored_factors(inputs: Inputs) -> Outcomes:
    """power: what arrives times the exponent and a power of one less, or times the value and the logarithm, each product stored.

    A tangent meets the factors in the opposite order, because forward mode is the gradient of this gradient.
    """
    if inputs.second:
        return {}
    x, exponent = inputs.xs
    slopes: list[list[Any]] = [[exponent, x ** (exponent - 1)], [x**exponent, np.log(x)]]
    found: Outcomes = {}
    if inputs.y_bar is not None:
        for k, ((first, then), operand) in enumerate(zip(slopes, inputs.xs, strict=True)):
            found[k] = [unbroadcast(inputs.y_bar * first * then, operand.shape)]
    if all(t is not None for t in inputs.xs_dot):
        moved = [t * then * first for t, (first, then) in zip(inputs.xs_dot, slopes, strict=True)]
        found[TANGENT] = [moved[0] + moved[1]]
    return found


def _hardsigmoid_of_stored_sum(inputs: Inputs) -> Outcomes:
    """hardsigmoid: the slope where the sum of the operand and 3, as it is stored, is between 0 and 6."""
    return _sloped(np.where(_inside(inputs), 1.0, 0.0) / 6, inputs)


def _hardswish_of_stored_sum(inputs: Inputs) -> Outcomes:
    """hardswish: the clipped sum and, where its stored number is between 0 and 6, the operand; both divided by 6."""
    x = inputs.xs[0]
    return _sloped((np.clip(x + 3.0, 0.0, 6.0) + np.where(_inside(inputs), x, 0.0)) / 6, inputs)


def _inside(inputs: Inputs) -> Any:
    total = rounded(parts(inputs.xs[0])[0] + 3.0, inputs.fmt)
    return (total > 0) & (total < 6)


def _sloped(slope: Any, inputs: Inputs) -> Outcomes:
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * slope]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [inputs.xs_dot[0] * slope]
    return found


def _mean_by_a_stored_count(inputs: Inputs) -> Outcomes:
    """mean: what arrives is divided by the number of elements, as the format stores it."""
    [x], params = inputs.xs, inputs.params
    if inputs.second or inputs.y_bar is None or params["where"] is not True:
        return {}
    terms = count(x.shape, params["axis"])
    share = np.reshape(inputs.y_bar, kept(x.shape, params["axis"])) / float(
        rounded(np.float64(terms), inputs.fmt)
    )
    return {0: [np.broadcast_to(share, x.shape)]}


def _extremes_of_numbers(extreme: Any, start: float) -> Formula:
    """max and min over axes: comparisons pass over NaN, so that the value is that of the other elements, or the start."""

    def evaluate(inputs: Inputs) -> Outcomes:
        x, params = parts(inputs.xs[0])[0], inputs.params
        initial = start if params["initial"] is None else params["initial"]
        over = {"axis": params["axis"], "keepdims": params["keepdims"], "where": params["where"]}
        return {VALUE: [np.asarray(extreme(np.where(np.isnan(x), start, x), initial=initial, **over))]}

    return evaluate


def _clip_by_comparisons(inputs: Inputs) -> Outcomes:
    """clip: a bound that is NaN is passed over, as no number is beyond it."""
    x, low, high = (parts(given)[0] for given in inputs.xs)
    above = np.where(low > x, low, x)
    return {VALUE: [np.where(high < above, high, above)]}


TENSORFLOW_FORMULAS: dict[str, Formula] = {
    "variance by stored deviations": functools.partial(_spread, root=False),
    "standard deviation by stored deviations": functools.partial(_spread, root=True),
    "max of the elements that are numbers": _extremes_of_numbers(np.max, -np.inf),
    "min of the elements that are numbers": _extremes_of_numbers(np.min, np.inf),
    "clip by comparisons": _clip_by_comparisons,
    "mean by a stored count": _mean_by_a_stored_count,
    "power by stored factors": _power_by_stored_factors,
    "hardsigmoid by a stored sum": _hardsigmoid_of_stored_sum,
    "hardswish by a stored sum": _hardswish_of_stored_sum,
    "matmul of a stack by stored products": _product_of_each_matrix,
}

__all__ = ["TENSORFLOW_FORMULAS"]
