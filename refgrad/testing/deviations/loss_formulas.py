"""Formulas of recorded disagreements of losses, and of layers that read or write at given places."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import nn
from refgrad.bounds.formats import Format
from refgrad.op import FUNCTIONS, Params
from refgrad.ops.stop_gradient import stop_gradient
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    composed,
    second_derivative,
)
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import vjp

SHIFT = 1e-12


def _given(inputs: Inputs, name: str) -> dict[str, Any]:
    """The arguments of a call of a function by name."""
    names = FUNCTIONS[name].operands(inputs.params)
    return {**inputs.params, **dict(zip(names, inputs.xs, strict=True))}


def _celu_by_single_alpha(inputs: Inputs) -> Outcomes:
    """celu: the slope takes alpha, by which it divides, from float32."""
    alpha = inputs.params["alpha"]
    factor = 1 / float(np.float32(alpha))
    return composed(lambda x: np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0.0, x) * factor)))(inputs)


def _tangents_apart(slope_of: Callable[[Any, Params], Any]) -> Formula:
    """A loss of a difference: the tangents of both operands, each times the slope at the difference, and then their difference."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second or len(inputs.xs_dot) != 2 or any(t is None for t in inputs.xs_dot):
            # another formula with a weight
            return {}
        prediction_dot, target_dot = inputs.xs_dot
        slope = slope_of(inputs.xs[0] - inputs.xs[1], inputs.params)
        apart = slope * prediction_dot - slope * target_dot
        reduction = inputs.params["reduction"]
        return {TANGENT: [apart if reduction == "none" else getattr(np, reduction)(apart)]}

    return evaluate


def _smooth_slope(difference: Any, params: Params) -> Any:
    return np.clip(difference / params["beta"], -1.0, 1.0) if params["beta"] else np.sign(difference)


def _tangent_of_padding(inputs: Inputs) -> Outcomes:
    """embedding: the tangent is that of the rows, the row of the padding among them; its gradient is zero."""
    (rows, weight), moving = inputs.xs, inputs.xs_dot[1]
    found: Outcomes = {} if moving is None else {TANGENT: [moving[rows]]}
    if inputs.y_bar is not None:
        found[1] = list(vjp(lambda w: nn.embedding(rows, w, **inputs.params), weight)[1](inputs.y_bar))
    return found


def _product_held(inputs: Inputs) -> Outcomes:
    """scatter_reduce of products with the product as a constant.

    Its tangent is zero. In forward over reverse the gradient is the product over each factor.
    """
    params = inputs.params
    names = FUNCTIONS["nn.scatter_reduce"].operands(params)

    def gradient(y_bar: Any, *xs: Any) -> tuple[Any, ...]:
        given = {**params, **dict(zip(names, xs, strict=True))}
        held = stop_gradient(nn.scatter_reduce(**given))
        spread = nn.gather(y_bar * held, given["dim"], given["index"]) / given["src"]
        touched = np.zeros(held.shape, bool)
        np.put_along_axis(touched, np.asarray(given["index"]), True, given["dim"])
        own = y_bar * held / given["input"]
        if not params["include_self"]:
            own = np.where(touched, 0.0, own)
        found = {"input": own, "src": spread}
        return tuple([found.get(name) for name in names])

    active = [k for k, name in enumerate(names) if name in ("input", "src")]
    if not inputs.second:
        still = exact(np.zeros(np.shape(inputs.xs[names.index("input")])), inputs.fmt)
        return {TANGENT: [still]} if params["reduce"] == "prod" else {}
    inner = Inputs(True, inputs.xs, params, inputs.y_bar, inputs.xs_dot, inputs.fmt)
    return _among(gradient, inner, active)


