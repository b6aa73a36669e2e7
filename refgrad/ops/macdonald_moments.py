"""Moments of the modified Bessel functions of the second kind, as plain functions of arrays in float64 or wider.

The moment of order n is the integral of (cosh t - 1)^n exp(-x (cosh t - 1)) over t > 0. That of order 0 is exp(x) K_0(x) (DLMF 10.32.9),
and each is minus the derivative of the one before. No term of the integral is negative, so that a moment has all its digits where
exp(x) (K_1 - K_0), the moment of order 1, cancels.

From NEAR on the trapezoidal rule serves. The integrand is even and analytic, and at t + i a its size is at most
exp(x (1 - cos a)) times an integrable function. So a step h is off by exp(x (1 - cos a) - 2 pi a/h) for any a up to pi/2 (Trefethen and
Weideman, "The exponentially convergent trapezoidal rule", 2014, theorem 5.1). With a = pi/2 the step pi^2/(x + 52) makes that 2^-75;
from x = 40 on the step 0.62/sqrt(x) with a = 2 pi/(h x) does, for which the error is exp(-2 pi^2/(h^2 x)). The terms end where
x (cosh t - 1) is above 60.

Below NEAR the power series 10.31.1 gives K_0 and K_1, and the differential equation the further derivatives; the moments are sums of
derivatives there, the first of which is larger than all others.
"""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.compensated import PI, constant, two_sum

NEAR = 0.125
EULER = "0.57721566490153286060651209008240243104215933593992"
_POINTS = 37  # x (cosh(37 h) - 1) is above 60 at NEAR, and above 100 from x = 1 on
_TERMS = 9  # (1/256)^9/9!^2 is 2^-108


def moment(x: Array, order: int) -> Array:
    """The moment of that order at x > 0: infinite at 0, 0 at infinity, NaN below 0."""
    y = _by_trapezoids(np.where(x >= NEAR, x, 1.0), order)
    near = (x > 0) & (x < NEAR)
    if np.any(near):
        y = np.where(near, _by_series(np.where(near, x, NEAR / 2), order), y)
    y = np.where(x == 0, np.inf, y)
    return np.where(x >= 0, np.where(np.isinf(x), 0.0, y), np.nan)


def _by_trapezoids(x: Array, order: int) -> Array:
    """The sum of h (cosh(k h) - 1)^n exp(-x (cosh(k h) - 1)) over k, that of k = 0 by half. cosh(t) - 1 is 2 sinh(t/2)^2."""
    finite = np.where(np.isfinite(x), x, 1.0)
    pi = x.dtype.type(PI)
    h = np.where(finite <= 40, pi * pi / (finite + 52), x.dtype.type(0.62) / np.sqrt(finite))
    total: Array = h / 2 if order == 0 else np.zeros_like(x)
    lost: Array = np.zeros_like(x)
    for k in range(1, _POINTS + 1):
        gap = 2 * np.square(np.sinh(k * h / 2))
        total, left = two_sum(total, h * gap**order * np.exp(-gap * finite))
        lost = lost + left
    return total + lost


def _by_series(x: Array, order: int) -> Array:
    """Sums of the sizes d_n of the derivatives of K_0: d_1 = K_1, and x d_(n+2) = x d_n + (n + 1) d_(n+1) - n d_(n-1).

    The moment is the sum of C(n, j) (-1)^(n - j) d_j, times exp(x).
    """
    square = x * x / 4
    euler = constant(EULER, x.dtype)[0]
    log = np.log(x) + (euler - np.log(x.dtype.type(2)))
    k0, k1 = np.zeros_like(x), np.zeros_like(x)
    for k in range(_TERMS, -1, -1):
        harmonic = x.dtype.type(sum(1 / x.dtype.type(j) for j in range(1, k + 1)))
        k0 = k0 * square + (harmonic - log) / math.factorial(k) ** 2
        k1 = k1 * square + (log - harmonic - x.dtype.type(0.5) / (k + 1)) / (
            math.factorial(k) * math.factorial(k + 1)
        )
    ds = [k0, 1 / x + k1 * (x / 2)]
    for n in range(order - 1):
        ds.append(ds[n] + ((n + 1) * ds[n + 1] - (n * ds[n - 1] if n else 0.0)) / x)
    total = np.zeros_like(x)
    for j in range(order + 1):
        total = total + (-1) ** (order - j) * math.comb(order, j) * ds[j]
    finite = np.isfinite(ds[order])
    return np.where(finite, total, np.inf) * np.exp(x)
