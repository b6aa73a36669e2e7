"""Normalizations in float16: where an intermediate number of a derivative overflows, and the derivative may not.

Let m be the mean of the n elements x of a row, s^2 their variance and eps, c = x - m, g the cotangent times the weight, and t the tangent.
The gradient is (g - A/n - c C/(n s^2))/s with the sums A of g and C of g c. The tangent is the same of t, with the sums B of t and D of
t c. The derivative of the gradient along t is, with the sum E of g t,

    (c (A B/n - E + 3 C D/(n s^2)) + C (B/n - t) + D (A/n - g))/(n s^3).

A kernel may multiply these factors in any order. No product is larger than that of all factors of a term that are above 1. In the rows
where that overflows the formulas here have NaN, which stands for any number, and 0 elsewhere. Entries cover NaN and infinity alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.op import FUNCTIONS, Params
from refgrad.testing.deviations.recorded_formula import (
    OTHER_MODES,
    PAIRING,
    TANGENT,
    Formula,
    Inputs,
    Outcomes,
)
from refgrad.tracing.ball import parts

Rows = Callable[[Array, Params], Array]


def _rows(x: Array, params: Params) -> Array:
    """The rows of layer_norm, one after the other."""
    return np.reshape(x, (-1, math.prod(params["normalized_shape"])))


def _groups(x: Array, params: Params) -> Array:
    """The groups of group_norm in a sample."""
    return np.reshape(x, (x.shape[0], params["num_groups"], -1))


def _channels(x: Array, _params: Params) -> Array:
    """The channels of batch_norm."""
    return np.reshape(np.swapaxes(x, 0, 1), (x.shape[1], -1))


def _samples_and_channels(x: Array, _params: Params) -> Array:
    """The channels of each sample of instance_norm."""
    return np.reshape(x, (*x.shape[:2], -1))


def _plain(x: Any) -> Array:
    return np.asarray(parts(x)[0], float)


def _factor(x: Array) -> Array:
    """A factor of a product that may be formed without it."""
    return np.maximum(1.0, np.abs(x))


def _centred(x: Array) -> Array:
    return x - np.mean(x, axis=-1, keepdims=True)


def _most(x: Array) -> Array:
    """Of each row, the largest element, as a factor."""
    return _factor(np.max(np.abs(x), axis=-1, initial=0.0))


def _by_products(name: str, rows: Rows, inputs: Inputs) -> Outcomes:
    """Where a product of the factors of some term overflows: any number in the row, and in what is added up over rows."""
    names = FUNCTIONS[name].operands(inputs.params)
    given = dict(zip(names, inputs.xs, strict=True))
    x = _plain(given["input"])
    places = np.zeros(x.shape, bool)
    with np.errstate(all="ignore"):
        over = ~(_largest(x, given, rows, inputs) < inputs.fmt.max * (1 - 8 * inputs.fmt.u))
    at = rows(np.arange(x.size).reshape(x.shape), inputs.params)
    places.ravel()[at] = over[..., None]
    anything = np.where(places, np.nan, 0.0)
    some = np.nan if places.any() else 0.0
    found = [anything if k == "input" else np.full(np.shape(_plain(given[k])), some) for k in names]
    return {
        **{k: [x_bar] for k, x_bar in enumerate(found)},
        TANGENT: [anything],
        OTHER_MODES: found,
        PAIRING: [np.asarray(some)],
    }


def _largest(x: Array, given: dict[str, Any], rows: Rows, inputs: Inputs) -> Array:
    """Of each row, the largest product of factors above 1."""
    params = inputs.params
    x_dot = dict(zip(given, inputs.xs_dot, strict=True)).get("input")
    x, g, t = (
        rows(np.zeros(x.shape) if a is None else np.broadcast_to(_plain(a), x.shape), params)
        for a in (x, inputs.y_bar, x_dot)
    )
    near, power = _centred(x), np.var(x, axis=-1) + params["eps"]
    sums = [np.sum(a, axis=-1) for a in (g, t, g * near, t * near, g * t)]
    of_g, of_t, with_g, with_t, both = [_factor(a) for a in sums]
    most_g, most_t = [np.maximum(_most(a), _most(_centred(a))) for a in (g, t)]
    weight = np.max(_factor(_plain(given["weight"])), initial=1.0) if "weight" in given else 1.0
    terms = [of_g * most_g, of_t * most_t, with_g, with_t]
    if inputs.second:
        terms = [
            of_g * of_t,
            both,
            3 * _factor(1 / power) * with_g * with_t,
            with_g * most_t,
            with_t * most_g,
        ]
    return np.asarray(_factor(power**-1.5) * _most(near) * weight * functools.reduce(np.maximum, terms))


_ROWS: dict[str, Rows] = {
    "layer_norm": _rows,
    "group_norm": _groups,
    "batch_norm": _channels,
    "instance_norm": _samples_and_channels,
}
NORMALIZATION_OVERFLOW: dict[str, Formula] = {
    f"{name} by products that overflow": functools.partial(_by_products, f"nn.{name}", rows)
    for name, rows in _ROWS.items()
}

__all__ = ["NORMALIZATION_OVERFLOW"]
