"""Derivatives of x1 ** x2 of every order, as one op: k times in the base and m times in the exponent.

    x1^(x2 - k) sum over j of binom(m, j) q_j(x2) log(x1)^(m - j),   q_0 = x2 (x2 - 1) ... (x2 - k + 1),   q_j its derivatives

(Leibniz' rule for the factors q_0 and x1^(x2 - k)). The power alone may leave the range where the product does not, and x2 - k rounded
to the format is off by so little that its logarithm in the base counts: both are mended here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import POSITIVE_LINE, REAL_LINE, Domain
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops.compensated import in_float64, two_sum

# Of the power itself. Its second derivative is a sum of such products, and lowers an exponent that is rounded already.
BY_PRODUCTS = Formula(
    "products of powers, exponents and logarithms, each rounded by itself, and the exponent each time that it is lowered",
    jvp={
        "x1": lambda x1_dot, x1, x2: x1_dot * (x2 * x1 ** (x2 - 1)),
        "x2": lambda x2_dot, x1, y: x2_dot * (y * np.log(x1)),
    },
    vjp={
        "x1": lambda y_bar, x1, x2: y_bar * (x2 * x1 ** (x2 - 1)),
        "x2": lambda y_bar, x1, y: y_bar * (y * np.log(x1)),
    },
)


def small(exponent: Any) -> int:
    """An exponent that is one of the numbers 1, 2, 3; else 0."""
    return int(exponent) if np.ndim(exponent) == 0 and exponent in (1, 2, 3) else 0


def _falling(x2: Array, k: int) -> Array:
    """x2 (x2 - 1) ... (x2 - k + 1)."""
    product: Array = np.ones_like(x2)
    for i in range(k):
        product = product * (x2 - i)
    return product


def _polynomial(k: int, j: int, size: bool = False) -> list[float]:
    """Coefficients of q_j, the highest first, or of their magnitudes."""
    found = np.polyder(np.poly(np.arange(k)), j) if k else np.zeros(1) if j else np.ones(1)
    return [float(abs(c) if size else c) for c in np.rint(found)]


def _factor(x2: Array, log: Array, k: int, m: int) -> Array:
    """The sum over j; without a logarithm the product, which is sharp beside its zeros."""
    if m == 0:
        return _falling(x2, k)
    total: Any = 0.0
    for j in range(min(k, m) + 1):
        q = np.polyval(_polynomial(k, j), x2) if j else _falling(x2, k)
        total = total + math.comb(m, j) * q * log ** (m - j)
    return total


def _signed(x1: Array, c: Array) -> Array:
    """The sign of x1^c: NaN for a negative base and a broken exponent."""
    whole = c == np.rint(c)
    odd = whole & (np.abs(c) < 2.0 ** (np.finfo(c.dtype).nmant + 1)) & (np.remainder(c, 2) == 1)
    return np.where((x1 < 0) & ~whole, np.nan, np.where(np.signbit(x1) & odd, -1.0, 1.0))


@in_float64
def _any_power_slope(x1: Array, x2: Array, base: int, exponent: int) -> Array:
    size, (c, rest) = np.abs(x1), two_sum(x2, np.full_like(x2, -base))
    log = np.log(x1) if exponent else np.zeros_like(x1)
    f = _factor(x2, log, base, exponent)
    p = size**c
    if np.any(rest):
        exact = np.log(np.where((size > 0) & np.isfinite(size), size, 1.0))
        # Where it is not small, the power is 0 or infinity, whatever the exponent's last digit.
        f = f * np.exp(np.clip(np.where(np.isfinite(c), rest, 0.0) * exact, -1, 1))
    y = p * f
    limits = np.finfo(p.dtype)
    if not np.all((p >= limits.tiny) & (p <= limits.max)):
        # where all powers are normal numbers, neither the power nor a limit needs a closer look
        lost = (
            (size > 0)
            & np.isfinite(size)
            & np.isfinite(c)
            & np.isfinite(f)
            & ((p < limits.tiny) | np.isinf(p))
        )
        half = np.where(lost, size, 1.0) ** (np.where(lost, c, 0.0) / 2)
        y = np.where(lost, half * (half * np.where(lost, f, 0.0)), y)
        gone = _gone(x1, c, f, exponent) | ((p == 0) & (x2 != 0) & np.isinf(f) & np.isfinite(log))
        y = np.where(gone, 0.0, y)
    return y * _signed(x1, c) if np.any(np.signbit(x1)) else y


def _gone(x1: Array, c: Array, f: Array, m: int) -> Array:
    """Where the limit is 0 and the product infinity times 0: a power of 0 against a logarithm, a factor 0 against a pole."""
    return (x1 == 0) & (c > 0) if m else f == 0


def _power_slope(x1: Array, x2: Array, base: int = 1, exponent: int = 0) -> Array:
    whole = small(x2)
    if whole and not exponent and base == 1 and np.result_type(x1, x2).kind == "f":
        return np.ones_like(x1) if whole == 1 else whole * x1 if whole == 2 else whole * (x1 * x1)
    return _any_power_slope(x1, x2, base=base, exponent=exponent)


def slope_rounding(power_rounding: bounds.RoundingRule) -> bounds.RoundingRule:
    """The rule for the derivatives, given that for the power.

    The exponent rounds each time that it is lowered by 1, then the power, the polynomial, and their product.
    """

    def rule(run: Evaluation) -> Array:
        fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
        (x1, x2), k, m = xs, params["base"], params["exponent"]
        x2 = np.asarray(x2, y.dtype)
        e1, e2 = bounds.zero(es[0]), bounds.zero(es[1])
        c = x2 - k
        ec = e2
        for lowered in [np.abs(x2 - i) for i in range(1, k + 1)]:
            # exact where it is an integer of the format; beyond 1/u not every integer is
            ec = ec + np.where((x2 != np.rint(x2)) | (lowered > 1 / fmt.u), fmt.u * lowered, 0.0)
        p = np.power(x1, c)
        ep = power_rounding(
            run._replace(forward=np.power, y=p, xs=(x1, c), es=(es[0], ec if np.any(ec) else None), params={})
        )
        f, ef = _factor_ball(fmt, x1, x2, e1, e2, k, m)
        radius = np.abs(f) * ep + np.abs(p) * ef + ef * ep + (1 + np.abs(f)) * fmt.eta
        radius = radius + fmt.u * (np.abs(y) + radius)
        if k or m:  # a power beyond the range stays infinite
            radius = np.where((np.abs(p) + ep > fmt.max) & (f != 0), np.inf, radius)
        zero = (np.asarray(x1) == 0) & (np.asarray(e1) == 0)
        radius = np.where(_gone(x1, c, np.abs(f) + ef, m) & (zero | (m == 0)), 0.0, radius)
        radius = np.where(np.isnan(radius) & ~np.isnan(y), np.inf, radius)
        # An exponent that is rounded may become an odd integer, or none, which is the sign of a power of a negative number or of -0.
        odd_or_even = (ec > 0) & (np.abs(c - np.rint(c)) <= ec) & np.signbit(x1)
        radius = np.where(odd_or_even, np.maximum(radius, 2 * np.abs(y)), radius)
        return np.where(odd_or_even & np.isinf(y), np.nan, radius)

    return rule


def _factor_ball(fmt: Any, x1: Array, x2: Array, e1: Array, e2: Array, k: int, m: int) -> tuple[Array, Array]:
    """The polynomial in x2 and log x1, and its radius: by the polynomial with magnitudes for coefficients."""
    if m == 0:
        size = most = np.ones_like(x2)
        for i in range(k):
            size, most = size * np.abs(x2 - i), most * (np.abs(x2 - i) + e2) * (1 + 2 * fmt.u * (i > 0))
        return _falling(x2, k), most - size
    log = np.log(x1)
    room = x1 - e1
    e_log = np.where(room > 0, np.log1p(e1 / np.where(room > 0, room, 1.0)), np.inf)
    e_log = np.where(np.asarray(e1) == 0, 0.0, e_log) + 2 * fmt.ulp("log") * fmt.u * np.abs(log) + fmt.eta

    def size_of(a: Array, b: Array) -> Array:
        total: Any = 0.0
        for j in range(min(k, m) + 1):
            total = total + math.comb(m, j) * np.polyval(_polynomial(k, j, size=True), a) * b ** (m - j)
        return total

    at = size_of(np.abs(x2), np.abs(log))
    beyond = size_of(np.abs(x2) + e2, np.abs(log) + e_log)
    return _factor(x2, log, k, m), beyond - at + 2 * (k + m) * fmt.u * beyond


def slope_of(power_rounding: bounds.RoundingRule) -> Op:
    """The op, registered."""
    derivative: Op = register(
        "power_slope", _power_slope,
        jvp={
            "x1": lambda x1_dot, x1, x2, base, exponent: x1_dot * derivative(x1, x2, base=base + 1, exponent=exponent),
            "x2": lambda x2_dot, x1, x2, base, exponent: x2_dot * derivative(x1, x2, base=base, exponent=exponent + 1),
        },
        vjp={
            "x1": lambda y_bar, x1, x2, base, exponent: y_bar * derivative(x1, x2, base=base + 1, exponent=exponent),
            "x2": lambda y_bar, x1, x2, base, exponent: y_bar * derivative(x1, x2, base=base, exponent=exponent + 1),
        },
        rounding=slope_rounding(power_rounding),
        domain=Domain((POSITIVE_LINE, REAL_LINE)),
        broadcasts=True,
        elementwise=True, branch_free=True, helper=True,
    )  # fmt: skip
    return derivative
