"""The incomplete gamma functions P(a, x) and Q(a, x) = 1 - P(a, x), and their slope, as plain functions of arrays in float64 or wider.

Four formulas, by place (Gautschi, "A computational procedure for incomplete gamma functions", 1979; Temme, "The asymptotic expansion of
the incomplete gamma functions", 1979):

- where a is 20 or more and eta^2/2 = x/a - 1 - log(x/a) is at most 1/2, Temme's uniform expansion (DLMF 8.12);
- else, up to x = a or 1, the power series of P (8.11.4), whose terms are positive;
- else the continued fraction of Q (8.9.2);
- for x and a below 1, Q by the alternating series of P (8.7.1), from which 1 is subtracted before digits are lost.

In the first three all is multiplied by D = x^a exp(-x)/Gamma(a + 1). It is formed from a (x/a - 1 - log(x/a)), which is not the difference
of large numbers (Loader, "Fast and accurate computation of binomial probabilities", 2000): an error of it is a few roundings of
1 + |x - a| + a |log(x/a)|.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.compensated import PI, constant, times_exp, two_product, two_sum
from refgrad.ops.gamma_series import BERNOULLI, NEAR_1, log_gamma
from refgrad.ops.scaled_error_function import scaled

UNIFORM_FROM = 20.0
LOG_2 = "0.69314718055994530941723212145817656807550013436025"
_STEPS = 400  # of the power series and of the continued fraction, at most
_ORDERS = 14  # of Temme's expansion in 1/a
_POWERS = 40  # in eta: the radius of convergence is 2 sqrt(pi), and eta is at most 1


def lower_and_upper(a: Array, x: Array) -> tuple[Array, Array]:
    """P(a, x) and Q(a, x) for a >= 0 and x >= 0; NaN elsewhere, and at a = x = 0 and where both are infinite."""
    a, x = np.broadcast_arrays(a, x)
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    p, q = np.full_like(x, np.nan), np.full_like(x, np.nan)
    if np.any(inside):
        p[inside], q[inside] = _by_place(a[inside], x[inside])
    all_below = ((a == 0) & (x > 0)) | ((a >= 0) & np.isfinite(a) & (x == np.inf))
    none_below = ((a > 0) & (x == 0)) | ((a == np.inf) & (x >= 0) & np.isfinite(x))
    p = np.where(all_below, 1.0, np.where(none_below, 0.0, p))
    q = np.where(all_below, 0.0, np.where(none_below, 1.0, q))
    return p, q


def density(a: Array, x: Array) -> Array:
    """x^(a - 1) exp(-x)/Gamma(a), the slope of P in x, for a > 0 and x >= 0: at 0 infinite below a = 1, 1 at a = 1, 0 above."""
    a, x = np.broadcast_arrays(a, x)
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    a_in, x_in = np.where(inside, a, 1.0), np.where(inside, x, 1.0)
    exponent, factor = _scale(a_in, x_in)
    y = times_exp(factor * (a_in / x_in), exponent)
    at_0 = np.where(a < 1, np.inf, np.where(a == 1, 1.0, 0.0))
    y = np.where(inside, y, np.where((x == 0) & (a > 0), at_0, np.nan))
    ends = (
        ((a == 0) & (x > 0))
        | ((x == np.inf) & (a > 0) & np.isfinite(a))
        | ((a == np.inf) & (x >= 0) & np.isfinite(x))
    )
    return np.where(ends, 0.0, y)


def _by_place(a: Array, x: Array) -> tuple[Array, Array]:
    p, q = np.empty_like(x), np.empty_like(x)
    with np.errstate(all="ignore"):
        half_square = _gap(a, x)
    uniform = (a >= UNIFORM_FROM) & (half_square <= 0.5)
    small = ~uniform & (x <= 1) & (a < 1)
    series = ~uniform & ~small & ((x <= a) | (x <= 1))
    fraction = ~(uniform | small | series)
    if np.any(uniform):
        p[uniform], q[uniform] = _uniformly(a[uniform], x[uniform], half_square[uniform])
    if np.any(series):
        p[series] = _by_series(a[series], x[series])
        q[series] = 1 - p[series]
    if np.any(fraction):
        q[fraction] = _by_fraction(a[fraction], x[fraction])
        p[fraction] = 1 - q[fraction]
    if np.any(small):
        p[small], q[small] = _by_alternating_series(a[small], x[small])
    return p, q


# --- the factor in front -----------------------------------------------------------------------------------------------


def _gap(a: Array, x: Array) -> Array:
    """mu - log(1 + mu) with mu = (x - a)/a, near mu = 0 by its power series."""
    mu, rest = two_sum(x, -a)
    mu = mu / a + rest / a
    near = np.where(np.abs(mu) < 0.1, mu, 0.0)
    # With t = mu/(2 + mu): log(1 + mu) = 2 (t + t^3/3 + ...), and mu - 2 t = mu t.
    t = near / (2 + near)
    square, total = t * t, np.zeros_like(t)
    for k in range(14, 0, -1):
        total = total * square + x.dtype.type(2) / (2 * k + 1)
    by_series = t * (near - square * total)
    far = np.where(np.abs(mu) < 0.1, 1.0, mu)
    log = np.where(
        far < -0.5,
        np.log(np.maximum(x, np.finfo(x.dtype).smallest_subnormal)) - np.log(a),
        np.log1p(np.maximum(far, -0.75)),
    )
    return np.where(np.abs(mu) < 0.1, by_series, far - log)


def _scale(a: Array, x: Array) -> tuple[Array, Array]:
    """D as an exponent, which is at most 0 but for small a, and a factor."""
    large = a >= UNIFORM_FROM
    a_far = np.where(large, a, UNIFORM_FROM)
    exponent = -a_far * _gap(a_far, np.where(large, x, UNIFORM_FROM))
    factor = np.exp(-_stirling(a_far)) / np.sqrt(2 * x.dtype.type(PI)) / np.sqrt(a_far)
    a_near, x_near = np.where(large, 1.0, a), np.where(large, 1.0, x)
    near_factor = _power(x_near, a_near) / _gamma_above(a_near)
    return np.where(large, exponent, -x_near), np.where(large, factor, near_factor)


def _power(x: Array, a: Array) -> Array:
    """x^a for a below 20, at most exp(600): a times the logarithm in two parts, of a power of 2 and of a number near 1."""
    mantissa, e = np.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa, e = np.where(low, 2 * mantissa, mantissa), np.where(low, e - 1, e)
    two, two_rest = constant(LOG_2, x.dtype)
    high, rest = two_product(a * e, np.broadcast_to(two, x.shape))
    product, lost = two_product(a, e.astype(x.dtype))
    rest = rest + lost * two + product * two_rest + a * np.log(mantissa)
    return np.exp(np.minimum(high, 600.0)) * np.exp(rest)


def _gamma_above(a: Array) -> Array:
    """Gamma(a + 1) for 0 < a < 20."""
    product, b = np.ones_like(a), a
    for _ in range(20):
        above = b > 1
        product = np.where(above, product * b, product)
        b = np.where(above, b - 1, b)
    # Gamma(a + 1) = a (a - 1) ... (b + 1) Gamma(b + 1) with b in 0 ... 1.
    return product * np.exp(log_gamma(1 + b))


def _stirling(a: Array) -> Array:
    """log Gamma(a + 1) - (a + 1/2) log(a) + a - log(2 pi)/2 (DLMF 5.11.1)."""
    square, total = 1 / (a * a), np.zeros_like(a)
    for k in range(len(BERNOULLI) - 1, -1, -1):
        b = BERNOULLI[k] / ((2 * k + 2) * (2 * k + 1))
        total = total * square + a.dtype.type(b.numerator) / b.denominator
    return total / a


# --- the formulas ------------------------------------------------------------------------------------------------------


def _by_series(a: Array, x: Array) -> Array:
    """D times the sum of x^k/((a + 1) ... (a + k))."""
    term: Array = np.ones_like(x)
    total: Array = term
    lost: Array = np.zeros_like(x)
    for k in range(1, _STEPS):
        term = term * (x / (a + k))
        total, left = two_sum(total, term)
        lost = lost + left
        if np.all(term <= total * np.finfo(x.dtype).eps / 64):
            break
    exponent, factor = _scale(a, x)
    return np.minimum(times_exp(factor * (total + lost), exponent), 1.0)


def _by_fraction(a: Array, x: Array) -> Array:
    """D a/(x + 1 - a - 1 (1 - a)/(x + 3 - a - 2 (2 - a)/(...))), from the end, where the method of Lentz finds nothing left.

    From the end errors shrink from level to level; in the product that Lentz forms they add up.
    """
    b = x + 1 - a
    c: Array = np.full_like(x, np.inf)
    d = 1 / b
    last = 1
    for last in range(1, _STEPS):
        step = last * (a - last)
        b = b + 2
        d = 1 / (b + step * d)
        c = b + step / c
        if np.all(np.abs(c * d - 1) < np.finfo(x.dtype).eps / 4):
            break
    total = b
    for k in range(last, 0, -1):
        total = (x + (2 * k - 1) - a) + k * (a - k) / total
    exponent, factor = _scale(a, x)
    return np.minimum(times_exp(factor * a / total, exponent), 1.0)


def _by_alternating_series(a: Array, x: Array) -> tuple[Array, Array]:
    """P = f (1 - v) and Q = (1 - f) + f v with f = x^a/Gamma(a + 1) and v = a times the sum of -(-x)^k/(k! (a + k))."""
    term: Array = np.ones_like(x)
    v: Array = np.zeros_like(x)
    for k in range(1, 26):
        term = term * (-x / k)
        v = v - term / (a + k)
    v = a * v
    gamma = np.where(a <= 0.5, a * NEAR_1(2 * np.minimum(a, 0.5)), log_gamma(1 + a))
    log = a * np.log(x) - gamma
    front = np.exp(log)
    return front * (1 - v), -np.expm1(log) + front * v


def _uniformly(a: Array, x: Array, half_square: Array) -> tuple[Array, Array]:
    """Q = erfc(eta sqrt(a/2))/2 + exp(-a eta^2/2)/sqrt(2 pi a) S (DLMF 8.12.4 and 8.12.7), and P alike with -eta and -S."""
    above = x >= a
    total, root = _sum(a, x, half_square), np.sqrt(2 * x.dtype.type(PI)) * np.sqrt(a)
    tail = scaled(np.sqrt(a * half_square)) / 2
    smaller = np.exp(-a * half_square) * (tail + np.where(above, total, -total) / root)
    return np.where(above, 1 - smaller, smaller), np.where(above, smaller, 1 - smaller)


def _sum(a: Array, x: Array, half_square: Array) -> Array:
    """S, the sum of c_k(eta)/a^k."""
    eta = np.copysign(np.sqrt(2 * half_square), x - a)
    total = np.zeros_like(x)
    for polynomial in reversed(_coefficients(x.dtype)):
        inner = np.zeros_like(x)
        for c in reversed(polynomial):
            inner = inner * eta + c
        total = total / a + inner
    return total


def correction(a: Array, x: Array) -> Array:
    """exp(-a eta^2/2)/sqrt(2 pi a) S, what the uniform expansion of Q adds to the error function."""
    half_square = _gap(a, x)
    return np.exp(-a * half_square) / np.sqrt(2 * x.dtype.type(PI) * a) * _sum(a, x, half_square)


@functools.cache
def _coefficients(dtype: Any) -> list[list[Any]]:
    """The power series in eta of the coefficients c_k(eta) of S = sum c_k/a^k.

    lambda - 1 = eta + alpha_2 eta^2 + ... solves eta^2/2 = lambda - 1 - log(lambda), so that eta lambda = (lambda - 1) lambda'. With it
    c_0 = 1/(lambda - 1) - 1/eta, and eta c_k = c'_(k - 1) + eta gamma_k/(lambda - 1), where the coefficients gamma_k of Gamma*(a) = sum
    (-1)^k gamma_k/a^k make the right-hand side vanish at 0 (8.12.9 to 8.12.11).
    """
    size = _POWERS + 2 * _ORDERS + 4
    alpha = [Fraction(0), Fraction(1)]  # the coefficients of lambda - 1
    for n in range(2, size + 1):
        # eta + eta sum alpha_j eta^j = (sum alpha_i eta^i) (sum j alpha_j eta^(j - 1)), the coefficient of eta^n
        known = alpha[n - 1] - sum(
            (alpha[i] * (n + 1 - i) * alpha[n + 1 - i] for i in range(2, n)), Fraction(0)
        )
        alpha.append(known / (n + 1))
    # eta/(lambda - 1) as a power series
    inverse = [Fraction(1)]
    for n in range(1, size):
        inverse.append(-sum((alpha[j + 1] * inverse[n - j] for j in range(1, n + 1)), Fraction(0)))
    current = inverse[1:]
    found = [current]
    for _ in range(1, _ORDERS):
        slope = [(n + 1) * current[n + 1] for n in range(len(current) - 1)]
        gamma = -slope[0]
        # (c' + gamma eta/(lambda - 1))/eta
        current = [slope[n] + gamma * inverse[n] for n in range(1, len(slope))]
        found.append(current)
    return [[_rounded(c, dtype) for c in row[:_POWERS]] for row in found]


def _rounded(c: Fraction, dtype: Any) -> Any:
    high = float(c)
    return dtype.type(high) + dtype.type(float(c - Fraction(high)))
