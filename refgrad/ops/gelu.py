"""gelu in its tanh form. Its gate (1 + tanh(u))/2, which cancels for u far below 0, is the logistic function of 2u."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.ops import exact_slopes
from refgrad.ops.activation import slope
from refgrad.ops.compensated import constant, in_float64, times_exp, two_product, two_sum
from refgrad.ops.gated_activations import sided, slope_rounding
from refgrad.quiet import unwarned

_CUBIC = 0.044715
_FAR = 30.0  # from here on the function is 0 or x, and its derivative 0 or 1, in every format

# The gate is the logistic function of v = k (x + c x^3), that is (1 + tanh(v/2))/2 without a difference: k is 2 sqrt(2/pi), and c the
# number of float64.
_K = "1.5957691216057307117597842397375274739034345246597"
_K_CUBIC = "0.071354816272600245271996022352212320138745009336835"


def _gelu_parts(x: Array) -> tuple[Array, ...]:
    """a = |x|, v and v' in two parts each, and z = exp(-v): for a no larger than where z has left the range of every format."""
    a = np.minimum(np.abs(x), 80)
    (k1, k2), (c1, c2) = constant(_K, x.dtype), constant(_K_CUBIC, x.dtype)
    square, rest = two_product(a, a)
    cubic, lost = two_product(square, np.broadcast_to(c1, square.shape))
    top, cut = two_sum(k1, cubic)
    v, below = two_product(a, top)
    lost = lost + (c2 * square + c1 * rest)
    below = below + a * (cut + lost + k2)
    three, third = two_sum(2 * cubic, cubic)
    slope, left_out = two_sum(k1, three)
    return a, v, below, slope, left_out + (third + 3 * lost + k2), np.exp(-v)


@in_float64
def _gelu_tanh_curve(x: Array) -> Array:
    """g (p - q tanh(v/2)) with g = z/(1 + z)^2, p = 2 v' + |x| v'' and q = |x| v'^2; even."""
    a, v, below, slope, rest, z = _gelu_parts(x)
    d = 1 + z
    p, q = _terms(a, slope, rest)
    whole = ((p - q) + z * (p + q)) / (d * d * d)
    return times_exp(whole - whole * below, -v)


def _terms(a: Array, slope: Array, rest: Array) -> tuple[Array, Array]:
    """2 v' + a v'' = 4 v' - 2 v'(0), and a v'^2."""
    (k, _) = constant(_K, a.dtype)
    return (4 * slope - 2 * k) + 4 * rest, a * (slope * slope + 2 * slope * rest)


def _gelu_tanh_curve_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """Three products with g: of v, whose five roundings g and the tangent turn into v times as many, and of the two derivatives of v."""
    _, v, _, slope, rest, z = _gelu_parts(x)
    p, q = _terms(np.abs(x), slope, rest)
    plain = times_exp((p - q * np.expm1(-v) / (1 + z)) / ((1 + z) * (1 + z)), -v)
    return (2 * (6 * v + 2 * fmt.ulp("exp")) + 24) * plain, plain


def _gelu_tanh_third(x: Array) -> Array:
    """The derivative of g B, B = 2 v' + x v'' - x t v'^2, by g' = -g t v' and t' = 2 g v' of t = tanh(v/2); v''' is constant."""
    near = np.where(np.abs(x) > _FAR, 0.0, x)
    (k, _), (c, _) = constant(_K, x.dtype), constant(_K_CUBIC, x.dtype)
    v, v1, v2 = near * (k + c * near * near), k + 3 * c * near * near, 6 * c * near
    g, t = slope(v), np.tanh(v / 2)
    whole = 2 * v1 + near * v2 - near * t * v1 * v1
    inner = 3 * v2 + 6 * c * near - t * v1 * v1 - 2 * near * v1 * (g * v1 * v1 + t * v2)
    return np.where(np.abs(x) > _FAR, 0.0, g * (inner - t * v1 * whole))


