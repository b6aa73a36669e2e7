"""The spherical Bessel function of order 0, sin(x)/x (DLMF 10.49.3), and its derivatives by their order."""

from __future__ import annotations

import math

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special
from refgrad.op import Op, register
from refgrad.ops.compensated import in_float64


@in_float64
def _derivative(x: Array, order: int) -> Array:
    """From x s = sin(x) follows x s_n + n s_(n-1) = sin(x + n pi/2), a recurrence that is stable for |x| > n; nearer to 0 the power series.

    The series is the sum of (-1)^k x^2k/(2k + 1)!, differentiated term by term, by Horner's rule.
    """
    far = np.abs(x) > order + 1
    safe = np.where(far & np.isfinite(x), x, 1)
    sine, cosine = np.sin(safe), np.cos(safe)
    s = sine / safe
    for n in range(1, order + 1):
        s = ((sine, cosine, -sine, -cosine)[n % 4] - n * s) / safe
    a = np.where(far, 0, x)
    first, square, total = (order + 1) // 2, a * a, np.zeros_like(a)
    for k in range(first + 15 + 2 * order, first - 1, -1):
        total = total * square + (-1) ** k * x.dtype.type(math.perm(2 * k, order)) / math.factorial(2 * k + 1)
    return np.where(far, np.where(np.isinf(x), 0.0, s), total * (a if order % 2 else 1))


def _rounding(run: Evaluation) -> Array:
    """A sine and a quotient, and for each order another quotient and a difference of terms of at most (1 + n)/|x|; near 0 a series.

    A derivative of order n is at most 1/(n + 1) in size, since it is the integral of t^n cos(x t + n pi/2) over 0 < t < 1. Carried: the
    slope and half of e^2/(n + 3).
    """
    fmt, y, x, e, n = run.fmt, run.y, run.xs[0], run.es[0], run.params["order"]
    carried: Array | float = 0.0
    if e is not None:
        moved = np.abs(_derivative(x, order=n + 1)) * e + e * e / (2 * (n + 3))
        carried = bounds.endless(np.minimum(moved, 2 / (n + 1)), e)
    size = np.abs(y) if n == 0 else np.minimum((1 + n) / np.maximum(np.abs(x), 1.0), 1.0)
    if n % 2:
        size = np.where(np.abs(x) < 1, np.abs(y), size)
    roundings = 2 * fmt.ulp("sin") + 4 + 24 * (n > 0) + 4 * n
    return carried + fmt.u * roundings * (size + carried) + 4 * fmt.eta


# With ``order`` the derivative of that order.
spherical_bessel_j0: Op = register(
    "spherical_bessel_j0", lambda x, order=0: _derivative(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * spherical_bessel_j0(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * spherical_bessel_j0(x, order=order + 1),
    rounding=_rounding,
    special=(
        Special((0.0,), 1.0, ((0.0, 0.0),), "sin(x)/x is 0/0"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "falls as 1/x"),
        Special((-np.inf,), 0.0, ((0.0, 0.0),), "falls as 1/|x|"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: (mp.cos(x) - mp.sin(x) / x) / x,),
)  # fmt: skip
