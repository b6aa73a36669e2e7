"""The normal distribution function, its logarithm and inverse, and that of erf, as plain functions of arrays in float64 or wider."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.compensated import constant, times_exp, two_product
from refgrad.ops.scaled_error_function import TWO_PER_ROOT_PI, bell, complement, error, moment

ROOT_HALF = "0.70710678118654752440084436210484903928483593768847"
DENSITY_AT_ZERO = "0.39894228040143267793994605993438186847585863116493"
_STEPS = 4  # of Newton's method from a guess with two digits: 4, 8, 16, 32 digits


def _root_half(x: Array) -> Array:
    """x/sqrt(2), rounded once or twice."""
    high, low = constant(ROOT_HALF, x.dtype)
    return x * high + np.where(np.isinf(x), 0.0, x) * low


def density(x: Array) -> Array:
    """exp(-x^2/2)/sqrt(2 pi)."""
    return bell(x, x.dtype.type(DENSITY_AT_ZERO), halved=True)


def distribution(x: Array) -> Array:
    """The integral of the density up to x: erfc(-x/sqrt(2))/2, of which the square in the exponential is that of x itself."""
    size = np.abs(x)
    z = _root_half(size)
    outside = bell(np.maximum(size, 0.7), moment(np.maximum(z, 0.45), 0) / 2, halved=True)
    inside = 0.5 + error(_root_half(np.clip(x, -0.7, 0.7))) / 2
    return np.where(size <= 0.7, inside, np.where(x < 0, outside, 1 - outside))


def log_distribution(x: Array) -> Array:
    """log Phi(x): below -1 log(erfcx(z)/2) - x^2/2 with z = -x/sqrt(2), two terms of one sign; above 0 log1p(-Phi(-x))."""
    with np.errstate(all="ignore"):
        far = np.log(moment(_root_half(np.maximum(-x, 1.0)), 0) / 2) - x * x / 2
        inside = np.log(distribution(np.clip(x, -1, 0)))
        right = np.log1p(-distribution(-np.maximum(x, 0.0)))
    return np.where(x < -1, far, np.where(x <= 0, inside, right))


def ratio(x: Array) -> Array:
    """density(x)/Phi(x), the slope of log Phi: below 0 sqrt(2/pi)/erfcx(-x/sqrt(2))."""
    left = 2 * x.dtype.type(DENSITY_AT_ZERO) / _scaled(x)
    return np.where(x <= 0, left, density(x) / distribution(np.maximum(x, 0.0)))


def _scaled(x: Array) -> Array:
    """erfcx(-x/sqrt(2)) for x <= 0, 1 elsewhere."""
    z = _root_half(np.maximum(-x, 0.0))
    near = np.minimum(z, 0.35)
    return np.where(z < 0.35, np.exp(near * near) * complement(near), moment(np.maximum(z, 0.35), 0))


def ratio_slope(x: Array) -> Array:
    """The derivative of density/Phi, -w (x + w) with w the ratio; below -0.5 x + w is sqrt(2) J_1/J_0, which is no difference."""
    size = np.minimum(np.abs(x), 160.0)
    z = _root_half(np.maximum(-x, 0.5))
    w = ratio(x)
    gap = np.where(x < -0.5, moment(z, 1) / moment(z, 0) / x.dtype.type(ROOT_HALF), x + w)
    square, rest = two_product(size, size)
    factor = (1 - rest / 2) * x.dtype.type(DENSITY_AT_ZERO) * (size + w) / distribution(np.maximum(x, 0.0))
    return np.where(x > 1, -times_exp(factor, -square / 2), -w * gap)


# --- inverses ----------------------------------------------------------------------------------------------------------


def inverse_error(x: Array) -> Array:
    """y with erf(y) = x: by Newton's method, from |x| = 1/2 on of the logarithm of erfc."""
    size = np.abs(x)
    with np.errstate(all="ignore"):
        y = np.where(
            size <= 0.5, _central(np.minimum(size, 0.5)), inverse_tail(np.log(1 - np.maximum(size, 0.5)))
        )
        y = np.where(size == 1, np.inf, np.where(size > 1, np.nan, y))
    return np.copysign(y, x)


def _central(x: Array) -> Array:
    """y with erf(y) = x, for x from 0 to 1/2."""
    scale = x.dtype.type(TWO_PER_ROOT_PI)
    y = (x + 0.26 * x * x * x) / scale  # a series begins with x + pi x^3/12
    for _ in range(_STEPS):
        y = y - (error(y) - x) / (scale * np.exp(-y * y))
    return y


def inverse_tail(log: Array) -> Array:
    """y >= 0 with log(erfc(y)) = ``log``, a number below -0.69.

    The guess is that of Winitzki, "A handy approximation for the error function and its inverse" (2008). The logarithm of erfc is concave,
    with slope -2/sqrt(pi)/erfcx(y), and a rounding of it is less than one of y.
    """
    scale = log.dtype.type(TWO_PER_ROOT_PI)
    both = log + np.log(2 - np.exp(log))
    middle = 2 / (np.pi * 0.147) + both / 2
    y = np.sqrt(np.sqrt(middle * middle - both / 0.147) - middle)
    for _ in range(_STEPS):
        y = np.maximum(y, 0.4)
        scaled = moment(y, 0)
        y = y + ((np.log(scaled) - y * y) - log) * scaled / scale
    return y


def inverse_distribution(x: Array) -> Array:
    """y with Phi(y) = x: within 1/4 of 1/2 by the inverse of erf, else by the tail."""
    with np.errstate(all="ignore"):
        centre = 2 * np.clip(x, 0.25, 0.75) - 1
        inside = np.copysign(_central(np.abs(centre)), centre)
        share = np.where(x < 0.5, x, 1 - x)
        outside = inverse_tail(np.log(np.minimum(2 * share, 0.5)))
        outside = np.where(share == 0, np.inf, np.where(share < 0, np.nan, outside))
        y = np.where(np.abs(x - 0.5) <= 0.25, inside, np.where(x < 0.5, -outside, outside))
    return y / y.dtype.type(ROOT_HALF)
