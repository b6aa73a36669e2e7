"""The Hurwitz zeta function, the sum of (q + k)^-s over k = 0, 1, ..., as a plain function of arrays in float64 or wider.

The first 20 terms and, from there on, the series of Euler and Maclaurin (DLMF 25.11.7). Its remainder is below the first term that is left
out, which is about ((s + 32)/(2 pi (q + 20)))^32 of the last term: where s is so large that this is not small, the last term is not
seen beside the first.
"""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.compensated import two_sum
from refgrad.ops.gamma_series import BERNOULLI

_TERMS = 20


def _power(base: Array, rest: Array, s: Array, order: int) -> Array:
    """(base + rest)^-(s + order) for a rest far below the base, whose effect s enlarges."""
    y = np.power(base, -s)
    for _ in range(order):
        y = y / base
    return y * (1 - (s + order) * (rest / base))


def zeta(s: Array, q: Array, order: int) -> Array:
    """The derivative of that order in q, for s > 1 and q > 0: infinite at s = 1 and at q = 0 (where its sign is clear), else NaN."""
    inside = (s > 1) & (q > 0) & np.isfinite(q) & np.isfinite(s)
    s_in, q_in = np.where(inside, s, 2.0), np.where(inside, q, 1.0)
    total: Array = np.zeros_like(q_in)
    lost: Array = total
    for k in range(_TERMS):
        total, left = two_sum(total, _power(*two_sum(q_in, np.full_like(q_in, k)), s_in, order))
        lost = lost + left
    last, rest = two_sum(q_in, np.full_like(q_in, _TERMS))
    top = s_in + order
    factor, series = top, np.zeros_like(q_in)
    for k, b in enumerate(BERNOULLI):
        series = series + factor * (
            last.dtype.type(b.numerator) / (b.denominator * math.factorial(2 * k + 2))
        ) / last ** (2 * k + 1)
        factor = factor * (top + 2 * k + 1) * (top + 2 * k + 2)
    tail = _power(last, rest, s_in, order) * (last / (s_in + (order - 1)) + 0.5 + series)
    y = total + (lost + tail)
    for n in range(order):
        y = y * -(s_in + n)
    pole = ((s == 1) & (q > 0)) | ((q == 0) & (s > 1))
    beyond = np.where(pole, (-1.0) ** order * np.inf, np.where(np.isinf(q) & (q > 0) & (s > 1), 0.0, np.nan))
    return np.where(inside, y, np.where((s == np.inf) & (q > 1), 0.0, beyond))