def _among(gradient: Any, inputs: Inputs, active: list[int]) -> Outcomes:
    """The derivative of a gradient with respect to the operands at ``active``; the others are constants."""

    def confined(y_bar: Any, *moving: Any) -> tuple[Any, ...]:
        full = list(inputs.xs)
        for k, x in zip(active, moving, strict=True):
            full[k] = x
        found = gradient(y_bar, *full)
        return tuple([found[k] for k in active])

    xs, dots = [tuple([each[k] for k in active]) for each in (inputs.xs, inputs.xs_dot)]
    found = second_derivative(confined, Inputs(True, xs, inputs.params, inputs.y_bar, dots, inputs.fmt))
    return {active[k]: balls for k, balls in found.items() if isinstance(k, int)}


def _alignments_of_normalized_numbers(inputs: Inputs) -> Outcomes:
    """ctc_loss: to the gradient of each step of a sample, exp(log_probs) times the sample's cotangent is added."""
    if inputs.y_bar is None:
        return {}
    given = _given(inputs, "nn.ctc_loss")
    scores = given["log_probs"]

    def loss(x: Any) -> Any:
        return nn.ctc_loss(**{**given, "log_probs": x})

    lengths = np.maximum(np.asarray(given["target_lengths"]), 1)
    samples = scores.shape[1]
    shares = {"sum": np.ones(samples), "none": np.ones(samples), "mean": 1 / (lengths * samples)}
    factor = inputs.y_bar * shares[given["reduction"]]
    before = np.arange(scores.shape[0])[:, np.newaxis] < np.asarray(given["input_lengths"])
    losses = parts(nn.ctc_loss(**{**given, "reduction": "none", "zero_infinity": False}))[0]
    reached = np.isfinite(losses) if given["zero_infinity"] else np.ones(samples, bool)
    more = np.where((before & reached)[..., np.newaxis], np.exp(scores) * factor[:, np.newaxis], 0.0)
    return {0: [vjp(loss, scores)[1](inputs.y_bar)[0] + more]}


def _overflowing_soft_margin(inputs: Inputs) -> Outcomes:
    """soft_margin_loss: log(1 + exp(-target input)), infinite where the exponential overflows."""
    given = _given(inputs, "nn.soft_margin_loss")
    x = given["input"]
    terms = np.log1p(np.exp(-np.asarray(given["target"]).astype(x.dtype) * x))
    reduction = given["reduction"]
    return {
        VALUE: [terms if reduction == "none" else np.mean(terms) if reduction == "mean" else np.sum(terms)]
    }


def _cosines_by_a_single_shift(inputs: Inputs) -> Outcomes:
    """cosine_embedding_loss: what is added to the sums of squares is 1e-12 in float32."""
    given = _given(inputs, "nn.cosine_embedding_loss")
    shift, signs = float(np.float32(1e-12)), np.asarray(given["target"])

    def loss(a: Any, b: Any) -> Any:
        squares = [np.sum(x * x, axis=-1) + shift for x in (a, b)]
        cosine = np.sum(a * b, axis=-1) / np.sqrt(squares[0] * squares[1])
        each = np.where(signs == 1, 1 - cosine, nn.relu(cosine - given["margin"]))
        reduction = given["reduction"]
        return each if reduction == "none" else np.mean(each) if reduction == "mean" else np.sum(each)

    return composed(loss)(
        Inputs(inputs.second, inputs.xs[:2], {}, inputs.y_bar, inputs.xs_dot[:2], inputs.fmt)
    )


def _shifted_probabilities(inputs: Inputs) -> Outcomes:
    """binary_cross_entropy: where the gradient is differentiated, 1e-12 is added to the probability and to its complement."""
    given = _given(inputs, "nn.binary_cross_entropy")
    names = FUNCTIONS["nn.binary_cross_entropy"].operands(inputs.params)
    p, target = given["input"], given["target"]
    dots = dict(zip(names, inputs.xs_dot, strict=True))
    if inputs.y_bar is None or dots["input"] is None or dots["target"] is None:
        return {}
    factor = 1.0 if given["weight"] is None else given["weight"]
    factor = factor / p.size if given["reduction"] == "mean" else factor
    below = (p + SHIFT) * (1 - p + SHIFT)
    if not inputs.second:
        sent = np.log(1 - p) - np.log(p)
        each = factor * ((p - target) / below * dots["input"] + sent * dots["target"])
        return {TANGENT: [each if given["reduction"] == "none" else np.sum(each)]}
    factor = factor * inputs.y_bar
    curved = (p * p - 2 * p * target + target) / (below * below)
    mixed = -factor / (p * (1 - p))
    return {
        names.index("input"): [
            factor * curved * dots["input"] - factor / below * dots["target"],
            factor * curved * dots["input"] + mixed * dots["target"],
        ],
    }


