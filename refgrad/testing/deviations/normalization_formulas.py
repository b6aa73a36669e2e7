"""Formulas of recorded disagreements of normalization layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.recorded_formula import Formula, Inputs, Outcomes
from refgrad.transforms import vjp


def _statistics_held(inputs: Inputs) -> Outcomes:
    """layer_norm, reverse over forward mode: the tangent is differentiated with the mean and the standard deviation as constants."""
    names = FUNCTIONS["nn.layer_norm"].operands(inputs.params)
    shape, eps = inputs.params["normalized_shape"], inputs.params["eps"]
    axes = tuple(range(-len(shape), 0))
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
            y_dot = y_dot * xs["weight"] + dots["weight"] * (centred * scale)
        return y_dot if "bias" not in xs else y_dot + dots["bias"] + 0 * xs["bias"]

    return {k: [x_bar] for k, x_bar in enumerate(vjp(tangent, *inputs.xs)[1](inputs.y_bar))}


NORMALIZATION_FORMULAS: dict[str, Formula] = {"layer_norm with statistics held": _statistics_held}

__all__ = ["NORMALIZATION_FORMULAS"]
