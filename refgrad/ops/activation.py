"""Activations of neural networks: functions for which NumPy has no name. Public through refgrad.nn."""

from __future__ import annotations

import functools
import math

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds import magnitudes, variation
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import KINKED, NONZERO_LINE, SHAPES, Sample, Special, sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import ELEMENTWISE, InGraphs, Mistakes, Notation
from refgrad.ops import branches, exact_slopes
from refgrad.ops.compensated import in_float64
from refgrad.ops.selection import masked

# --- smooth ------------------------------------------------------------------------------------------------------------


def _sigmoid(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    return np.where(np.signbit(x), z, 1) / (1 + z)


def _carried(y: Array, q: Array, x: Array, e: Array) -> Array:
    """How far sigmoid may go from y = 1 - q within the radius e of x."""
    if e is None:
        return 0.0
    return bounds.reached(_images, lambda x, y, e: variation.sigmoid(y, q, e), x, y, e)


def _images(x: Array, y: Array, e: Array) -> Array:
    return np.maximum(np.abs(_sigmoid(x + e) - y), np.abs(y - _sigmoid(x - e)))


def _sigmoid_rounding(run: Evaluation) -> Array:
    """1/(1 + z) with z = exp(-x), step by step.

    The error of z counts with the share q = 1 - y. The sum and the quotient round by u each, but by no more than z itself:
    a z below u/2 leaves exactly 1. Where z overflows (y below 1/max) kernels return 0.
    """
    fmt, forward, y, xs, es = run.fmt, run.forward, run.y, run.xs, run.es
    q = magnitudes.size(forward(-xs[0]), y)
    carried = _carried(y, q, xs[0], es[0])
    size = magnitudes.size(y, y) + carried
    steps = 2 * np.minimum(fmt.u, 2 * (q + carried)) + 2 * fmt.ulp("exp") * fmt.u * np.minimum(
        q + carried, 1.0
    )
    return carried + steps * size + np.where(size < 4 / fmt.max, size, 0.0) + 2 * fmt.eta


# Kernels may multiply by the cotangent before the last factor: one more product that may underflow.
underflowing: Op = register(
    "underflowing", np.positive,
    jvp=lambda x_dot: underflowing(x_dot),
    vjp=lambda y_bar: underflowing(y_bar),
    rounding=lambda run: bounds.zero(run.es[0]) + np.where((run.y == 0) & (bounds.zero(run.es[0]) == 0), 0.0, run.fmt.eta),
    elementwise=True, unit_slopes=True, helper=True,
)  # fmt: skip


@in_float64
def _slope(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    return z / ((1 + z) * (1 + z))


def _slope_rounding(run: Evaluation) -> Array:
    """z/(1 + z)^2 or z/(1 + z) times 1/(1 + z), with z = exp(-|x|).

    A relative error of z enters with the factor |1 - 2s| only. The sum rounds twice over, then the square or a quotient, and the rest.
    |y''| <= 1/8. Where exp(|x|) overflows kernels return 0.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x, e = xs[0], bounds.zero(es[0])
    lean = np.minimum(magnitudes.size(_sigmoid(-x) - _sigmoid(x), y) + e / 2, 1.0)
    size = magnitudes.size(y, y)
    carried: Array | float = 0.0
    if es[0] is not None:
        carried = bounds.endless(np.minimum(size * lean * e + e * e / 16, 0.25), e)
    size = size + carried
    gone = np.where(size < 4 / fmt.max, size, 0.0)
    return carried + (2 * fmt.ulp("exp") * lean + 5) * fmt.u * size + gone + 4 * fmt.eta


# s' = s (1 - s), without the difference, which has lost every digit from x = 37 on; s'' = -s' tanh(x/2).
slope: Op = register(
    "sigmoid_slope", _slope,
    jvp=lambda x_dot, x, y: -x_dot * (y * np.tanh(x / 2)),
    vjp=lambda y_bar, x, y: -(y_bar * y) * np.tanh(x / 2),
    rounding=_slope_rounding,
    elementwise=True, branch_free=True, helper=True,
    slopes=(lambda mp, x: -exact_slopes.sigmoid_slope(mp, x) * mp.tanh(x / 2),),
)  # fmt: skip


def _rounded_slope(x: Array) -> Array:
    """The slope as kernels form it, of every order: from one rounded s."""
    s = sigmoid_of_kernels(x)
    return s * (1 - s)


_BY_COMPLEMENT = Formula(
    "s(1 - s) from one rounded s = sigmoid(x): the difference cancels for large x",
    jvp=lambda x_dot, x: underflowing(x_dot * _rounded_slope(x)),
    vjp=lambda y_bar, x: underflowing(y_bar * _rounded_slope(x)),
    blind=True,
)

sigmoid: Op = register(
    "sigmoid", _sigmoid,
    jvp=lambda x_dot, x: underflowing(x_dot * slope(x)),
    vjp=lambda y_bar, x: underflowing(y_bar * slope(x)),
    rounding=_sigmoid_rounding,
    torch=lambda torch, x: torch.sigmoid(x),
    special=(
        Special((-800.0,), 0.0, ((0.0, 0.0),), "saturated"),
        Special((800.0,), 1.0, ((0.0, 0.0),), "saturated"),
    ),
    usual=(_BY_COMPLEMENT,),
    elementwise=True, branch_free=True,
    notation=Notation("σ"),
    in_graphs=InGraphs(ELEMENTWISE, 36),
    slopes=(exact_slopes.sigmoid_slope,),
)  # fmt: skip

sigmoid_of_kernels = _BY_COMPLEMENT.of(sigmoid)


def _quotient_rounding(run: Evaluation) -> Array:
    """z/(1 + z) with z = exp(x), or 1 - p with p = z/(1 + z), z = exp(-x): the error of z counts with the share q = 1 - y.

    The first rounds the sum and the quotient, at any x (the factor before it may be multiplied first); the second rounds p
    twice, and itself, which is 2q/y + 1 roundings of y. Where z overflows (y below 1/max) kernels return 0.
    """
    fmt, forward, y, xs, es = run.fmt, run.forward, run.y, run.xs, run.es
    q = magnitudes.size(forward(-xs[0]), y)
    carried = _carried(y, q, xs[0], es[0])
    size = magnitudes.size(y, y) + carried
    roundings = 2 + np.clip(2 * (q + carried) / np.where(size > 0, size, 1.0) - 1, 0.0, 1.0)
    steps = roundings + 2 * fmt.ulp("exp") * np.minimum(q + carried, 1.0)
    return carried + steps * fmt.u * size + np.where(size < 4 / fmt.max, size, 0.0) + 2 * fmt.eta


# Sigmoid as the derivative of softplus and of log_sigmoid: kernels compute it in other orders than sigmoid itself, whose value near 1
# is sharper.
sigmoid_quotient = register(
    "sigmoid_quotient", _sigmoid,
    jvp=lambda x_dot, x: x_dot * slope(x),
    vjp=lambda y_bar, x: y_bar * slope(x),
    rounding=_quotient_rounding,
    elementwise=True, helper=True,
    slopes=(exact_slopes.sigmoid_slope,),
)  # fmt: skip


# The same function, with the second derivatives that kernels of its two antiderivatives give.
_from_the_other_side = Formula(
    "s(1 - s) with s = sigmoid(-x), which cancels for negative x",
    jvp=lambda x_dot, x: x_dot * _rounded_slope(-x),
    vjp=lambda y_bar, x: y_bar * _rounded_slope(-x),
).of(sigmoid)


def _softplus(x: Array, threshold: float | None = None) -> Array:
    y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return y if threshold is None else np.where(x > threshold, x, y)


def _softplus_rounding(run: Evaluation, sign: float = 1.0) -> Array:
    """log1p(z) with z = exp(x), or x + log1p(1/z) for x > 0. ``sign`` is that of the operand.

    z carries its relative error with the factor z/(1 + z), 1/z with 1/(1 + z), into the absolute error of the logarithm; the
    logarithm adds its own, and the sum rounds. Kernels compute in the format of accumulation throughout.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x, e = sign * xs[0], bounds.zero(es[0])
    exp, log = 2 * float(fmt.ulp_table["exp"]), 2 * float(fmt.ulp_table["log1p"])
    carried: Array = bounds.monotone(0.0)(run)
    size = np.abs(y) + carried
    short = np.log1p(np.exp(-np.abs(x))) + e
    direct = exp * _sigmoid(x + e) + log * size
    summed = exp * _sigmoid(e - x) + log * short + size
    radius = (
        carried
        + fmt.u_acc * np.where(x + e > 0, np.maximum(direct, summed), direct)
        + math.ceil(exp + log) * fmt.eta
    )
    return radius if fmt.u == fmt.u_acc else radius + fmt.store(y, radius)


def _sided_by(threshold: float | None, x: Array, slope: Array) -> Array:
    """1 beyond the threshold."""
    return slope if threshold is None else np.where(x > threshold, 1.0, slope)


def _sample_softplus(rng: np.random.Generator) -> Sample:
    threshold = (None, 20.0, 2.5)[int(rng.integers(3))]
    return (rng.uniform(-3, 2.4, SHAPES[int(rng.integers(len(SHAPES)))]),), {"threshold": threshold}


# log(1 + e^x); beyond a threshold some frameworks return x itself, which is then part of the function's definition.
# The twin without one is -logsigmoid(-x), the same function.
softplus = register(
    "softplus", _softplus,
    jvp=lambda x_dot, x, threshold: underflowing(x_dot * _sided_by(threshold, x, sigmoid_quotient(x))),
    vjp=lambda y_bar, x, threshold: underflowing(y_bar * _sided_by(threshold, x, sigmoid_quotient(x))),
    rounding=_softplus_rounding,
    torch=lambda torch, x, threshold: (
        -torch.nn.functional.logsigmoid(-x) if threshold is None else torch.nn.functional.softplus(x, threshold=threshold)
    ),
    domain=sampled(_sample_softplus),
    usual=(
        Formula(
            "s(1 - s) with s = sigmoid(x) for the second derivative, which cancels for large x",
            jvp=lambda x_dot, x, threshold: underflowing(x_dot * _sided_by(threshold, x, sigmoid_of_kernels(x))),
            vjp=lambda y_bar, x, threshold: underflowing(y_bar * _sided_by(threshold, x, sigmoid_of_kernels(x))),
            blind=True,
        ),
        Formula(
            "-log_sigmoid(-x), whose second derivative is s(s - 1) with s = sigmoid(-x)",
            jvp=lambda x_dot, x, threshold: underflowing(x_dot * _from_the_other_side(x)),
            vjp=lambda y_bar, x, threshold: underflowing(y_bar * _from_the_other_side(x)),
            blind=True,
        ),
        Formula(
            "exp(x - y): the roundings of y and of the difference become relative errors of the slope",
            jvp=lambda x_dot, x, y, threshold: underflowing(x_dot * _sided_by(threshold, x, np.exp(x - y))),
            vjp=lambda y_bar, x, y, threshold: underflowing(y_bar * _sided_by(threshold, x, np.exp(x - y))),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 37),
    slopes=(exact_slopes.sigmoid,),
)  # fmt: skip


def _log_sigmoid(x: Array) -> Array:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


log_sigmoid = register(
    "log_sigmoid", _log_sigmoid,
    jvp=lambda x_dot, x: x_dot * sigmoid_quotient(-x),
    vjp=lambda y_bar, x: y_bar * sigmoid_quotient(-x),
    rounding=functools.partial(_softplus_rounding, sign=-1.0),
    torch=lambda torch, x: torch.nn.functional.logsigmoid(x),
    special=(
        Special((-800.0,), -800.0, ((1.0, 1.0),), "saturated"),
        Special((800.0,), 0.0, ((0.0, 0.0),), "saturated"),
    ),
    usual=(
        Formula(
            "s(1 - s) with s = sigmoid(-x) for the second derivative, which cancels for negative x",
            jvp=lambda x_dot, x: x_dot * sigmoid_of_kernels(-x),
            vjp=lambda y_bar, x: y_bar * sigmoid_of_kernels(-x),
            blind=True,
        ),
        Formula(
            "the second derivative as s(s - 1) with s = sigmoid(x), which cancels for positive x",
            jvp=lambda x_dot, x: x_dot * _from_the_other_side(-x),
            vjp=lambda y_bar, x: y_bar * _from_the_other_side(-x),
            blind=True,
        ),
        Formula(
            "exp(y - x): the roundings of y and of the difference become relative errors of the slope",
            jvp=lambda x_dot, x, y: x_dot * np.exp(y - x),
            vjp=lambda y_bar, x, y: y_bar * np.exp(y - x),
        ),
    ),
    elementwise=True,
    in_graphs=InGraphs(ELEMENTWISE, 42),
    slopes=(lambda mp, x: exact_slopes.sigmoid(mp, -x),),
)  # fmt: skip


# --- with a kink at 0 --------------------------------------------------------------------------------------------------

relu = register(
    "relu", lambda x: np.maximum(x, 0),
    jvp=lambda x_dot, x: masked(x_dot, np.heaviside(x, 0.0)),
    vjp=lambda y_bar, x: masked(y_bar, np.heaviside(x, 0.0)),
    rounding=bounds.steps,
    torch=lambda torch, x: torch.relu(x),
    domain=KINKED,
    special=(Special((0.0,), 0.0, ((0.0, 1.0),), "kink"),),
    elementwise=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.negated),
    in_graphs=InGraphs(ELEMENTWISE, 38),
    selects=True,
)  # fmt: skip


def _sided(x: Array, left: Array, right: Array) -> Array:
    """left for x <= 0, right for x > 0, where a framework may take either at 0."""
    return np.where(np.heaviside(x, 0.0) == 0, left, right)


def _leaky_relu_rounding(run: Evaluation) -> Array:
    """Exact for x > 0; the slope and the product round for x < 0."""
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    x, e, slope = xs[0], bounds.zero(es[0]), np.abs(params["slope"])
    carried = e * np.where(x - e > 0, 1.0, np.where(x + e < 0, slope, max(1.0, slope)))
    return carried + np.where(x - e < 0, 2 * fmt.u * (np.abs(y) + carried) + fmt.eta, 0.0)


def _sample_leaky_relu(rng: np.random.Generator) -> Sample:
    return (NONZERO_LINE.draw(rng, SHAPES[int(rng.integers(len(SHAPES)))]),), {
        "slope": (0.01, 0.2, -0.5)[int(rng.integers(3))]
    }


leaky_relu = register(
    "leaky_relu", lambda x, slope=0.01: np.where(x > 0, x, x * slope),
    jvp=lambda x_dot, x, slope: _sided(x, x_dot * slope, x_dot),
    vjp=lambda y_bar, x, slope: _sided(x, y_bar * slope, y_bar),
    rounding=_leaky_relu_rounding,
    torch=lambda torch, x, slope: torch.nn.functional.leaky_relu(x, negative_slope=slope),
    domain=sampled(_sample_leaky_relu, NONZERO_LINE, smooth=False),
    special=(
        Special((0.0,), 0.0, ((0.1, 1.0),), "kink", (("slope", 0.1),)),
        Special((0.0,), 0.0, ((-0.5, 1.0),), "kink", (("slope", -0.5),)),
    ),
    elementwise=True,
    mistakes=Mistakes(other_branch=branches.negated),
    in_graphs=InGraphs(ELEMENTWISE, 39),
    slopes=(lambda mp, x: mp.mpf(1) if x > 0 else mp.mpf(0.01),),
)  # fmt: skip


def _negative_part(x: Array) -> Array:
    """x where it is negative, else 0: keeps an unselected exponential from overflowing."""
    return np.where(x > 0, 0.0, x)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_rounding(run: Evaluation) -> Array:
    """Exact for x > 0; expm1, alpha and their product round for x < 0."""
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    x, e, alpha = xs[0], bounds.zero(es[0]), np.abs(params["alpha"])
    slope = alpha * np.exp(np.minimum(x + e, 0))
    carried = e * np.where(x - e > 0, 1.0, np.where(x + e < 0, slope, np.maximum(1.0, slope)))
    stored = (2 * fmt.ulp("expm1") + 2) * fmt.u * (np.abs(y) + carried) + (1 + 2 * alpha) * fmt.eta
    return carried + np.where(x - e < 0, stored, 0.0)


def _sample_elu(rng: np.random.Generator) -> Sample:
    return (NONZERO_LINE.draw(rng, SHAPES[int(rng.integers(len(SHAPES)))]),), {
        "alpha": (1.0, 2.0, 0.3)[int(rng.integers(3))]
    }


elu = register(
    "elu", _elu,
    jvp=lambda x_dot, x, alpha: _sided(x, x_dot * (alpha * np.exp(_negative_part(x))), x_dot),
    vjp=lambda y_bar, x, alpha: _sided(x, (y_bar * alpha) * np.exp(_negative_part(x)), y_bar),
    rounding=_elu_rounding,
    torch=lambda torch, x, alpha: torch.nn.functional.elu(x, alpha=alpha),
    domain=sampled(_sample_elu, NONZERO_LINE, smooth=False),
    special=(
        Special((0.0,), 0.0, ((1.0, 1.0),), "once differentiable", (("alpha", 1.0),)),
        Special((0.0,), 0.0, ((1.0, 2.0),), "kink", (("alpha", 2.0),)),
    ),
    usual=(
        Formula(
            "y + alpha: for negative x it is off by the rounding of y, which is near -alpha",
            jvp=lambda x_dot, x, y, alpha: _sided(x, x_dot * (y + alpha), x_dot),
            vjp=lambda y_bar, x, y, alpha: _sided(x, y_bar * (y + alpha), y_bar),
            blind=True,
        ),
    ),
    elementwise=True,
    mistakes=Mistakes(other_branch=branches.negated),
    in_graphs=InGraphs(ELEMENTWISE, 40),
    slopes=(lambda mp, x: mp.mpf(1) if x > 0 else mp.exp(x),),
)  # fmt: skip