def _sign_and_magnitude(axes: int, inputs: Inputs) -> Outcomes:
    """lp_pool of order 1: the sum over a window as its sign times its magnitude; both have no derivative where the sum is 0."""
    params = inputs.params
    if params["norm_type"] != 1:
        return {}
    size, pooled = params["kernel_size"], getattr(nn, f"avg_pool{axes}d")
    count = math.prod(size) if isinstance(size, tuple) else size**axes

    def summed(x: Any) -> Any:
        mean = pooled(x, size, params["stride"], 0, params["ceil_mode"])
        return np.sign(mean) * nn.relu(np.abs(mean)) * count

    return composed(summed)(inputs)


def _added_up_in_storage(inputs: Inputs) -> Outcomes:
    """nll_loss: the terms, and for a mean the weights, are added up in the storage format, in an order that is the kernel's choice.

    The loss is linear in its input, so its tangent is the loss of the input's tangent.
    """
    given = _given(inputs, "nn.nll_loss")
    fmt = inputs.fmt
    if given["reduction"] == "none" or inputs.second:
        return {}
    target = np.asarray(given["target"])
    classes = inputs.xs[0].shape[min(1, inputs.xs[0].ndim - 1)]
    weight = np.ones(classes) if given["weight"] is None else parts(given["weight"])[0]
    counted = weight[target[target != given["ignore_index"]]]
    found: Outcomes = {}
    for place, x in ((VALUE, given["input"]), (TANGENT, inputs.xs_dot[0])):
        if x is not None:
            total = _in_any_order(nn.nll_loss(**{**given, "input": x, "reduction": "none"}), fmt)
            mean = given["reduction"] == "mean"
            found[place] = [total / _in_any_order(exact(counted, fmt), fmt) if mean else total]
    return found


def _in_any_order(terms: Any, fmt: Format) -> Ball:
    """A sum in the storage format: each of n - 1 additions rounds a partial sum, which is no larger than the sum of magnitudes.

    Higham, "Accuracy and stability of numerical algorithms" (2002), section 4.2.
    """
    value, radius = [np.ravel(x).astype(float) for x in parts(terms)]
    steps = max(value.size - 1, 0) * fmt.u
    size = np.sum(np.abs(value) + radius)
    growth = steps / (1 - steps) if steps < 1 else np.inf
    reach = np.sum(radius) + (growth * size if size else 0.0) + value.size * fmt.eta
    return Ball(np.asarray(np.sum(value), fmt.wide), np.asarray(reach, fmt.wide), fmt)


LOSS_FORMULAS: dict[str, Formula] = {
    "mean_squared_error by two products": _tangents_apart(lambda difference, _: 2 * difference),
    "smooth_l1_loss by two products": _tangents_apart(_smooth_slope),
    "huber_loss by two products": _tangents_apart(
        lambda difference, params: np.clip(difference, -params["delta"], params["delta"])
    ),
    "celu by a float32 alpha": _celu_by_single_alpha,
    "embedding with the tangent of the padding": _tangent_of_padding,
    "scatter_reduce with the product held": _product_held,
    "ctc_loss of normalized numbers": _alignments_of_normalized_numbers,
    "cosine_embedding_loss by a float32 shift": _cosines_by_a_single_shift,
    **{f"lp_pool{k}d as sign times magnitude": functools.partial(_sign_and_magnitude, k) for k in (1, 2, 3)},
    "nll_loss by sums in the storage format": _added_up_in_storage,
    "soft_margin_loss by the exponential": _overflowing_soft_margin,
    "binary_cross_entropy of shifted probabilities": _shifted_probabilities,
}

__all__ = ["LOSS_FORMULAS"]
