"""Formulas of recorded disagreements of normalization layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.recorded_formula import Formula, Inputs, Outcomes
from refgrad.transforms import vjp


def _statistics_held(inputs: Inputs) -> Outcomes:
    """layer_norm, reverse over forward mode: the tangent is differentiated with the mean and the standard deviation as constants."""
    axes = tuple(range(-len(inputs.params["normalized_shape"]), 0))
    return _held(inputs, "nn.layer_norm", axes, lambda v: v)


def _batch_statistics_held(inputs: Inputs) -> Outcomes:
    """batch_norm in training, likewise."""
    ndim = inputs.xs[0].ndim
    axes = (0, *range(2, ndim))
    return _held(inputs, "nn.batch_norm", axes, lambda v: np.reshape(v, (-1,) + (1,) * (ndim - 2)))


def _held(inputs: Inputs, name: str, axes: tuple[int, ...], broadcast: Callable[[Any], Any]) -> Outcomes:
    names, eps = FUNCTIONS[name].operands(inputs.params), inputs.params["eps"]
    dots = dict(zip(names, inputs.xs_dot, strict=True))

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


NORMALIZATION_FORMULAS: dict[str, Formula] = {
    "layer_norm with statistics held": _statistics_held,
    "batch_norm with statistics held": _batch_statistics_held,
}

__all__ = ["NORMALIZATION_FORMULAS"]
