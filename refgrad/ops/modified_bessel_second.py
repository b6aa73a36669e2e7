"""The modified Bessel functions of the second kind K_0 and K_1, also scaled by exp(x), and the moments in which derivatives are written.

With M_n the moments of macdonald_moments.py, exp(x) K_0 = M_0 and exp(x) K_1 = M_0 + M_1, for cosh t = 1 + (cosh t - 1) in the integral
of K_1 (DLMF 10.32.9), and the slope of M_n is -M_(n + 1). The derivative of order n of K_0 is (-1)^n exp(-x) times the sum of
C(n, j) M_j, of which that of order 1 is -K_1 (DLMF 10.29.3). Nothing cancels.
"""

from __future__ import annotations

import math

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import POSITIVE, Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import exact_bessel as exact
from refgrad.ops import macdonald_moments as moments
from refgrad.ops.compensated import in_float64, times_exp


@in_float64
def _moment(x: Array, order: int) -> Array:
    return moments.moment(x, order)


@in_float64
def _scaled(x: Array, order: int) -> Array:
    """exp(x) times the derivative of that order of K_0, in size."""
    total: Array = np.zeros_like(x)
    for j in range(order, -1, -1):
        total = total + math.comb(order, j) * moments.moment(x, j)
    return total


@in_float64
def _derivative(x: Array, order: int) -> Array:
    """The derivative of that order of K_0."""
    y = times_exp(_scaled(x, order=order), -np.abs(x))
    y = np.where(x == 0, np.inf, np.where(np.isinf(x) & (x > 0), 0.0, y))
    return -y if order % 2 else y


def _nearest(run: Evaluation) -> Array:
    """The smallest x within the radius, at which every moment is largest."""
    return np.maximum(run.xs[0] - bounds.zero(run.es[0]), 0)


def _carried(run: Evaluation, size: Array) -> Array | float:
    """How far a function moves whose slope is at most ``size`` within the radius."""
    e = run.es[0]
    return 0.0 if e is None else bounds.endless(np.where(e == 0, 0.0, e * size), e)


# Kernels add up a Chebyshev series in 8/x - 2, which its first terms dominate (six roundings with the coefficients and the argument), and
# multiply by exp(-x)/sqrt(x) (three); up to 2 they add log(x/2) times I_0, of its own figure, to a series in x^2 - 2. Near 2 the two
# are up to 4 times their sum.
def _roundings(run: Evaluation) -> float:
    fmt = run.fmt
    return 2 * fmt.ulp("exp") + 9 + 4 * (2 * fmt.ulp("i0") + 2 * fmt.ulp("log"))


def _rounded(run: Evaluation, carried: Array | float, roundings: float) -> Array:
    return carried + run.fmt.u * roundings * (np.abs(run.y) + carried) + 4 * run.fmt.eta


def _moment_rounding(run: Evaluation) -> Array:
    order = run.params["order"]
    carried = _carried(run, _moment(_nearest(run), order=order + 1))
    return _rounded(run, carried, _roundings(run) + 4 * order)


def _derivative_rounding(run: Evaluation) -> Array:
    """Of a derivative K_0 + K_1/x and what follows: four roundings more for each order, of positive terms."""
    order = run.params["order"]
    carried = _carried(run, np.abs(_derivative(_nearest(run), order=order + 1)))
    return _rounded(run, carried, _roundings(run) + 4 * order)


def _k1_rounding(run: Evaluation) -> Array:
    return _derivative_rounding(run._replace(params={"order": 1}))


def _k0e_rounding(run: Evaluation) -> Array:
    return _rounded(run, _carried(run, _moment(_nearest(run), order=1)), _roundings(run))


def _k1e_rounding(run: Evaluation) -> Array:
    """The slope is M_1 + M_2 in size."""
    near = _nearest(run)
    return _rounded(run, _carried(run, _moment(near, order=1) + _moment(near, order=2)), _roundings(run))


# The moment of order n.
moment: Op = register(
    "macdonald_moment", lambda x, order=0: _moment(x, order=order),
    jvp=lambda x_dot, x, order: -(x_dot * moment(x, order=order + 1)),
    vjp=lambda y_bar, x, order: y_bar * -moment(x, order=order + 1),
    rounding=_moment_rounding,
    domain=POSITIVE,
    elementwise=True, helper=True, branch_free=True,
)  # fmt: skip

scaled_modified_bessel_k0: Op = register(
    "scaled_modified_bessel_k0", lambda x: _moment(x, order=0),
    jvp=lambda x_dot, x: -(x_dot * moment(x, order=1)),
    vjp=lambda y_bar, x: y_bar * -moment(x, order=1),
    rounding=_k0e_rounding,
    domain=POSITIVE,
    special=(
        Special((0.0,), np.inf, ((-np.inf, -np.inf),), "grows as a logarithm"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    usual=(
        Formula(
            "the slope as a difference of the scaled K_0 and K_1, which cancels for large x",
            jvp=lambda x_dot, x, y: x_dot * (y - scaled_modified_bessel_k1(x)),
            vjp=lambda y_bar, x, y: y_bar * (y - scaled_modified_bessel_k1(x)),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: exact.scaled_modified(mp, 0, x) - exact.scaled_modified(mp, 1, x),),
)  # fmt: skip


def _usual_slope(x: Array, y: Array) -> Array:
    """K_1 - K_0 - K_1/x, scaled."""
    return y - scaled_modified_bessel_k0(x) - y / x


scaled_modified_bessel_k1: Op = register(
    "scaled_modified_bessel_k1", lambda x: _scaled(x, order=1),
    jvp=lambda x_dot, x: -x_dot * (moment(x, order=1) + moment(x, order=2)),
    vjp=lambda y_bar, x: -(y_bar * (moment(x, order=2) + moment(x, order=1))),
    rounding=_k1e_rounding,
    domain=POSITIVE,
    special=(
        Special((0.0,), np.inf, ((-np.inf, -np.inf),), "pole"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    usual=(
        Formula(
            "the slope K_1 - K_0 - K_1/x, scaled, which cancels for large x",
            jvp=lambda x_dot, x, y: x_dot * _usual_slope(x, y),
            vjp=lambda y_bar, x, y: y_bar * _usual_slope(x, y),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: exact.scaled_modified(mp, 1, x) * (1 - 1 / x) - exact.scaled_modified(mp, 0, x),),
)  # fmt: skip

# With ``order`` the derivative of that order.
modified_bessel_k0: Op = register(
    "modified_bessel_k0", lambda x, order=0: _derivative(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * modified_bessel_k0(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * modified_bessel_k0(x, order=order + 1),
    rounding=_derivative_rounding,
    domain=POSITIVE,
    special=(
        Special((0.0,), np.inf, ((-np.inf, -np.inf),), "grows as a logarithm"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: -exact.modified(mp, 1, x),),
)  # fmt: skip

modified_bessel_k1: Op = register(
    "modified_bessel_k1", lambda x: -_derivative(x, order=1),
    jvp=lambda x_dot, x: -x_dot * modified_bessel_k0(x, order=2),
    vjp=lambda y_bar, x: -(y_bar * modified_bessel_k0(x, order=2)),
    rounding=_k1_rounding,
    domain=POSITIVE,
    special=(
        Special((0.0,), np.inf, ((-np.inf, -np.inf),), "pole"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: -exact.modified(mp, 0, x) - exact.modified(mp, 1, x) / x,),
)  # fmt: skip
