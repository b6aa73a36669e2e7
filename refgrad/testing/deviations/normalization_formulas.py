"""Formulas of recorded disagreements of normalization layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.rounding import nearest
from refgrad.nn.normalizations import group_norm_by_shift
from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    composed,
)
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import jvp, vjp


def _statistics_held(inputs: Inputs) -> Outcomes:
    """layer_norm, reverse over forward mode: the tangent is differentiated with the mean and the standard deviation as constants."""
    axes = tuple(range(-len(inputs.params["normalized_shape"]), 0))
    return _held(inputs, "nn.layer_norm", axes, lambda v: v)


def _batch_statistics_held(inputs: Inputs) -> Outcomes:
    """batch_norm in training, likewise."""
    ndim = inputs.xs[0].ndim
    axes = (0, *range(2, ndim))
    return _held(inputs, "nn.batch_norm", axes, lambda v: np.reshape(v, (-1,) + (1,) * (ndim - 2)))


def _own_statistics_held(inputs: Inputs) -> Outcomes:
    """instance_norm with statistics of the input, likewise."""
    ndim = inputs.xs[0].ndim
    axes = tuple(range(2, ndim))
    return _held(inputs, "nn.instance_norm", axes, lambda v: np.reshape(v, (-1,) + (1,) * (ndim - 2)))


def _held(inputs: Inputs, name: str, axes: tuple[int, ...], broadcast: Callable[[Any], Any]) -> Outcomes:
    names, eps = FUNCTIONS[name].operands(inputs.params), inputs.params["eps"]
    dots = dict(zip(names, inputs.dots, strict=True))

    def mean(x: Any) -> Any:
        return np.mean(x, axis=axes, keepdims=True)

    x = inputs.xs[0]
    average = mean(x)
    scale = 1 / np.sqrt(mean(np.square(x - average)) + eps)

    def tangent(*given: Any) -> Any:
        xs = dict(zip(names, given, strict=True))
        centred, x_dot = xs["input"] - average, dots["input"] - mean(dots["input"])
        y_dot = x_dot * scale - centred * scale**3 * mean(x_dot * centred)
        if "weight" in xs:
            y_dot = y_dot * broadcast(xs["weight"]) + broadcast(dots["weight"]) * (centred * scale)
        return y_dot if "bias" not in xs else y_dot + broadcast(dots["bias"]) + 0 * broadcast(xs["bias"])

    return {k: [x_bar] for k, x_bar in enumerate(vjp(tangent, *inputs.xs)[1](inputs.y_bar))}


def _variance_by_squares(x: Any, mean: Any, axes: tuple[int, ...]) -> Any:
    return np.mean(np.square(x), axis=axes, keepdims=True) - np.square(mean)


def _group_norm_by_squares(inputs: Inputs) -> Outcomes:
    """group_norm with channels last: the variance is mean(x^2) - mean(x)^2, which cancels."""
    names = FUNCTIONS["nn.group_norm"].operands(inputs.params)

    def f(*xs: Any) -> Any:
        given = {**inputs.params, **dict(zip(names, xs, strict=True))}
        return group_norm_by_shift(_variance_by_squares, **given)

    return composed(f)(inputs)


def _rows_added_in_storage(inputs: Inputs) -> Outcomes:
    """layer_norm: the gradients of weight and bias are sums of rows, one after the other, each sum rounded to the storage format."""
    if inputs.y_bar is None:
        return {}
    shape = inputs.params["normalized_shape"]
    terms = {"bias": inputs.y_bar}
    terms["weight"] = inputs.y_bar * nn.layer_norm(inputs.xs[0], shape, eps=inputs.params["eps"])
    names = FUNCTIONS["nn.layer_norm"].operands(inputs.params)
    return {
        k: [_added_up(terms[name], tuple(shape), inputs.fmt)] for k, name in enumerate(names) if name in terms
    }


def _by_shift(name: str) -> Formula:
    """A normalization as x scale + shift in the format of the accumulator, rounded once to the storage format."""

    def evaluate(inputs: Inputs) -> Outcomes:
        fmt = inputs.fmt
        inner = FORMATS[fmt.accumulator]
        xs = [exact(parts(x)[0].astype(inner.wide), inner) for x in inputs.xs]
        by_shift = FUNCTIONS[name].usual[-1].function
        assert by_shift is not None, f"the last usual formula of {name!r} is a composition"
        value, radius = parts(by_shift(*xs, **inputs.params))
        stored = 0.0 if fmt.u == fmt.u_acc else fmt.store(value, radius)
        return {VALUE: [Ball(value, radius + stored, fmt)]}

    return evaluate


def _added_up(terms: Any, shape: tuple[int, ...], fmt: Format) -> Ball:
    """The sum of rows. Terms that are known exactly have one sum; others may round to the next number at every step."""
    values, radii = [np.reshape(x, (-1, *shape)).astype(float) for x in parts(terms)]
    total, radius = np.zeros(shape), np.zeros(shape)
    for value, apart in zip(values, radii, strict=True):
        total, apart = nearest(total + value, fmt), radius + apart
        radius = np.where(apart > 0, apart + 2 * fmt.u * (np.abs(total) + apart) + 2 * fmt.eta, 0.0)
    return Ball(total.astype(fmt.wide), radius.astype(fmt.wide), fmt)


def _weight_by_memory(inputs: Inputs) -> Outcomes:
    """batch_norm: the gradient of the input multiplies by the first numbers in the memory of the weight.

    A weight of the layout "strided" has a zero after each number there.
    """
    names = FUNCTIONS["nn.batch_norm"].operands(inputs.params)
    if inputs.y_bar is None or "weight" not in names:
        return {}
    given = dict(zip(names, inputs.xs, strict=True))
    weight = given.pop("weight")
    read = np.repeat(weight, 2)[: len(weight)] * (np.arange(len(weight)) % 2 == 0)

    def layer(x: Any) -> Any:
        return nn.batch_norm(**{**inputs.params, **given, "weight": read, "input": x})

    found: Outcomes = {0: [vjp(layer, given["input"])[1](inputs.y_bar)[0]]}
    active = [k for k, t in enumerate(inputs.xs_dot) if t is not None]  # statistics that are given have none
    if inputs.second or not active:
        return found

    def right(*xs: Any) -> Any:
        given = dict(zip(names, inputs.xs, strict=True)) | dict(
            zip([names[k] for k in active], xs, strict=True)
        )
        return nn.batch_norm(**{**inputs.params, **given})

    # the gradients of weight and bias, and forward mode, are right
    xs, xs_dot = ([some[k] for k in active] for some in (inputs.xs, inputs.xs_dot))
    x_bars = vjp(right, *xs)[1](inputs.y_bar)
    found |= {k: [x_bar] for k, x_bar in zip(active, x_bars, strict=True) if k}
    return {**found, TANGENT: [jvp(right, tuple(xs), tuple(xs_dot))[1]]}


def _terms_that_cancel(inputs: Inputs) -> Outcomes:
    """group_norm, one number in each group: terms with the factor 1/s, where s is the standard deviation, here sqrt(eps), cancel.

    The mean is x itself, without rounding.
    """
    params, x = inputs.params, inputs.xs[0]
    groups = params["num_groups"]
    if np.size(parts(x)[0]) != x.shape[0] * groups:
        return {}
    by_channel = (groups, *[1] * (len(x.shape) - 2))
    vectors: dict[str, Any] = {"weight": 1.0, "weight_dot": 0.0, "bias_dot": 0.0}
    names = FUNCTIONS["nn.group_norm"].operands(params)
    for name, given, dot in zip(names[1:], inputs.xs[1:], inputs.xs_dot[1:], strict=True):
        vectors[name] = np.reshape(given, by_channel)
        if dot is not None:
            vectors[f"{name}_dot"] = np.reshape(dot, by_channel)
    x_dot = 0.0 if inputs.xs_dot[0] is None else inputs.xs_dot[0]
    reciprocal = exact(np.asarray(1 / np.sqrt(params["eps"])), inputs.fmt)
    found: Outcomes = {TANGENT: [_transposed(x, x_dot, vectors, reciprocal)]}
    if inputs.y_bar is not None and not inputs.second:
        found[0] = [_recorded(x, inputs.y_bar, vectors["weight"], reciprocal)]
    return found


def _transposed(x: Any, x_dot: Any, vectors: dict[str, Any], reciprocal: Any) -> Any:
    """The tangent by double backward.

    The gradient that records itself takes sums of y_bar and of y_bar x, each times 1/s. Its transpose adds, for the tangents t of x
    and v of the weight w, in this order: v/s x, (t/s) w, -(w/s) t, -v/s x, to the tangent of the bias. Each product and each partial
    sum is rounded. The two terms with v are one product of rounded numbers, with opposite signs: its own rounding cancels. 1/s is a
    factor of all four terms, so its rounding cancels with them.
    """
    product = exact(parts(vectors["weight_dot"] * reciprocal * x)[0], x.fmt)
    total = vectors["bias_dot"] + product + x_dot * reciprocal * vectors["weight"]
    return total - reciprocal * vectors["weight"] * x_dot - product


def _recorded(x: Any, y_bar: Any, weight: Any, reciprocal: Any) -> Any:
    """The gradient of x by operations that record themselves: y_bar (w/s) + c x, and to it -c x - (y_bar w)/s.

    c is ((y_bar w) x - (y_bar x) w) / s^3, which is rounding alone. c x is one rounded number, so the two cancel, but for what the sums
    beside them round. Rounding to nearest moves no sum by more than its smaller term. The rounding of 1/s is a factor of the result.
    """
    fmt = x.fmt
    c = ((y_bar * weight) * x - (y_bar * x) * weight) * (reciprocal * reciprocal * reciprocal)
    first, last = y_bar * (weight * reciprocal), (y_bar * weight) * reciprocal
    terms = [np.abs(value) + radius for value, radius in map(parts, (c * x, first, last))]
    left = sum(np.minimum(term, fmt.u * (terms[0] + term)) for term in terms[1:])
    value, radius = parts(first - last)
    return Ball(value, (1 + 2 * fmt.u) * (radius + left), fmt)


def _difference_of_sums(inputs: Inputs) -> Outcomes:
    """group_norm, second derivative by the input, where sums of products with x - m come as differences of two sums.

    For n elements x of mean m and standard deviation s, g = w y_bar and the tangents t it is, with S = sum(g (x - m)) and
    T = sum(t (x - m)), -((t - mean t) S + (g - mean g) T + (x - m) sum(t (g - mean g)))/(n s^3) + 3 (x - m) S T/(n^2 s^5). S is
    sum(g x) - m sum(g), of n products and their sums in any order (Higham, section 3.1), with a rounded m; T is alike.
    """
    params, names = inputs.params, FUNCTIONS["nn.group_norm"].operands(inputs.params)
    if not inputs.second or inputs.y_bar is None or any(t is None for t in inputs.xs_dot):
        return {}

    def gradient(y_bar: Any, *xs: Any) -> Any:
        given = dict(zip(names, xs, strict=True))
        return vjp(lambda x: nn.group_norm(**{**params, **given, "input": x}), given["input"])[1](y_bar)

    second = jvp(lambda *xs: gradient(inputs.y_bar, *xs)[0], inputs.xs, inputs.xs_dot)[1]
    shape = inputs.xs[0].shape
    weight: Any = 1.0
    if "weight" in names:
        weight = np.reshape(parts(inputs.xs[names.index("weight")])[0], (-1, *[1] * (len(shape) - 2)))
    rows = [parts(inputs.xs[0])[0], parts(inputs.y_bar)[0] * weight, parts(inputs.xs_dot[0])[0]]
    groups = (shape[0], params["num_groups"], -1)
    x, g, t = (np.reshape(np.broadcast_to(row, shape), groups).astype(float) for row in rows)
    n = x.shape[-1]

    def mean(a: Any) -> Any:
        return np.mean(a, axis=-1, keepdims=True)

    near = np.abs(x - mean(x))
    scale = 1 / np.sqrt(np.var(x, axis=-1, keepdims=True) + params["eps"])
    (of_g, lost_g), (of_t, lost_t) = [(mean(a * near), mean(a * np.abs(x))) for a in (np.abs(g), np.abs(t))]
    left = (np.abs(t) + mean(np.abs(t))) * lost_g + (np.abs(g) + mean(np.abs(g))) * lost_t
    left = left + np.abs(x) * mean(np.abs(t) * (np.abs(g) + mean(np.abs(g))))
    left = scale**3 * left + 3 * scale**5 * near * (of_g * lost_t + of_t * lost_g)
    value, radius = parts(second)
    return {0: [Ball(value, radius + np.reshape(2 * (n + 4) * inputs.fmt.u * left, shape), inputs.fmt)]}


def _rounding_without_tangent(inputs: Inputs) -> Outcomes:
    """group_norm, forward over reverse mode: along a tangent of 0 the derivative is the rounding of the gradient, and not 0.

    The gradient of n elements x is g/s + c x - c m - mean(g)/s, where g is w y_bar, s the standard deviation, m the mean, and c is
    (m sum(g) - sum(g x))/(n s^3). The radius is that of these terms, with the products and sums in c.
    """
    params, names = inputs.params, FUNCTIONS["nn.group_norm"].operands(inputs.params)
    if not inputs.second or inputs.y_bar is None:
        return {}
    shape, g = inputs.xs[0].shape, np.abs(parts(inputs.y_bar)[0])
    if "weight" in names:
        g = g * np.abs(np.reshape(parts(inputs.xs[names.index("weight")])[0], (-1, *[1] * (len(shape) - 2))))
    groups = (shape[0], params["num_groups"], -1)
    x, g = (np.reshape(a, groups).astype(float) for a in (parts(inputs.xs[0])[0], g))

    def mean(a: Any) -> Any:
        return np.mean(np.abs(a), axis=-1, keepdims=True)

    scale = 1 / np.sqrt(np.var(x, axis=-1, keepdims=True) + params["eps"])
    terms = scale * (g + mean(g)) + scale**3 * (np.abs(x) + mean(x)) * (mean(x) * mean(g) + mean(g * x))
    radius = np.reshape(2 * (x.shape[-1] + 4) * inputs.fmt.u * terms, shape)
    return {0: [Ball(np.zeros(shape, inputs.fmt.wide), radius.astype(inputs.fmt.wide), inputs.fmt)]}


NORMALIZATION_FORMULAS: dict[str, Formula] = {
    "layer_norm with statistics held": _statistics_held,
    "batch_norm with statistics held": _batch_statistics_held,
    "instance_norm with statistics held": _own_statistics_held,
    "layer_norm by sums in the storage format": _rows_added_in_storage,
    "layer_norm by a shift": _by_shift("nn.layer_norm"),
    "group_norm by a shift": _by_shift("nn.group_norm"),
    "group_norm by squares": _group_norm_by_squares,
    "batch_norm by the memory of its weight": _weight_by_memory,
    "group_norm by terms that cancel": _terms_that_cancel,
    "group_norm by differences of sums": _difference_of_sums,
    "group_norm's rounding along no tangent": _rounding_without_tangent,
}

__all__ = ["NORMALIZATION_FORMULAS"]
