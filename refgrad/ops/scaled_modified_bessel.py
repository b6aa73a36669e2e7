"""The scaled modified Bessel functions exp(-|x|) I_0(x) and exp(-|x|) I_1(x), and the moments in which their derivatives are written.

With M_n the moments of modified_bessel_moments.py, the functions are M_0 and sign(x) (M_0 - M_1), and the slope of M_n is
-sign(x) M_(n + 1). DLMF 10.29.3 gives the slopes exp(-x) (I_1 - I_0) and exp(-x) (I_0 - I_1 - I_1/x), which are differences that cancel
for large x.
"""

from __future__ import annotations

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import NONZERO_LINE, Domain, Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import modified_bessel_moments as moments
from refgrad.ops import modified_bessel_series as series
from refgrad.ops.compensated import in_float64


@in_float64
def _moment(x: Array, order: int) -> Array:
    return moments.moment(x, order)


@in_float64
def _scaled(x: Array, order: int) -> Array:
    y = series.scaled(np.abs(x), order)
    y = np.where(np.isinf(x), 0.0, y)
    return np.where(x < 0, -y, y) if order else y


def _nearest(run: Evaluation) -> Array:
    """The smallest |x| within the radius, at which every moment is largest."""
    return np.maximum(np.abs(run.xs[0]) - bounds.zero(run.es[0]), 0)


def _carried(run: Evaluation, order: int) -> Array | float:
    """How far a function moves whose slope is at most the moment of that order in size."""
    e = run.es[0]
    return 0.0 if e is None else bounds.endless(e * _moment(_nearest(run), order=order), e)


def _moment_rounding(run: Evaluation) -> Array:
    """The powers of 1 - cos(t) and the exponential, or a Bessel function and four roundings."""
    fmt, y = run.fmt, run.y
    carried = _carried(run, run.params["order"] + 1)
    return carried + fmt.u * (2 * fmt.ulp("i0e") + 4) * (np.abs(y) + carried) + 4 * fmt.eta


def _i0e_rounding(run: Evaluation) -> Array:
    """The kernel's own error. Carried: the slope is M_1."""
    carried = _carried(run, 1)
    return carried + run.fmt.u * 2 * run.fmt.ulp("i0e") * (run.y + carried) + 2 * run.fmt.eta


def _i1e_rounding(run: Evaluation) -> Array:
    """The kernel's own error. Carried: the slope M_2 - M_1 is at most M_1 in size, for 1 - cos(t) is at most 2."""
    carried = _carried(run, 1)
    return carried + run.fmt.u * 2 * run.fmt.ulp("i1e") * (np.abs(run.y) + carried) + 2 * run.fmt.eta


# The moment of order n. Kernels have the powers of 1 - cos(t), or differences of Bessel functions (``usual`` below).
moment: Op = register(
    "i0e_moment", lambda x, order=0: _moment(x, order=order),
    jvp=lambda x_dot, x, order: -(x_dot * np.sign(x)) * moment(x, order=order + 1),
    vjp=lambda y_bar, x, order: -np.sign(x) * (y_bar * moment(x, order=order + 1)),
    rounding=_moment_rounding,
    domain=Domain((NONZERO_LINE,)),
    elementwise=True, helper=True,
)  # fmt: skip

i0e: Op = register(
    "i0e", lambda x: _scaled(x, order=0),
    jvp=lambda x_dot, x: -(x_dot * np.sign(x)) * moment(x, order=1),
    vjp=lambda y_bar, x: -np.sign(x) * (y_bar * moment(x, order=1)),
    rounding=_i0e_rounding,
    torch=lambda torch, x: torch.special.i0e(x),
    domain=Domain((NONZERO_LINE,)),
    special=(
        Special((0.0,), 1.0, ((-1.0, 1.0),), "kink"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
        Special((-np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    usual=(
        Formula(
            "the slope as a difference of the scaled I_1 and I_0, which cancels for large x",
            jvp=lambda x_dot, x, y: x_dot * (i1e(x) - np.sign(x) * y),
            vjp=lambda y_bar, x, y: y_bar * (i1e(x) - np.sign(x) * y),
            blind=True,
        ),
    ),
    elementwise=True,
    slopes=(lambda mp, x: mp.sign(x) * (mp.besseli(1, abs(x)) - mp.besseli(0, x)) * mp.exp(-abs(x)),),
)  # fmt: skip


def _usual_slope(x: Array, y: Array) -> Array:
    """I_0 - I_1 (sign(x) + 1/x), scaled."""
    return i0e(x) - y * (np.sign(x) + 1 / np.where(x == 0, 1.0, x))


# The slope is M_2 - M_1 on both sides of 0.
i1e: Op = register(
    "i1e", lambda x: _scaled(x, order=1),
    jvp=lambda x_dot, x: x_dot * (moment(x, order=1) - moment(x, order=2)) * -1.0,
    vjp=lambda y_bar, x: y_bar * (moment(x, order=2) - moment(x, order=1)),
    rounding=_i1e_rounding,
    torch=lambda torch, x: torch.special.i1e(x),
    domain=Domain((NONZERO_LINE,)),
    special=(
        Special((0.0,), 0.0, ((0.5, 0.5),), "I_1(x)/x is 0/0"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
        Special((-np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    usual=(
        Formula(
            "the slope I_0 - I_1 (sign(x) + 1/x), scaled, which cancels for large x",
            jvp=lambda x_dot, x, y: x_dot * _usual_slope(x, y),
            vjp=lambda y_bar, x, y: y_bar * _usual_slope(x, y),
            blind=True,
        ),
    ),
    elementwise=True,
    slopes=(lambda mp, x: mp.exp(-abs(x)) * ((mp.besseli(0, x) + mp.besseli(2, x)) / 2 - mp.besseli(1, abs(x))),),
)  # fmt: skip
