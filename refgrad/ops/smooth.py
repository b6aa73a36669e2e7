"""Smooth activations that are mostly written as compositions; here their derivatives lose nothing."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.domain import KINKED, Special
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.ops.activation import sigmoid, softplus
from refgrad.quiet import unwarned

Array = Any


# --- softsign ----------------------------------------------------------------------------------------------------------


def _share(x: Array) -> Array:
    """1/(1 + |x|): the square root of softsign's derivative."""
    return 1 / (1 + np.abs(x))


# The sum and the quotient round by u each, which is 2 u of the value at most. The derivative is a product of positive numbers.
softsign = register(
    "softsign", unwarned(lambda x: np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))),
    jvp=lambda x_dot, x: x_dot * _share(x) * _share(x),
    vjp=lambda y_bar, x: (y_bar * _share(x)) * _share(x),
    rounding=bounds.monotone(1.0),
    torch=lambda torch, x: torch.nn.functional.softsign(x),
    domain=KINKED,
    special=(Special((0.0,), 0.0, ((1.0, 1.0),), "smooth once"), Special((1e200,), 1.0, ((0.0, 0.0),), "saturated")),
    usual=(Formula("the composition x/(1 + |x|): its derivative is a difference that cancels far out", lambda x: x / (1 + np.abs(x))),),
)  # fmt: skip


# --- tanhshrink --------------------------------------------------------------------------------------------------------


@unwarned  # float16 ends below 9!
def _tanhshrink(x: Array) -> Array:
    """x - tanh(x); near 0 as (x cosh(x) - sinh(x))/cosh(x), whose series sum 2k x^(2k+1)/(2k+1)! has positive terms only."""
    small = np.where(np.abs(x) < 1, x, 0.0)
    square, series = small * small, np.zeros_like(x)
    for k in range(13, 0, -1):
        series = series * square + 2 * k / x.dtype.type(factorial(2 * k + 1))
    return np.where(np.abs(x) < 1, series * square * small / np.cosh(small), x - np.tanh(x))


tanhshrink = register(
    "tanhshrink", _tanhshrink,
    jvp=lambda x_dot, x: x_dot * np.square(np.tanh(x)),
    vjp=lambda y_bar, x: y_bar * np.square(np.tanh(x)),
    rounding=lambda fmt, *rest: _tanhshrink_rounding(fmt, *rest),
    torch=lambda torch, x: torch.nn.functional.tanhshrink(x),
    usual=(Formula("the composition x - tanh(x): its derivative 1 - (1 - tanh^2) cancels near 0", lambda x: x - np.tanh(x)),),
)  # fmt: skip


def _tanhshrink_rounding(fmt: Any, forward: Any, y: Array, xs: Any, es: Any, params: Any) -> Array:
    """The error of tanh, in absolute terms, and one difference: near 0 nothing is left but the error of tanh."""
    carried: Array = 0.0
    if es[0] is not None:
        carried = np.maximum(np.abs(forward(xs[0] + es[0]) - y), np.abs(y - forward(xs[0] - es[0])))
    inner = 2 * fmt.ulp("tanh") * fmt.u * np.tanh(np.abs(xs[0])) + 2 * fmt.eta
    return carried + inner + fmt.u * (np.abs(y) + carried + inner)


# --- mish --------------------------------------------------------------------------------------------------------------


@unwarned
def _mish(x: Array) -> Array:
    """x tanh(log(1 + w)) with w = exp(x), which is x times (w^2 + 2w)/(w^2 + 2w + 2); for x > 0 in terms of 1/w."""
    w = np.exp(-np.abs(x))
    one = np.where(x > 0, 1.0 + 2 * w, w * w + 2 * w)
    return np.where(np.isposinf(x), x, x * (one / (one + np.where(x > 0, 2 * w * w, 2.0))))


def _mish_rounding(fmt: Any, forward: Any, y: Array, xs: Any, es: Any, params: Any) -> Array:
    """exp, log1p and tanh, none of which enlarges a relative error, and the product; |slope| <= 1.09, |curvature| <= 2/3.

    Where exp(x) is nearly below the range, kernels return 0.
    """
    x, e = xs[0], es[0]
    carried: Array = 0.0
    if e is not None:
        t, s = np.tanh(np.logaddexp(0, x)), 1 / (1 + np.exp(-np.abs(x)))
        s = np.where(x < 0, 1 - s, s)
        slope = np.abs(t + np.where(np.isinf(x), 0.0, x) * s * (1 - t * t))
        carried = bounds.endless(np.minimum(slope * e + e * e / 3, 1.09 * e), e)
    steps = 2 * (fmt.ulp("exp") + fmt.ulp("log1p") + fmt.ulp("tanh")) + 1
    gone = np.where(x < -np.log(fmt.max / 4), np.abs(y), 0.0)
    return carried + steps * fmt.u * (np.abs(y) + carried) + gone + (2 + 4 * np.abs(x)) * fmt.eta


