"""The modified Bessel functions I_0 and I_1. The slope of I_0 is I_1, and further derivatives are those of I_0 by its order."""

from __future__ import annotations

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import modified_bessel_series as series
from refgrad.ops.compensated import in_float64


@in_float64
def _derivative(x: Array, order: int) -> Array:
    return series.derivative(x, order)


def _i0(x: Array, order: int = 0) -> Array:
    """The derivative of that order of I_0; the value is NumPy's, in long double our own, for NumPy's has the digits of float64."""
    x = np.asarray(x)
    return np.i0(x)[()] if order == 0 and x.itemsize <= 8 else _derivative(x, order=order)


def _i0_rounding(run: Evaluation) -> Array:
    """The kernel's own error, and of a derivative I_0 - I_1/x and what follows: six roundings more of terms no larger than I_0.

    Carried: every derivative grows with |x|, so that the next one at |x| + e bounds how far this one moves.
    """
    fmt, y, x, e, order = run.fmt, run.y, run.xs[0], run.es[0], run.params["order"]
    carried: Array | float = 0.0
    if e is not None:
        carried = bounds.endless(np.abs(_i0(np.abs(x) + e, order=order + 1)) * e, e)
    size = np.abs(y) if order == 0 else _i0(x) if order > 1 else np.abs(y)
    roundings = 2 * fmt.ulp("i1" if order else "i0") + 6 * order
    return carried + fmt.u * roundings * (size + carried) + 4 * fmt.eta


i0: Op = register(
    "i0", _i0,
    jvp=lambda x_dot, x, order: x_dot * i0(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * i0(x, order=order + 1),
    rounding=_i0_rounding,
    torch=lambda torch, x, order: torch.special.i0(x),
    numpy=(np.i0,),
    special=(Special((0.0,), 1.0, ((0.0, 0.0),), "the minimum"),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: mp.besseli(1, x),),
)  # fmt: skip


def _i1(x: Array) -> Array:
    return _derivative(x, order=1)


def _usual_slope(x: Array, y: Array) -> Array:
    """I_0 - I_1/x."""
    return i0(x) - y / np.where(x == 0, 1.0, x)


def _i1_rounding(run: Evaluation) -> Array:
    return _i0_rounding(run._replace(params={"order": 1}))


i1: Op = register(
    "i1", _i1,
    jvp=lambda x_dot, x: x_dot * i0(x, order=2),
    vjp=lambda y_bar, x: y_bar * i0(x, order=2),
    rounding=_i1_rounding,
    torch=lambda torch, x: torch.special.i1(x),
    special=(Special((0.0,), 0.0, ((0.5, 0.5),), "I_1(x)/x is 0/0"),),
    usual=(
        Formula(
            "I_0 - I_1/x, whose own derivative cancels near 0",
            jvp=lambda x_dot, x, y: x_dot * _usual_slope(x, y),
            vjp=lambda y_bar, x, y: y_bar * _usual_slope(x, y),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2,),
)  # fmt: skip
