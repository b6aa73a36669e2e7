"""Moments of the modified Bessel functions, as plain functions of arrays in float64 or wider.

The moment of order n is 1/pi times the integral of (1 - cos t)^n exp(-x (1 - cos t)) over 0 < t < pi. That of order 0 is exp(-x) I_0(x),
and each is minus the derivative of the one before (DLMF 10.32.1). No term of the integral is negative, so that a moment has all its
digits where exp(-x) (I_0 - I_1), its difference by another formula, cancels.

Up to FAR the trapezoidal rule of N points on the circle is off by the moments of the harmonics N, 2N, ... (DLMF 10.35.1), the
first of which is about exp(-N^2/(2x)). Beyond, the substitution u = 1 - cos t and the binomial series of (1 - u/2)^(-1/2) give the
asymptotic series, all terms of which are positive; with 36 terms it is off by less than 2^-64 (DLMF 10.40.1).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.compensated import PI, two_sum

FAR = 60.0
_POINTS = 128  # on the circle: exp(-128^2/120) is 2^-197, and harmonics of short waves are smaller still
_TERMS = 36


def moment(x: Array, order: int) -> Array:
    """The moment of that order at |x|."""
    size = np.abs(x)
    y = _by_trapezoids(np.minimum(size, FAR), order)
    far = size > FAR
    if np.any(far):
        y = np.where(far, _by_series(np.maximum(size, FAR), order), y)
    return np.where(np.isnan(size), size, y)


def _by_trapezoids(x: Array, order: int) -> Array:
    """The mean of (1 - cos t)^n exp(-x (1 - cos t)) over the points of the circle; those of both halves are alike."""
    total: Array = np.zeros_like(x)
    lost: Array = total
    for k in range(_POINTS // 2, -1, -1):
        gap, weight = _gap(k, order, x.dtype)
        total, left = two_sum(total, weight * np.exp(-gap * x))
        lost = lost + left
    return total + lost


@functools.cache
def _gap(k: int, order: int, dtype: Any) -> tuple[Any, Any]:
    """g = 1 - cos(2 pi k/N), and g^n/N, twice for a point that stands for those of both halves."""
    gap = 2 * np.square(np.sin(np.longdouble(PI) * k / _POINTS))
    return dtype.type(gap), dtype.type(gap**order / _POINTS * (1 if k in (0, _POINTS // 2) else 2))


def _by_series(x: Array, order: int) -> Array:
    """1/sqrt(2 pi) times the sum of C(2k, k)/8^k (1/2)(3/2)...(n + k - 1/2)/x^(n + k + 1/2), by Horner's rule."""
    total = np.zeros_like(x)
    finite = np.where(np.isfinite(x), x, 1.0)
    for k in range(_TERMS, 0, -1):
        total = (total + 1) * ((2 * k - 1) * (2 * (order + k) - 1)) / (8 * k) / finite
    y = (total + 1) / np.sqrt(2 * x.dtype.type(PI) * finite)
    for n in range(order):
        y = y * (n + x.dtype.type(0.5)) / finite
    return np.where(np.isinf(x), 0.0, y)
