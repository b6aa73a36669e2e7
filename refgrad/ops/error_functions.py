"""The error function, its complement, the scaled complement and the inverse.

Their slopes are ops of their own: a rounding of x^2 moves exp(-x^2) by x^2 roundings, and the slope of the scaled complement is a
difference whose terms cancel for large x. Abramowitz and Stegun, chapter 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, between
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import exact_slopes
from refgrad.ops import normal_distribution as normal
from refgrad.ops import scaled_error_function as scaled
from refgrad.ops.compensated import constant, in_float64

_FAR = 26.0  # below -26 exp(x^2) erfc(x) is beyond the range of float64


def bell_rounding(forward: Any, power: float) -> bounds.RoundingRule:
    """The rule of c exp(-power x^2) with ``forward`` at |x|: kernels round the square twice, the exponential and two products."""

    def rule(run: Evaluation) -> Array:
        fmt, x, e = run.fmt, np.abs(run.xs[0]), bounds.zero(run.es[0])
        carried: Array | float = 0.0
        if run.es[0] is not None:
            largest = forward(np.maximum(x - e, 0))
            carried = bounds.endless(largest * np.minimum(2 * power * (x + e) * e, 1.0), e)
        roundings = np.minimum(2 * power * x * x, 1 / fmt.u) + 2 * fmt.ulp("exp") + 3
        return carried + roundings * fmt.u * (run.y + carried) + 2 * fmt.eta

    return rule


@in_float64
def _bell(x: Array) -> Array:
    return scaled.bell(x, x.dtype.type(scaled.TWO_PER_ROOT_PI))


# 2/sqrt(pi) exp(-x^2)
bell = register(
    "erf_slope", _bell,
    jvp=lambda x_dot, x, y: -2 * (x_dot * x) * y,
    vjp=lambda y_bar, x, y: -2 * (y_bar * x) * y,
    rounding=bell_rounding(_bell, 1.0),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

erf = register(
    "erf", in_float64(scaled.error),
    jvp=lambda x_dot, x: x_dot * bell(x),
    vjp=lambda y_bar, x: y_bar * bell(x),
    rounding=bounds.monotone("erf"),
    torch=lambda torch, x: torch.erf(x),
    special=(
        Special((np.inf,), 1.0, ((0.0, 0.0),), "levels off"),
        Special((-np.inf,), -1.0, ((0.0, 0.0),), "levels off"),
        Special((30.0,), 1.0, ((0.0, 0.0),), "the derivative 2e-391 underflows"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
)  # fmt: skip

erfc = register(
    "erfc", in_float64(scaled.complement),
    jvp=lambda x_dot, x: -(x_dot * bell(x)),
    vjp=lambda y_bar, x: -y_bar * bell(x),
    rounding=bounds.monotone("erfc"),
    torch=lambda torch, x: torch.erfc(x),
    special=(
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
        Special((-np.inf,), 2.0, ((0.0, 0.0),), "levels off"),
        Special((30.0,), 0.0, ((0.0, 0.0),), "the derivative -2e-391 underflows"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
)  # fmt: skip


# --- the scaled complement ---------------------------------------------------------------------------------------------


def _erfcx(x: Array, order: int = 0) -> Array:
    """The derivative of that order; infinite where exp(x^2) is."""
    return _scaled(x, order=order)


@in_float64
def _scaled(x: Array, order: int) -> Array:
    return scaled.scaled(x, order)


def _erfcx_rounding(run: Evaluation) -> Array:
    """Every derivative falls or grows steadily. Order 1: 2x y - 2/sqrt(pi), which cancels, or undifferenced: four roundings of the value.

    For negative x the rounding of x^2 enters exp(x^2) x^2 times.
    """
    fmt, y, xs, params = run.fmt, run.y, run.xs, run.params
    order = params["order"]
    carried = bounds.monotone(0.0)(run) if run.es[0] is not None else 0.0
    square = np.where(xs[0] < 0, np.minimum(xs[0] * xs[0], 1 / fmt.u), 0.0)
    roundings = 2 * fmt.ulp("erfcx") + 4 * order + square
    return carried + roundings * fmt.u * (np.abs(y) + carried) + 4 * fmt.eta


erfcx: Op = register(
    "erfcx", _erfcx,
    jvp=lambda x_dot, x, order: x_dot * erfcx(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * erfcx(x, order=order + 1),
    rounding=_erfcx_rounding,
    torch=lambda torch, x, order: torch.special.erfcx(x),
    special=(
        Special((np.inf,), 0.0, (None,), "kernels multiply infinity by 0"),
        Special((1e30,), 5.641895835477563e-31, ((-5.6418958e-61, -5.6418958e-61),), "far out"),
        Special((-30.0,), np.inf, ((-np.inf, -np.inf),), "overflow"),
    ),
    usual=(
        Formula(
            "2x y - 2/sqrt(pi), a difference that cancels for large x",
            jvp=lambda x_dot, x, y: x_dot * (2 * x * y - 2 / np.sqrt(np.full_like(y, np.pi))),
            vjp=lambda y_bar, x, y: y_bar * (2 * x * y - 2 / np.sqrt(np.full_like(y, np.pi))),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(exact_slopes.erfcx,),
)  # fmt: skip


# --- the inverse -------------------------------------------------------------------------------------------------------


@in_float64
def _erfinv_slope(x: Array) -> Array:
    """sqrt(pi)/2 exp(y^2) with erf(y) = x, as erfcx(|y|)/(1 - |x|), in which y is not squared."""
    size = np.abs(x)
    y = np.abs(normal.inverse_error(x))
    (high, low), gap = constant(scaled.TWO_PER_ROOT_PI, x.dtype), 1 - size
    inside = scaled.scaled(np.where(size < 1, y, 0.0)) / gap
    return np.where(size > 1, np.nan, inside / high * (1 - low / high))


def _erfinv_slope_rounding(run: Evaluation) -> Array:
    """exp(y^2): the error of y enters 2 y^2 times, that of the square y^2 times. The slope of the logarithm is 2 y times the value."""
    fmt, xs = run.fmt, run.xs
    carried: Array | float = 0.0
    if run.es[0] is not None:
        carried = bounds.endless(run.forward(np.abs(xs[0]) + run.es[0]) - run.y, run.es[0])
        carried = np.where(np.isnan(carried), np.inf, carried)
    square = normal.inverse_error(np.where(np.abs(xs[0]) < 1, xs[0], 0.0)) ** 2
    roundings = square * (4 * fmt.ulp("erfinv") + 1) + 2 * fmt.ulp("exp") + 3
    return carried + roundings * fmt.u * (run.y + carried) + 2 * fmt.eta


erfinv_slope = register(
    "erfinv_slope", _erfinv_slope,
    jvp=lambda x_dot, x, y: 2 * (x_dot * erfinv(x)) * np.square(y),
    vjp=lambda y_bar, x, y: 2 * erfinv(x) * (y_bar * np.square(y)),
    rounding=_erfinv_slope_rounding,
    domain=between(-1.0, 1.0),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

erfinv: Op = register(
    "erfinv", in_float64(normal.inverse_error),
    jvp=lambda x_dot, x: x_dot * erfinv_slope(x),
    vjp=lambda y_bar, x: y_bar * erfinv_slope(x),
    rounding=bounds.monotone("erfinv"),
    torch=lambda torch, x: torch.erfinv(x),
    domain=between(-1.0, 1.0),
    special=(
        Special((1.0,), np.inf, ((np.inf, np.inf),), "pole"),
        Special((-1.0,), -np.inf, ((np.inf, np.inf),), "pole"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2),),
)  # fmt: skip
