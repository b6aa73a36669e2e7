"""Activations that multiply their operand by a gate between 0 and 1: silu and mish; gelu_tanh is in gelu.py.

Their derivatives are ops of their own. As compositions they cancel: the complement 1 - s of a gate near 1 is such a difference. Here
everything is written in z = exp(-|x|), which is small on either side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import ELEMENTWISE, InGraphs
from refgrad.ops import exact_slopes
from refgrad.ops.activation import sigmoid, sigmoid_of_kernels, slope, softplus
from refgrad.ops.compensated import in_float64, times_exp
from refgrad.quiet import unwarned


def _distance(x: Array) -> Array:
    """|x|, no farther than where the exponential of it has left the range: there each derivative has its limit."""
    return np.minimum(np.abs(x), -4 * np.log(np.finfo(x.dtype).tiny))


def sided(x: Array, left: Array | float, right: Array | float) -> Array:
    """left for negative x, -0 among them; right elsewhere."""
    return np.where(np.signbit(x), left, right)


def slope_rounding(
    sizes: Callable[[Any, Array], tuple[Array, Array]],
    above: Callable[[Array], Array],
    curvature: float,
    cap: float,
) -> bounds.RoundingRule:
    """A derivative f that is the sum of products: ``sizes(fmt, x)`` are the sums of their sizes, weighted by their roundings and plain.

    Carried: |f'(x)| e + curvature e^2/2 with f' = ``above``, no more than ``cap``, the whole range of f. No size changes faster than 1.1 e.
    Where exp(v) of the gate's operand overflows kernels return 0: the sizes are below (1 + 3v) exp(-v) there.
    """

    def rule(run: Evaluation) -> Array:
        fmt, xs, es = run.fmt, run.xs, run.es
        x, e = xs[0], bounds.zero(es[0])
        carried: Array | float = 0.0
        if es[0] is not None:
            carried = bounds.endless(np.minimum(np.abs(above(x)) * e + curvature * e * e / 2, cap), e)
        weighted, plain = sizes(fmt, np.where(np.isfinite(x), x, 0.0))
        vanishing = 4 * (1 + 3 * np.log(fmt.max))
        roundings = np.where(plain > 0, weighted / np.where(plain > 0, plain, 1.0), 1.0)
        stored = fmt.u * (weighted + roundings * np.minimum(2.2 * e, 4.0))
        gone = np.where(plain < vanishing / fmt.max, plain, 0.0)
        return carried + stored + gone + (4 + 4 * np.minimum(np.abs(x), 1 / fmt.u)) * fmt.eta

    return rule


# --- silu --------------------------------------------------------------------------------------------------------------


@in_float64
def _silu_curve(x: Array) -> Array:
    """g (2 - |x| tanh(|x|/2)) with g = z/(1 + z)^2 and tanh(|x|/2) = (1 - z)/(1 + z); even."""
    a = _distance(x)
    d = 1 + np.exp(-a)
    return times_exp((2 + a * (np.expm1(-a) / d)) / (d * d), -a)


def _silu_curve_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """2 g and |x| g tanh(|x|/2): exp enters g and the tangent, with at most 2 and 1 of its own; then sums, products, quotients."""
    z = np.exp(-np.abs(x))
    g = z / ((1 + z) * (1 + z))
    plain = 2 * g - np.abs(x) * g * np.expm1(-np.abs(x)) / (1 + z)
    return (3 * 2 * fmt.ulp("exp") + 9) * plain, plain


def _silu_third(x: Array) -> Array:
    """g (x (t^2 - 2 g) - 3 t), by g' = -g t and t' = 2 g of t = tanh(x/2)."""
    g, t = slope(x), np.tanh(x / 2)
    return g * (x * (t * t - 2 * g) - 3 * t)


silu_curve = register(
    "silu_curve", _silu_curve,
    jvp=lambda x_dot, x: x_dot * _silu_third(x),
    vjp=lambda y_bar, x: y_bar * _silu_third(x),
    rounding=slope_rounding(_silu_curve_sizes, lambda x: unwarned(_silu_third)(x), 0.5, 0.55),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


@in_float64
def _silu_slope(x: Array) -> Array:
    """s (1 + x (1 - s)) with s and 1 - s as 1/(1 + z) and z/(1 + z), in this order for x > 0."""
    a = _distance(x)
    z = np.exp(-a)
    d = 1 + z
    return sided(x, times_exp(((1 - a) + z) / (d * d), -a), (1 + a * z / d) / d)


def _silu_slope_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """s and |x| s (1 - s): the error of exp enters s with the share 1 - s."""
    s, q, exp = sigmoid.forward(x), sigmoid.forward(-x), 2 * fmt.ulp("exp")
    first, second = s, np.abs(x) * s * q
    return (exp * q + 4) * first + (exp + 8) * second, first + second


silu_slope = register(
    "silu_slope", _silu_slope,
    jvp=lambda x_dot, x: x_dot * silu_curve(x),
    vjp=lambda y_bar, x: y_bar * silu_curve(x),
    rounding=slope_rounding(_silu_slope_sizes, _silu_curve, 0.31, 1.2),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


def _factor_by_factor_rounding(run: Evaluation) -> Array:
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e = bounds.zero(es[0])
    return e + np.where((y == 0) & (np.asarray(e) == 0), 0.0, (1 + np.abs(xs[1])) * fmt.eta)


# The number x1 itself. Kernels multiply by s first and by 1 + x2 (1 - s) then, which enlarges what the first product lost to underflow.
factor_by_factor: Op = register(
    "factor_by_factor", lambda x1, x2: np.array(np.broadcast_arrays(x1, x2)[0])[()],
    jvp={"x1": lambda x1_dot, x2: factor_by_factor(x1_dot, x2)},
    vjp={"x1": lambda y_bar, x2: factor_by_factor(y_bar, x2)},
    rounding=_factor_by_factor_rounding,
    broadcasts=True,
    elementwise=True, branch_free=True, unit_slopes=True, helper=True,
)  # fmt: skip


def _silu_rounding(run: Evaluation) -> Array:
    """x/(1 + z) or x sigmoid(x): |slope| <= 1.0999 and |curvature| <= 1/2; where z overflows (y near 0) kernels return 0."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    s = sigmoid.forward(xs[0])
    carried: Array | float = 0.0
    if es[0] is not None:
        carried = np.minimum(np.abs(s * (1 + xs[0] * (1 - s))) * es[0] + es[0] * es[0] / 4, 1.1 * es[0])
    # A sigmoid that has a figure of its own, and the product; else the exponential, the sum and the quotient.
    steps = (
        2 * fmt.own_figures["sigmoid"] + 1
        if "sigmoid" in fmt.own_figures
        else 2 * fmt.ulp("exp") * (1 - s) + 3
    )
    return (
        carried
        + fmt.u * steps * (np.abs(y) + carried)
        + np.where(s < 4 / fmt.max, np.abs(y), 0.0)
        + 2 * (1 + np.abs(xs[0])) * fmt.eta
    )


