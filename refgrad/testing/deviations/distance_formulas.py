"""Formulas of recorded disagreements of distances between rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.testing.deviations.recorded_formula import TANGENT, Formula, Inputs, Outcomes
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import jvp, vjp

Differences = Callable[..., Any]  # of rows: an array whose last axis holds the coordinates


def _all_pairs(x1: Any, x2: Any) -> Any:
    return x1[..., :, np.newaxis, :] - x2[..., np.newaxis, :, :]


def _upper_triangle(x: Any) -> Any:
    first, second = np.triu_indices(np.shape(x)[0], 1)
    return x[first] - x[second]


def _whole_share_of_each(differences: Differences) -> Formula:
    """cdist and pdist with p = inf: each coordinate that has the largest difference gets the whole gradient.

    Of coordinates that rounding may make equal each gets some share from 0 to 1.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second or inputs.params["p"] != np.inf or inputs.y_bar is None:
            return {}
        difference = differences(*inputs.xs)
        value, reach = parts(difference)
        size = np.abs(value)
        most = np.max(size, axis=-1, keepdims=True, initial=0.0)
        near = size + reach >= np.max(size - reach, axis=-1, keepdims=True, initial=0.0)
        share = np.where(size == most, 1.0, np.where(near, 0.5, 0.0))
        unknown = np.where(near & (size < most), 0.5, 0.0)
        slope = Ball(np.sign(value) * share, unknown, inputs.fmt)
        sent = inputs.y_bar[..., np.newaxis] * slope
        found: Outcomes = {k: [x_bar] for k, x_bar in enumerate(vjp(differences, *inputs.xs)[1](sent))}
        if all(x_dot is not None for x_dot in inputs.xs_dot):
            found[TANGENT] = [np.sum(slope * jvp(differences, inputs.xs, inputs.xs_dot)[1], axis=-1)]
        return found

    return evaluate


DISTANCE_FORMULAS: dict[str, Formula] = {
    "cdist with the whole gradient for each tied coordinate": _whole_share_of_each(_all_pairs),
    "pdist with the whole gradient for each tied coordinate": _whole_share_of_each(_upper_triangle),
}

__all__ = ["DISTANCE_FORMULAS"]
