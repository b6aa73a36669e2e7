"""The Bessel functions J_0, J_1, Y_0 and Y_1.

The slopes of J_0 and Y_0 are -J_1 and -Y_1 (DLMF 10.6.3), and further derivatives are those of J_0 and Y_0 by their order.
"""

from __future__ import annotations

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation, RoundingRule
from refgrad.domain import POSITIVE, Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import bessel_series as series
from refgrad.ops import exact_bessel
from refgrad.ops.compensated import in_float64


@in_float64
def _first(x: Array, order: int) -> Array:
    return series.first_kind(x, order)


@in_float64
def _second(x: Array, order: int) -> Array:
    return series.second_kind(x, order)


@in_float64
def _envelope(x: Array, order: int) -> Array:
    return series.envelope(x, order)


# --- how far rounding moves them ---------------------------------------------------------------------------------------

# Kernels have quotients of two polynomials of degree 8 (Horner's rule, 32 roundings, and the quotient) in place of P and Q, and of the
# series up to 5. Sine, cosine, a root and four products follow, or a logarithm.
ROUNDINGS = 40.0
# Squares of the first two zeros of J_1 above 0 (Abramowitz and Stegun, table 9.5).
_SQUARES = (3.8317059702**2, 7.0155866698**2)


def error_size(x: Array, y: Array, order: int, kind: str) -> Array:
    """What errors are relative to: sqrt(J^2 + Y^2), which has no zeros. Up to 1 J and its slope keep their digits."""
    if kind == "second":
        return np.maximum(np.abs(y), _envelope(x, order=order))
    top = np.minimum(_envelope(np.abs(x), order=order), 1.0)
    return np.where((np.abs(x) < 1) & (order <= 1), np.abs(y), np.maximum(top, np.abs(y)))


def _carried(run: Evaluation, order: int, kind: str) -> Array | float:
    """|f'| e and half of e^2 times the largest |f''| within the radius. No derivative of J_0 is above 1 (DLMF 10.9.1)."""
    x, e = run.xs[0], run.es[0]
    if e is None:
        return 0.0
    near = np.abs(x) - e if kind == "first" else x - e
    bent = np.where(near > 0, _envelope(np.maximum(near, 0), order=order + 2), np.inf)
    slope = np.abs((_first if kind == "first" else _second)(x, order=order + 1))
    moved = e * slope + e * np.where(e == 0, 0.0, bent * e) / 2
    if kind == "first":
        moved = np.minimum(e * (slope + e / 2), np.where(np.isnan(moved), np.inf, moved))
    return bounds.endless(np.where(e == 0, 0.0, moved), e)


def _rule(kind: str, order: int | None = None, *, phase: bool = False) -> RoundingRule:
    """``phase``: kernels form x - pi/4 by a subtraction, whose rounding turns the phase by up to u |x|.

    Near 0 kernels of J_1 divide its first two zeros out and multiply by x^2 less their squares at the end. What is multiplied may be
    subnormal where the value is not: its rounding is enlarged by the product of the squares, that of the next product by one of them.
    """

    def rule(run: Evaluation) -> Array:
        fmt, x, n = run.fmt, run.xs[0], run.params["order"] if order is None else order
        carried = _carried(run, n, kind)
        small = _SQUARES[0] * _SQUARES[1] + _SQUARES[1] if kind == "first" and n == 1 else 0.0
        turned = np.minimum(np.abs(x), 2 / fmt.u) if phase else 0.0
        roundings = ROUNDINGS + 2 * fmt.ulp("sin") + 2 * fmt.ulp("log") + 6 * n + turned
        size = np.where(np.isfinite(run.y), error_size(x, run.y, n, kind), np.abs(run.y))
        return carried + fmt.u * roundings * (size + carried) + (4 + small) * fmt.eta

    return rule


# --- as kernels compute them -------------------------------------------------------------------------------------------

_first_by_phase: Op = register(
    "bessel_first_by_phase", lambda x, order=0: _first(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * _first_by_phase(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * _first_by_phase(x, order=order + 1),
    rounding=_rule("first", phase=True),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

_second_by_phase: Op = register(
    "bessel_second_by_phase", lambda x, order=0: _second(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * _second_by_phase(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * _second_by_phase(x, order=order + 1),
    rounding=_rule("second", phase=True),
    domain=POSITIVE,
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

_WHY = "the phase x - pi/4 by a subtraction that is rounded, which leaves few digits of large x"

# --- of the first kind -------------------------------------------------------------------------------------------------

_ENDS = (
    Special((np.inf,), 0.0, ((0.0, 0.0),), "falls as 1/sqrt(x)"),
    Special((-np.inf,), 0.0, ((0.0, 0.0),), "falls as 1/sqrt(|x|)"),
)

# With ``order`` the derivative of that order.
bessel_j0: Op = register(
    "bessel_j0", lambda x, order=0: _first(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * bessel_j0(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * bessel_j0(x, order=order + 1),
    rounding=_rule("first"),
    special=(Special((0.0,), 1.0, ((0.0, 0.0),), "the maximum"), *_ENDS),
    usual=(Formula(_WHY, lambda x, order=0: _first_by_phase(x, order=order), blind=True),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: -mp.besselj(1, x),),
)  # fmt: skip

bessel_j1: Op = register(
    "bessel_j1", lambda x: -_first(x, order=1),
    jvp=lambda x_dot, x: -x_dot * bessel_j0(x, order=2),
    vjp=lambda y_bar, x: -(y_bar * bessel_j0(x, order=2)),
    rounding=_rule("first", 1),
    special=(Special((0.0,), 0.0, ((0.5, 0.5),), "J_1(x)/x is 0/0"), *_ENDS),
    usual=(Formula(_WHY, lambda x: -_first_by_phase(x, order=1), blind=True),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: (mp.besselj(0, x) - mp.besselj(2, x)) / 2,),
)  # fmt: skip

# --- of the second kind ------------------------------------------------------------------------------------------------

_FAR = Special((np.inf,), 0.0, ((0.0, 0.0),), "falls as 1/sqrt(x)")

bessel_y0: Op = register(
    "bessel_y0", lambda x, order=0: _second(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * bessel_y0(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * bessel_y0(x, order=order + 1),
    rounding=_rule("second"),
    domain=POSITIVE,
    special=(Special((0.0,), -np.inf, ((np.inf, np.inf),), "falls as a logarithm"), _FAR),
    usual=(Formula(_WHY, lambda x, order=0: _second_by_phase(x, order=order), blind=True),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: -exact_bessel.second(mp, 1, x),),
)  # fmt: skip

bessel_y1: Op = register(
    "bessel_y1", lambda x: -_second(x, order=1),
    jvp=lambda x_dot, x: -x_dot * bessel_y0(x, order=2),
    vjp=lambda y_bar, x: -(y_bar * bessel_y0(x, order=2)),
    rounding=_rule("second", 1),
    domain=POSITIVE,
    special=(Special((0.0,), -np.inf, ((np.inf, np.inf),), "pole"), _FAR),
    usual=(Formula(_WHY, lambda x: -_second_by_phase(x, order=1), blind=True),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: exact_bessel.second(mp, 0, x) - exact_bessel.second(mp, 1, x) / x,),
)  # fmt: skip