silu = register(
    "silu", unwarned(lambda x: x * sigmoid.forward(x)),
    jvp=lambda x_dot, x: factor_by_factor(x_dot * silu_slope(x), x),
    vjp=lambda y_bar, x: factor_by_factor(y_bar * silu_slope(x), x),
    rounding=_silu_rounding,
    torch=lambda torch, x: torch.nn.functional.silu(x),
    special=(
        Special((-800.0,), 0.0, ((0.0, 0.0),), "saturated"),
        Special((0.0,), 0.0, ((0.5, 0.5),), "smooth"),
        Special((np.inf,), np.inf, (None,), "kernels multiply infinity by 0"),
    ),
    usual=(
        Formula(
            "s(1 + x(1 - s)) from one s = sigmoid(x): the difference 1 - s cancels for large x",
            jvp=lambda x_dot, x: x_dot * sigmoid_of_kernels(x) * (1 + x * (1 - sigmoid_of_kernels(x))),
            vjp=lambda y_bar, x: (y_bar * sigmoid_of_kernels(x)) * (1 + x * (1 - sigmoid_of_kernels(x))),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 41),
    slopes=(exact_slopes.silu,),
)  # fmt: skip


# --- mish --------------------------------------------------------------------------------------------------------------

# The gate T = tanh(log(1 + w)), w = exp(x), is n/d with n = w^2 + 2 w and d = n + 2. So T' = 4 w (1 + w)/d^2 and
# T'' = 4 w (2 + 2 w - 3 w^2 - 2 w^3)/d^3. For x > 0 numerator and denominator are divided by powers of w: v = 1/w.


def _mish_parts(x: Array) -> tuple[Array, Array, Array]:
    """|x|, exp(-|x|), and d for x < 0, d/w^2 for x > 0."""
    a = _distance(x)
    z = np.exp(-a)
    return a, z, sided(x, z * z + 2 * z + 2, 1 + 2 * z + 2 * z * z)


@in_float64
def _mish_gate_slope(x: Array) -> Array:
    a, z, d = _mish_parts(x)
    factor = 4 * (1 + z) / (d * d)
    return sided(x, times_exp(factor, -a), times_exp(factor, -2 * a))


def _mish_gate_curve(x: Array) -> Array:
    """T'' = T' (1 - s - 2 s T) with s = sigmoid(x)."""
    return mish_gate_slope(x) * (sigmoid(-x) - 2 * sigmoid(x) * np.tanh(softplus(x)))


mish_gate_slope: Op = register(
    "mish_gate_slope", _mish_gate_slope,
    jvp=lambda x_dot, x: x_dot * _mish_gate_curve(x),
    vjp=lambda y_bar, x: y_bar * _mish_gate_curve(x),
    rounding=slope_rounding(
        lambda fmt, x: ((5 * 2 * fmt.ulp("exp") + 12) * _mish_gate_slope(x), _mish_gate_slope(x)),
        lambda x: unwarned(_mish_gate_curve)(x), 0.28, 0.33,
    ),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


@in_float64
def _mish_curve(x: Array) -> Array:
    """2 T' + x T'', with the terms in a brought together by powers of z."""
    a, z, d = _mish_parts(x)
    left = (16 - 8 * a) + z * ((32 - 8 * a) + z * ((24 + 12 * a) + z * (8 + 8 * a)))
    right = (8 - 8 * a) + z * ((24 - 12 * a) + z * ((32 + 8 * a) + z * (16 + 8 * a)))
    return sided(x, times_exp(left / (d * d * d), -a), times_exp(right / (d * d * d), -2 * a))


def _mish_curve_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """2 T' and |x| times the terms of T''; exp enters with the powers 1 to 4 above and, by d, up to 6 below."""
    a, z, d = _mish_parts(x)
    left = 4 * a * (2 + 2 * z + 3 * z * z + 2 * z * z * z) / (d * d * d)
    right = 4 * a * (2 * z * z * z + 2 * z * z + 3 * z + 2) / (d * d * d)
    plain = 2 * _mish_gate_slope(x) + sided(x, times_exp(left, -a), times_exp(right, -2 * a))
    return (8 * 2 * fmt.ulp("exp") + 20) * plain, plain


def _mish_third(x: Array) -> Array:
    """3 T'' + x T''', by T'' = T' r with r = 1 - s - 2 s T and r' = -s (1 - s) (1 + 2 T) - 2 s T'."""
    s, q, t, h = sigmoid(x), sigmoid(-x), np.tanh(softplus(x)), mish_gate_slope(x)
    r = q - 2 * s * t
    return h * (3 * r + x * (r * r - s * q * (1 + 2 * t) - 2 * s * h))


mish_curve = register(
    "mish_curve", _mish_curve,
    jvp=lambda x_dot, x: x_dot * _mish_third(x),
    vjp=lambda y_bar, x: y_bar * _mish_third(x),
    rounding=slope_rounding(_mish_curve_sizes, lambda x: unwarned(_mish_third)(x), 1.11, 0.71),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


@in_float64
def _mish_slope(x: Array) -> Array:
    """T + x T', for x < 0 with the terms in a brought together by powers of z."""
    a, z, d = _mish_parts(x)
    left = ((4 - 4 * a) + z * ((6 - 4 * a) + z * (4 + z))) / (d * d)
    right = ((1 + 2 * z) * d + 4 * a * z * z * (1 + z)) / (d * d)
    return sided(x, times_exp(left, -a), right)


def _mish_slope_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """T by exp, log1p and tanh, of which none enlarges a relative error, or as a fraction; |x| T' with five times the error of exp."""
    a, _, _ = _mish_parts(x)
    first, second = np.abs(_mish_gate(x)), a * _mish_gate_slope(x)
    of_gate = 2 * (fmt.ulp("exp") + fmt.ulp("log1p") + fmt.ulp("tanh")) + 2
    return of_gate * first + (10 * fmt.ulp("exp") + 14) * second, first + second


mish_slope = register(
    "mish_slope", _mish_slope,
    jvp=lambda x_dot, x: x_dot * mish_curve(x),
    vjp=lambda y_bar, x: y_bar * mish_curve(x),
    rounding=slope_rounding(_mish_slope_sizes, _mish_curve, 0.59, 1.21),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


def _mish_gate(x: Array) -> Array:
    w = np.exp(-np.abs(x))
    one = np.where(x > 0, 1.0 + 2 * w, w * w + 2 * w)
    return one / (one + np.where(x > 0, 2 * w * w, 2.0))


@unwarned
def _mish(x: Array) -> Array:
    """x tanh(log(1 + w)) with w = exp(x), which is x times (w^2 + 2w)/(w^2 + 2w + 2); for x > 0 in terms of 1/w."""
    return np.where(np.isposinf(x), x, x * _mish_gate(x))


def _mish_rounding(run: Evaluation) -> Array:
    """exp, log1p and tanh, none of which enlarges a relative error, and the product; |slope| <= 1.09, |curvature| <= 2/3.

    Where exp(x) is nearly below the range, kernels return 0.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x, e = xs[0], es[0]
    carried: Array | float = 0.0
    if e is not None:
        carried = bounds.endless(np.minimum(np.abs(_mish_slope(x)) * e + e * e / 3, 1.09 * e), e)
    steps = 2 * (fmt.ulp("exp") + fmt.ulp("log1p") + fmt.ulp("tanh")) + 1
    gone = np.where(x < -np.log(fmt.max / 4), np.abs(y), 0.0)
    return carried + steps * fmt.u * (np.abs(y) + carried) + gone + (2 + 4 * np.abs(x)) * fmt.eta


def _usual_mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + x * sigmoid(x) * (1 - t * t)


mish = register(
    "mish", _mish,
    jvp=lambda x_dot, x: x_dot * mish_slope(x),
    vjp=lambda y_bar, x: y_bar * mish_slope(x),
    rounding=_mish_rounding,
    torch=lambda torch, x: torch.nn.functional.mish(x),
    special=(
        Special((0.0,), 0.0, ((0.6, 0.6),), "smooth"),
        Special((-800.0,), 0.0, ((0.0, 0.0),), "saturated"),
        Special((np.inf,), np.inf, (None,), "kernels multiply infinity by 0"),
    ),
    usual=(
        Formula(
            "t + x sigmoid(x) (1 - t^2) with t = tanh(softplus(x)): the difference cancels for large x",
            jvp=lambda x_dot, x: x_dot * _usual_mish_slope(x),
            vjp=lambda y_bar, x: y_bar * _usual_mish_slope(x),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(exact_slopes.mish,),
)  # fmt: skip