def _mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + x * sigmoid(x) * (1 - t * t)


mish = register(
    "mish", _mish,
    jvp=lambda x_dot, x: x_dot * _mish_slope(x),
    vjp=lambda y_bar, x: y_bar * _mish_slope(x),
    rounding=_mish_rounding,
    torch=lambda torch, x: torch.nn.functional.mish(x),
    special=(
        Special((0.0,), 0.0, ((0.6, 0.6),), "smooth"),
        Special((-800.0,), 0.0, ((0.0, 0.0),), "saturated"),
    ),
)  # fmt: skip


# --- gelu --------------------------------------------------------------------------------------------------------------

_CUBIC = 0.044715
_FAR = 30.0  # from here on the function is 0 or x, and its derivative 0 or 1, in every format


def _scale(like: Array) -> Array:
    """sqrt(2/pi) in the dtype of ``like``."""
    one = like.dtype.type(1)
    return np.sqrt(one / (2 * np.arctan(one)))


@unwarned
def _gelu_tanh(x: Array) -> Array:
    """x times the logistic function of 2 sqrt(2/pi) (x + 0.044715 x^3), which is (1 + tanh)/2 without a difference."""
    near = np.where(np.abs(x) < 1e4, x, 0.0)
    z = np.exp(-2 * _scale(x) * np.abs(near + _CUBIC * near * near * near))
    inside = near * np.where(near > 0, 1, z) / (1 + z)
    return np.where(np.abs(x) < 1e4, inside, np.where(x > 0, x, x * 0))


def _gelu_tanh_rounding(fmt: Any, forward: Any, y: Array, xs: Any, es: Any, params: Any) -> Array:
    """x/2 (1 + t): the argument of tanh takes 6 roundings, the sum keeps tanh's error in absolute terms, two products follow.

    |slope| <= 1.13, |curvature| <= 1. The cube and the sum may be formed in any order.
    """
    x = np.where(np.isfinite(xs[0]), xs[0], 0.0)
    near = np.clip(x, -_FAR, _FAR)
    inner = _scale(y) * np.abs(near + _CUBIC * near * near * near)
    t = np.tanh(inner)
    carried: Array = 0.0
    if es[0] is not None:
        carried = bounds.endless(1.13 * es[0], es[0])
    argument = 6 * fmt.u * inner + 2 * fmt.eta
    weight = (1 - t) * (1 + t) * argument * np.exp(2 * argument) + 2 * fmt.ulp("tanh") * fmt.u * t
    return carried + np.abs(x) / 2 * weight + 4 * fmt.u * (np.abs(y) + carried) + (2 + np.abs(x)) * fmt.eta


def _gelu_tanh_slope(x: Array) -> Array:
    """(1 + t)/2 + x/2 (1 - t^2) u' as kernels form it, with t = tanh(u); far from 0 no power of x is formed."""
    far = np.abs(x) > _FAR
    near, c = np.where(far, 0.0, x), _scale(x)
    t = np.tanh(c * (near + _CUBIC * (near * near * near)))
    slope = 0.5 * (1 + t) + 0.5 * near * (1 - t * t) * (c * (1 + 3 * _CUBIC * (near * near)))
    return np.where(far, np.heaviside(x, 0.5), slope)


gelu_tanh = register(
    "gelu_tanh", _gelu_tanh,
    jvp=lambda x_dot, x: x_dot * _gelu_tanh_slope(x),
    vjp=lambda y_bar, x: y_bar * _gelu_tanh_slope(x),
    rounding=_gelu_tanh_rounding,
    torch=lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    special=(
        Special((0.0,), 0.0, ((0.5, 0.5),), "smooth"),
        Special((40.0,), 40.0, ((1.0, 1.0),), "saturated"),
        Special((-40.0,), 0.0, ((0.0, 0.0),), "saturated"),
    ),
)  # fmt: skip
