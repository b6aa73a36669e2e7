"""The Hurwitz zeta function and its derivatives in the second operand: -s zeta(s + 1, q) and so on (DLMF 25.11.17)."""

from __future__ import annotations

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import POSITIVE_LINE, Domain, Interval
from refgrad.op import Op, register
from refgrad.ops import zeta_series as series
from refgrad.ops.compensated import in_float64


@in_float64
def _zeta(s: Array, q: Array, order: int) -> Array:
    s, q = np.broadcast_arrays(s, q)
    return series.zeta(s, q, order)


def _rounding(run: Evaluation) -> Array:
    """Powers of the terms and sums of positive terms. Kernels step from q to q + 9 by ones: each step rounds, and the power enlarges it.

    A derivative has s + n in place of s, which is rounded: that moves a power by (s + n) |log q| roundings, and the sum by 1/(s - 1) too.
    10 terms are added one by one and 12 of the series of Euler and Maclaurin; a derivative has a factor for each order. Carried: a
    derivative grows towards 0, so the next one at q - e bounds how far this one moves.
    """
    fmt, y, (s, q), e, order = run.fmt, run.y, run.xs, run.es[1], run.params["order"]
    carried: Array | float = 0.0
    if run.es[0] is not None:
        return np.where(np.asarray(run.es[0]) > 0, np.inf, _rounding(run._replace(es=(None, e))))
    if e is not None:
        nearest = q - e
        steep = np.abs(_zeta(s, np.maximum(nearest, 0), order=order + 1))
        carried = bounds.endless(np.where(nearest > 0, steep * e, np.inf), e)
    size = np.where(np.isfinite(s), np.abs(s), 1.0)
    roundings = 2 * fmt.ulp("power") + 10 * (size + order) + 22 + 3 * order
    if order:
        with np.errstate(all="ignore"):
            bent = (size + order) * (np.abs(np.log(q)) + 1 / (size - 1))
        roundings = roundings + order * np.where(np.isfinite(bent), bent, 0.0)
    return carried + fmt.u_acc * roundings * (np.abs(y) + carried) + fmt.u * np.abs(y) + 4 * fmt.eta


# Differentiated in q alone: no trait says so of an elementwise op, all operands of which the tests differentiate.
zeta: Op = register(
    "zeta", lambda s, q, order=0: _zeta(s, q, order=order),
    jvp={"q": lambda q_dot, s, q, order: q_dot * zeta(s, q, order=order + 1)},
    vjp={"q": lambda y_bar, s, q, order: y_bar * zeta(s, q, order=order + 1)},
    rounding=_rounding,
    domain=Domain((Interval(low=1.1), POSITIVE_LINE)),
    broadcasts=True,
    elementwise=True,
    helper=True,
)  # fmt: skip
