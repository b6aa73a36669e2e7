"""Sine and cosine of multiples of pi, whose argument is reduced exactly, and the derivatives of sinc made of them."""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.compensated import PI, constant, in_float64, two_product


def sine_and_cosine(x: Array) -> tuple[Array, Array]:
    """sin(pi x) and cos(pi x) of finite numbers.

    x is k/2 + t with |t| <= 1/4, exactly, and what the rounding of pi t leaves out enters once more.
    """
    high, low = constant(PI, x.dtype)
    r = np.fmod(x, 2)
    k = np.rint(2 * r)
    t = r - k / 2
    a, rest = two_product(np.broadcast_to(high, t.shape), t)
    rest = rest + low * t
    sine, cosine = np.sin(a), np.cos(a)
    sine, cosine = sine + cosine * rest, cosine - sine * rest
    odd, turned = np.remainder(k, 2) == 1, np.remainder(k, 4)
    first = np.where(odd, cosine, sine)
    second = np.where(odd, -sine, cosine)
    sign = np.where(turned >= 2, -1.0, 1.0)
    return sign * first, sign * second


@in_float64
def sinc_derivative(x: Array, order: int) -> Array:
    """The derivative of that order of s(x) = sin(pi x)/(pi x), s(0) = 1.

    From x s = sin(pi x)/pi follows x s_n + n s_(n-1) = pi^(n-1) sin(pi x + n pi/2), a recurrence that is stable for |pi x| > n; nearer
    to 0 the power series sum (-1)^k (pi x)^(2k)/(2k+1)!, differentiated term by term, by Horner's rule.
    """
    pi, _ = constant(PI, x.dtype)
    far = np.abs(x) > (order + 1) / pi
    safe = np.where(far & np.isfinite(x), x, 1)
    sine, cosine = sine_and_cosine(safe)
    s = sine / safe / pi
    for n in range(1, order + 1):
        s = (pi ** (n - 1) * (sine, cosine, -sine, -cosine)[n % 4] - n * s) / safe
    a = pi * np.where(far, 0, x)
    first, square, series = (order + 1) // 2, a * a, np.zeros_like(a)
    for k in range(first + 15 + 2 * order, first - 1, -1):
        series = series * square + (-1) ** k * x.dtype.type(math.perm(2 * k, order)) / math.factorial(
            2 * k + 1
        )
    series = series * pi**order * (a if order % 2 else 1)
    return np.where(far, np.where(np.isinf(x), 0.0, s), series)
