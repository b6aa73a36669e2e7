"""Smooth activations that are mostly written as compositions; here their derivatives lose nothing."""

from __future__ import annotations

from math import factorial

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import KINKED, Special
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.ops.hyperbolic import tanh_of_kernels
from refgrad.quiet import unwarned

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
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: 1 / (1 + abs(x)) ** 2,),
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


def _pushed_by_factors(x_dot: Array, t: Array) -> Array:
    """The tangent of x less that of tanh, which is written (1 + t)(1 - t) and rounds each factor."""
    return x_dot - (x_dot + x_dot * t) * (1 - t)


def _sent_by_factors(y_bar: Array, t: Array) -> Array:
    """Its transpose, factor by factor in the other order."""
    sent = y_bar * (1 - t)
    return y_bar - (sent + sent * t)


tanhshrink = register(
    "tanhshrink", _tanhshrink,
    jvp=lambda x_dot, x: x_dot * np.square(np.tanh(x)),
    vjp=lambda y_bar, x: y_bar * np.square(np.tanh(x)),
    rounding=lambda fmt, *rest: _tanhshrink_rounding(fmt, *rest),
    torch=lambda torch, x: torch.nn.functional.tanhshrink(x),
    usual=(
        Formula("the composition x - tanh(x): its derivative 1 - (1 - tanh^2) cancels near 0", lambda x: x - np.tanh(x)),
        Formula(
            "the same with the slope (1 + tanh)(1 - tanh): near 0 three results as large as what arrives are rounded, not two",
            jvp=lambda x_dot, x: _pushed_by_factors(x_dot, np.tanh(x)),
            vjp=lambda y_bar, x: _sent_by_factors(y_bar, np.tanh(x)),
        ),
        Formula(
            "its second derivative 2 tanh(x) (1 - tanh(x)^2) from one rounded tanh(x): the difference cancels far out",
            jvp=lambda x_dot, x: x_dot * np.square(tanh_of_kernels(x)),
            vjp=lambda y_bar, x: y_bar * np.square(tanh_of_kernels(x)),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: mp.tanh(x) ** 2,),
)  # fmt: skip


def _tanhshrink_rounding(run: Evaluation) -> Array:
    """The error of tanh, in absolute terms, and one difference: near 0 nothing is left but the error of tanh."""
    fmt, forward, y, xs, es = run.fmt, run.forward, run.y, run.xs, run.es
    carried: Array | float = 0.0
    if es[0] is not None:
        carried = np.maximum(np.abs(forward(xs[0] + es[0]) - y), np.abs(y - forward(xs[0] - es[0])))
    inner = 2 * fmt.ulp("tanh") * fmt.u * np.tanh(np.abs(xs[0])) + 2 * fmt.eta
    return carried + inner + fmt.u * (np.abs(y) + carried + inner)
