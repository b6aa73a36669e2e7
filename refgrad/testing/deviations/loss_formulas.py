"""Formulas of recorded disagreements of losses, and of layers that read or write at given places."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.op import FUNCTIONS
from refgrad.ops.stop_gradient import stop_gradient
from refgrad.testing.deviations.normalization_formulas import added_up
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    composed,
    second_derivative,
)
from refgrad.tracing.ball import exact, parts
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


def _tangent_of_padding(inputs: Inputs) -> Outcomes:
    """embedding: the tangent is that of the rows, the row of the padding among them."""
    rows, moving = inputs.xs[0], inputs.xs_dot[1]
    return {} if moving is None else {TANGENT: [moving[rows]]}


def _product_held(inputs: Inputs) -> Outcomes:
    """scatter_reduce of products, forward over reverse: the gradient divides a product by its factors and takes the product as a constant."""
    params = inputs.params
    names = FUNCTIONS["nn.scatter_reduce"].operands(params)

    def gradient(y_bar: Any, *xs: Any) -> tuple[Any, ...]:
        given = {**params, **dict(zip(names, xs, strict=True))}
        held = stop_gradient(nn.scatter_reduce(**given))
        spread = nn.gather(y_bar * held, given["dim"], given["index"]) / given["src"]
        touched = np.zeros(held.shape, bool)
        np.put_along_axis(touched, np.asarray(given["index"]), True, given["dim"])
        own = y_bar * held / given["input"]
        found = {"input": np.where(touched, own, y_bar), "src": spread}
        return tuple([found.get(name) for name in names])

    active = [k for k, name in enumerate(names) if name in ("input", "src")]
    if not inputs.second:
        return {}
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
    losses = parts(nn.ctc_loss(**{**given, "reduction": "none"}))[0]
    reached = losses != 0 if given["zero_infinity"] else np.ones(samples, bool)
    more = np.where((before & reached)[..., np.newaxis], np.exp(scores) * factor[:, np.newaxis], 0.0)
    return {0: [vjp(loss, scores)[1](inputs.y_bar)[0] + more]}


def _overflowing_soft_margin(inputs: Inputs) -> Outcomes:
    """soft_margin_loss: log(1 + exp(-target input)), infinite where the exponential overflows."""
    given = _given(inputs, "nn.soft_margin_loss")
    x = given["input"]
    terms = np.log1p(np.exp(-np.asarray(given["target"]).astype(x.dtype) * x))
    reduction = given["reduction"]
    return {VALUE: [terms if reduction == "none" else np.mean(terms) if reduction == "mean" else np.sum(terms)]}


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


def _added_up_in_storage(inputs: Inputs) -> Outcomes:
    """nll_loss of images: the terms, and the weights for a mean, are added up one after the other in the storage format."""
    given = _given(inputs, "nn.nll_loss")
    fmt = inputs.fmt
    if inputs.xs[0].ndim < 3 or given["reduction"] == "none":
        return {}
    total = added_up(np.ravel(nn.nll_loss(**{**given, "reduction": "none"})), (), fmt)
    if given["reduction"] == "sum":
        return {VALUE: [total]}
    target = np.asarray(given["target"])
    weight = np.ones(inputs.xs[0].shape[1]) if given["weight"] is None else parts(given["weight"])[0]
    counted = weight[target[target != given["ignore_index"]]]
    return {VALUE: [total / added_up(exact(counted, fmt), (), fmt)]}


LOSS_FORMULAS: dict[str, Formula] = {
    "celu by a float32 alpha": _celu_by_single_alpha,
    "embedding with the tangent of the padding": _tangent_of_padding,
    "scatter_reduce with the product held": _product_held,
    "ctc_loss of normalized numbers": _alignments_of_normalized_numbers,
    "nll_loss by sums in the storage format": _added_up_in_storage,
    "soft_margin_loss by the exponential": _overflowing_soft_margin,
    "binary_cross_entropy of shifted probabilities": _shifted_probabilities,
}

__all__ = ["LOSS_FORMULAS"]
