"""Special functions as torch computes their values in float64, with constants that are numbers of float32, and by a sum that is rounded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import special
from refgrad.bounds.formats import FORMATS
from refgrad.ops import bessel, incomplete_gamma, incomplete_gamma_series
from refgrad.testing.deviations.recorded_formula import VALUE, Formula, Inputs, Outcomes
from refgrad.tracing.ball import Ball, exact, nearest, parts

_SHORT_PI = float(np.sqrt(np.pi / float(np.float32(np.pi))) - 1)  # what pi of float32 does to 1/sqrt(2 pi a)


def _bessel(f: Callable[..., Any], order: int, kind: str, inputs: Inputs) -> Outcomes:
    """A Bessel function as right as its rounding rule says of float32: the constants of the kernel have so many digits."""
    if inputs.second:
        return {}
    value, radius = parts(f(inputs.xs[0]))
    x = np.asarray(parts(inputs.xs[0])[0], float)
    size = bessel.error_size(x, np.asarray(value, float), order, kind)
    single = FORMATS["float32"]
    roundings = bessel.ROUNDINGS + 2 * single.ulp("sin") + 2 * single.ulp("log")
    return {VALUE: [Ball(value, radius + roundings * single.u * size, inputs.fmt)]}


def _incomplete_gamma(f: Callable[..., Any], sign: float, inputs: Inputs) -> Outcomes:
    """From a = 20 on, near x = a, the correction of the uniform expansion, divided by the root of 2 pi a with pi of float32."""
    if inputs.second:
        return {}
    y = f(*inputs.xs)
    a, x = [np.asarray(parts(z)[0], float) for z in inputs.xs]
    with np.errstate(all="ignore"):
        off = sign * _SHORT_PI * incomplete_gamma_series.correction(*np.broadcast_arrays(a, x))
        inside = (a > 20) & (np.abs(x - a) < a * np.where(a > 200, 4.5 / np.sqrt(a), 0.3))
    return {VALUE: [y + np.where(inside, off, 0.0)]}


_SERIES_UP_TO = 1.1  # the largest x for which the kernel takes Q from a series of powers of x
_TERMS = 24  # 1.1^24/24! is below the rounding of every format


def _upper_of_a_rounded_sum(inputs: Inputs) -> Outcomes:
    """1 - x^a/Gamma(1 + a) - x^a/Gamma(a) sum of (-x)^k/(k! (a + k)) from k = 1 on (DLMF 8.7.1), where 1 + a is rounded.

    All that is added up is of the size of a. Half formats are computed in float32.
    """
    if inputs.second:
        return {}
    fmt = inputs.fmt if inputs.fmt.u <= FORMATS["float32"].u else FORMATS["float32"]
    a, x = [np.asarray(parts(z)[0], float) for z in inputs.xs]
    a, x = np.broadcast_arrays(a, x)
    place = (x > 0) & (x <= _SERIES_UP_TO) & (a > 0) & (a < 1)
    rounded = nearest(1 + np.where(place, a, 0.5), fmt)
    order, at = exact(np.where(place, a, 0.5), fmt), exact(np.where(place, x, 0.5), fmt)
    terms, factor = [], np.ones_like(at)
    for k in range(1, _TERMS):
        factor = factor * at * (-1 / k)
        terms.append(factor / (order + k))
    power = order * np.log(at)
    y = -np.expm1(power - special.gammaln(exact(rounded, fmt)))
    y = y - np.exp(power - special.gammaln(order)) * np.sum(np.stack(terms), axis=0)
    value, radius = parts(y)
    with np.errstate(all="ignore"):
        stored = radius + inputs.fmt.u * np.abs(value) + inputs.fmt.eta
    right, bound = parts(incomplete_gamma.gammaincc(*inputs.xs))
    return {VALUE: [Ball(np.where(place, value, right), np.where(place, stored, bound), inputs.fmt)]}


SPECIAL_FORMULAS: dict[str, Formula] = {
    "gammainc by pi in float32": functools.partial(_incomplete_gamma, incomplete_gamma.gammainc, -1.0),
    "gammaincc by pi in float32": functools.partial(_incomplete_gamma, incomplete_gamma.gammaincc, 1.0),
    "gammaincc by log Gamma of a rounded sum": _upper_of_a_rounded_sum,
    "bessel_j0 by numbers of float32": functools.partial(_bessel, bessel.bessel_j0, 0, "first"),
    "bessel_j1 by numbers of float32": functools.partial(_bessel, bessel.bessel_j1, 1, "first"),
    "bessel_y0 by numbers of float32": functools.partial(_bessel, bessel.bessel_y0, 0, "second"),
    "bessel_y1 by numbers of float32": functools.partial(_bessel, bessel.bessel_y1, 1, "second"),
}
