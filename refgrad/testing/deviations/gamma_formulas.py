"""Digamma and the first polygamma function as torch computes them, in place of values and of the derivatives that they are.

The first polygamma function breaks off its series too early, and rounds pi x before the sine. Digamma reflects by the tangent of pi r,
where r is x less its integer part: above a negative integer the rounding of pi r is all that the tangent sees.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import special
from refgrad.testing.deviations.recorded_formula import VALUE, Formula, Inputs, Outcomes, composed, slope


def _rounded_pi(x: Any) -> Any:
    return np.sqrt(np.full_like(x, np.pi * np.pi))


def _digamma(x: Any) -> Any:
    """At x < 0 the reflection psi(1 - x) - pi/tan(pi r)."""
    reflected, pi = x < 0, _rounded_pi(x)
    safe = np.where(reflected, x, -0.5)
    return np.where(
        reflected, special.digamma(1 - safe) - pi / np.tan(pi * (safe - np.trunc(safe))), special.digamma(x)
    )


def _trigamma(x: Any) -> Any:
    """Six terms of the sum of 1/(x + k)^2, and the asymptotic series from x + 6 on up to its third correction; below 1/2 by reflection."""
    reflected, pi = x < 0.5, _rounded_pi(x)
    z = np.where(reflected, 1 - x, x)
    total = 0.0 * z
    for _ in range(6):
        total = total + 1 / (z * z)
        z = z + 1
    square = 1 / (z * z)
    total = total + (1 + 1 / (2 * z) + square * (1 / 6 - square * (1 / 30 - square * (1 / 42)))) / z
    return np.where(reflected, np.square(pi / np.sin(pi * x)) - total, total)


def _first_polygamma(inputs: Inputs) -> Outcomes:
    """polygamma of order 1: its value."""
    return {VALUE: [_trigamma(inputs.xs[0])]} if inputs.params["order"] == 1 else {}


def _second_of_lgamma(inputs: Inputs) -> Outcomes:
    """lgamma: the second derivative."""
    [x], [x_dot] = inputs.xs, inputs.xs_dot
    if not inputs.second or inputs.y_bar is None or x_dot is None:
        return {}
    return {0: [inputs.y_bar * x_dot * _trigamma(x)]}


GAMMA_FORMULAS: dict[str, Formula] = {
    "digamma by a tangent": composed(_digamma),
    "slope of lgamma by a tangent": slope(_digamma),
    "polygamma of order 1 by a short series": _first_polygamma,
    "slope of digamma by a short series": slope(_trigamma),
    "second derivative of lgamma by a short series": _second_of_lgamma,
}