gelu_tanh_curve = register(
    "gelu_tanh_curve", _gelu_tanh_curve,
    jvp=lambda x_dot, x: x_dot * _gelu_tanh_third(x),
    vjp=lambda y_bar, x: y_bar * _gelu_tanh_third(x),
    rounding=slope_rounding(_gelu_tanh_curve_sizes, lambda x: unwarned(_gelu_tanh_third)(x), 1.61, 0.91),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


@in_float64
def _gelu_tanh_slope(x: Array) -> Array:
    """p (1 + x (1 - p) v') with p and 1 - p as 1/(1 + z) and z/(1 + z), in this order for x > 0."""
    a, v, below, slope, _, z = _gelu_parts(x)
    d = 1 + z
    left = ((1 - a * slope) + z) / (d * d)
    left = times_exp(left - left * below, -v)
    return sided(x, left, (1 + a * slope * z / d) / d)


def _gelu_tanh_slope_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """p and |x| p (1 - p) v': the roundings of v are v times as many of z, which enters p with the share 1 - p."""
    a, v, _, slope, _, z = _gelu_parts(x)
    q = sided(x, 1.0, z) / (1 + z)
    first, second = (
        sided(x, times_exp(1 / (1 + z), -v), 1 / (1 + z)),
        a * slope * times_exp(1 / ((1 + z) * (1 + z)), -v),
    )
    of_z = 6 * v + 2 * fmt.ulp("exp")
    return (of_z * q + 4) * first + (of_z + 16) * second, first + second


gelu_tanh_slope = register(
    "gelu_tanh_slope", _gelu_tanh_slope,
    jvp=lambda x_dot, x: x_dot * gelu_tanh_curve(x),
    vjp=lambda y_bar, x: y_bar * gelu_tanh_curve(x),
    rounding=slope_rounding(_gelu_tanh_slope_sizes, _gelu_tanh_curve, 0.78, 1.26),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


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


def _gelu_tanh_rounding(run: Evaluation) -> Array:
    """x/2 (1 + t): the argument of tanh takes 6 roundings, the sum keeps tanh's error in absolute terms, two products follow.

    |slope| <= 1.13, |curvature| <= 1. The cube and the sum may be formed in any order.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x = np.where(np.isfinite(xs[0]), xs[0], 0.0)
    near = np.clip(x, -_FAR, _FAR)
    inner = _scale(y) * np.abs(near + _CUBIC * near * near * near)
    t = np.tanh(inner)
    carried: Array | float = 0.0
    if es[0] is not None:
        carried = bounds.endless(1.13 * es[0], es[0])
    argument = 6 * fmt.u * inner + 2 * fmt.eta
    weight = (1 - t) * (1 + t) * argument * np.exp(2 * argument) + 2 * fmt.ulp("tanh") * fmt.u * t
    return carried + np.abs(x) / 2 * weight + 4 * fmt.u * (np.abs(y) + carried) + (2 + np.abs(x)) * fmt.eta


def _usual_gelu_tanh_slope(x: Array) -> Array:
    """(1 + t)/2 + x/2 (1 - t^2) u' as kernels form it, with t = tanh(u); far from 0 no power of x is formed."""
    far = np.abs(x) > _FAR
    near, c = np.where(far, 0.0, x), _scale(x)
    t = np.tanh(c * (near + _CUBIC * (near * near * near)))
    slope = 0.5 * (1 + t) + 0.5 * near * (1 - t * t) * (c * (1 + 3 * _CUBIC * (near * near)))
    return np.where(far, np.heaviside(x, 0.5), slope)


gelu_tanh = register(
    "gelu_tanh", _gelu_tanh,
    jvp=lambda x_dot, x: x_dot * gelu_tanh_slope(x),
    vjp=lambda y_bar, x: y_bar * gelu_tanh_slope(x),
    rounding=_gelu_tanh_rounding,
    torch=lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    special=(
        Special((0.0,), 0.0, ((0.5, 0.5),), "smooth"),
        Special((40.0,), 40.0, ((1.0, 1.0),), "saturated"),
        Special((-40.0,), 0.0, ((0.0, 0.0),), "saturated"),
    ),
    usual=(
        Formula(
            "(1 + t)/2 + x/2 (1 - t^2) u' with t = tanh(u): both brackets cancel far from 0",
            jvp=lambda x_dot, x: x_dot * _usual_gelu_tanh_slope(x),
            vjp=lambda y_bar, x: y_bar * _usual_gelu_tanh_slope(x),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(exact_slopes.gelu_tanh,),
)  # fmt: skip
