"""Variation of a function within a radius: bounds in float64, in place of two more evaluations in long double.

Each takes ``(x, y, e)``, operand, value and radius, and returns an upper bound of max(|f(x + e) - y|, |f(x - e) - y|), to within a few
roundings of float64. It is NaN or infinite where x + e or x - e leaves the domain. x and y may be magnitudes of float64 that are off by
2^-53 of themselves (magnitudes.py); so a difference x - e is taken as x - e - 2^-51 x.
"""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds import magnitudes


def exp(_x: Array, y: Array, e: Array) -> Array:
    """The step up is y (exp(e) - 1); the step down is shorter."""
    return magnitudes.size(y, y) * np.expm1(e)


def log(x: Array, _y: Array, e: Array) -> Array:
    """The step down is the logarithm of x/(x - e) = 1 + e/(x - e); the step up is shorter."""
    room = _less(magnitudes.size(x, x), e)
    return np.where(room > 0, np.log1p(e / room), np.inf)


def log1p(x: Array, y: Array, e: Array) -> Array:
    """As log, of 1 + x."""
    return log(1 + x, y, e)


def sqrt(x: Array, y: Array, e: Array) -> Array:
    """The step down is e over the sum of both roots; the step up is shorter."""
    return e / (magnitudes.size(y, y) + np.sqrt(_less(magnitudes.size(x, x), e)))


def tanh(_x: Array, y: Array, e: Array) -> Array:
    """Towards 0, by the addition theorem: t (1 - y^2)/(1 - |y| t), where t is the value at e and 1 - |y| t at least (1 - y^2)/2."""
    size, t = magnitudes.size(y, y), np.tanh(e)
    gap = magnitudes.size(1 - np.abs(y), y) * (1 + size)
    return t * gap / np.maximum(1 - size * t - 2.0**-51, gap / 2)


def sigmoid(y: Array, q: Array, e: Array) -> Array:
    """Of s = 1/(1 + exp(-x)) with q = 1 - s: s q d/(1 + s d) upwards, s q d/(1 + q d) downwards, with d = exp(e) - 1."""
    s, q, d = magnitudes.size(y, y), magnitudes.size(q, y), np.expm1(e)
    return s * q * d / (1 + np.minimum(s, q) * d)


def power(x: Array, exponent: float, e: Array) -> Array:
    """Of x^p with an integer p >= 1, by the mean value theorem: p (|x| + e)^(p - 1) e."""
    return exponent * (magnitudes.size(x, x) + e) ** (exponent - 1) * e


def _less(x: Array, e: Array) -> Array:
    return x - e - 2.0**-51 * x
