"""Exponentials and logarithms.

Constants are made in the dtype of the operand (log 2 in long double where the reference runs in long double).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds import exactness, variation
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.domain import POSITIVE, Domain, Interval, Special
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.op.traits import ELEMENTWISE, HOLOMORPHIC, InGraphs
from refgrad.ops import by_parts, exact_slopes
from refgrad.ops.exponential_shares import share


def _log(number: int, like: Array) -> Array:
    """The constant log(number) in the dtype of ``like``."""
    return np.log(like.dtype.type(number))


_monotone = bounds.monotone("exp", variation.exp)


def _exp_rounding(run: Evaluation) -> Radius:
    """As of any monotone function; nothing at 0 and far below the range, where operands are on a grid."""
    return exactness.without(_monotone(run), exactness.exponential(run.fmt, run.xs[0], run.y, run.es[0]))


exp = register(
    "exp", np.exp,
    jvp=lambda x_dot, y: x_dot * y,
    vjp=lambda y_bar, y: y_bar * y,
    rounding=_exp_rounding,
    torch=lambda torch, x: torch.exp(x),
    numpy=(np.exp,),
    special=(
        Special((710.0,), np.inf, ((np.inf, np.inf),), "overflow"),
        Special((-800.0,), 0.0, ((0.0, 0.0),), "underflow"),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 16),
    slopes=(lambda mp, x: mp.exp(x),),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.exponential,
)  # fmt: skip

exp2 = register(
    "exp2", np.exp2,
    jvp=lambda x_dot, y: (x_dot * y) * _log(2, y),
    vjp=lambda y_bar, y: (y_bar * y) * _log(2, y),
    rounding=bounds.monotone("exp2"),
    torch=lambda torch, x: torch.exp2(x),
    numpy=(np.exp2,),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 22),
    slopes=(lambda mp, x: mp.mpf(2) ** x * mp.log(2),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

expm1 = register(
    "expm1", np.expm1,
    jvp=lambda x_dot, x: x_dot * np.exp(x),
    vjp=lambda y_bar, x: y_bar * np.exp(x),
    rounding=bounds.monotone("expm1"),
    torch=lambda torch, x: torch.expm1(x),
    numpy=(np.expm1,),
    special=(Special((1e-300,), 1e-300, ((1.0, 1.0),), "tiny"), Special((-800.0,), -1.0, ((0.0, 0.0),), "underflow")),
    usual=(
        Formula(
            "y + 1 with y = expm1(x): for negative x it is off by the rounding of y, which is near -1",
            jvp=lambda x_dot, y: x_dot * (y + 1),
            vjp=lambda y_bar, y: y_bar * (y + 1),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 17),
    slopes=(lambda mp, x: mp.exp(x),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

log = register(
    "log", np.log,
    jvp=lambda x_dot, x: x_dot / x,
    vjp=lambda y_bar, x: y_bar / x,
    rounding=bounds.monotone("log", variation.log),
    torch=lambda torch, x: torch.log(x),
    numpy=(np.log,),
    domain=POSITIVE,
    special=(Special((0.0,), -np.inf, ((np.inf, np.inf),), "pole"),),
    usual=(
        Formula(
            "the product with the rounded reciprocal of x",
            jvp=lambda x_dot, x: x_dot * np.reciprocal(x),
            vjp=lambda y_bar, x: y_bar * np.reciprocal(x),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 18),
    slopes=(lambda mp, x: 1 / x,),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.logarithm,
)  # fmt: skip

log2 = register(
    "log2", np.log2,
    jvp=lambda x_dot, x: x_dot / (x * _log(2, x)),
    vjp=lambda y_bar, x: y_bar / (x * _log(2, x)),
    rounding=bounds.monotone("log2"),
    torch=lambda torch, x: torch.log2(x),
    numpy=(np.log2,),
    domain=POSITIVE,
    special=(Special((0.0,), -np.inf, ((np.inf, np.inf),), "pole"),),
    usual=(
        Formula(
            "the derivative of log(x)/log 2 by the rounded reciprocal of x",
            jvp=lambda x_dot, x: x_dot / _log(2, x) * np.reciprocal(x),
            vjp=lambda y_bar, x: y_bar / _log(2, x) * np.reciprocal(x),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 20),
    slopes=(lambda mp, x: 1 / (x * mp.log(2)),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

log10 = register(
    "log10", np.log10,
    jvp=lambda x_dot, x: x_dot / _log(10, x) / x,  # x log 10 would overflow for the largest x, and 1/x for the smallest
    vjp=lambda y_bar, x: y_bar / _log(10, x) / x,
    rounding=bounds.monotone("log10"),
    torch=lambda torch, x: torch.log10(x),
    numpy=(np.log10,),
    domain=POSITIVE,
    special=(Special((0.0,), -np.inf, ((np.inf, np.inf),), "pole"),),
    usual=(
        Formula(
            "1/(x log 10): for subnormal x the product has few digits",
            jvp=lambda x_dot, x: x_dot / (x * _log(10, x)),
            vjp=lambda y_bar, x: y_bar / (x * _log(10, x)),
        ),
        Formula(
            "the derivative of log(x)/log 10 by the rounded reciprocal of x",
            jvp=lambda x_dot, x: x_dot / _log(10, x) * np.reciprocal(x),
            vjp=lambda y_bar, x: y_bar / _log(10, x) * np.reciprocal(x),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 21),
    slopes=(lambda mp, x: 1 / (x * mp.log(10)),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

log1p = register(
    "log1p", np.log1p,
    jvp=lambda x_dot, x: x_dot / (1 + x),
    vjp=lambda y_bar, x: y_bar / (1 + x),
    rounding=bounds.monotone("log1p", variation.log1p),
    torch=lambda torch, x: torch.log1p(x),
    numpy=(np.log1p,),
    domain=Domain((Interval(low=-1.0),)),
    special=(
        Special((-1.0,), -np.inf, ((np.inf, np.inf),), "pole"),
        Special((1e-300,), 1e-300, ((1.0, 1.0),), "tiny"),
    ),
    usual=(
        Formula(
            "the product with the rounded reciprocal of 1 + x",
            jvp=lambda x_dot, x: x_dot * np.reciprocal(1 + x),
            vjp=lambda y_bar, x: y_bar * np.reciprocal(1 + x),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 19),
    slopes=(lambda mp, x: 1 / (1 + x),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip


def _logaddexp_rounding(ulp_exp: str, ulp_log: str, natural: float) -> Any:
    """m + log(1 + exp(-d)), d = |x1 - x2|, or with log1p: monotone in both; errors of each step, in this order.

    p = exp(-d)/(1 + exp(-d)) carries the relative error of exp(-d) into the logarithm; 1 + exp(-d) is stored with an
    absolute error of at most u (1 + exp(-d)), hence the logarithm with u before its own rounding. ``natural`` is the
    logarithm of the base.
    """

    def rule(run: Evaluation) -> Array:
        fmt, xs = run.fmt, run.xs
        d = np.abs(xs[0] - xs[1])
        d = np.where(np.isfinite(d), d, 0.0) * natural
        p = np.exp(-d) / (1 + np.exp(-d))
        inner = p * (d + 2 * fmt.ulp(ulp_exp)) + 1 + 2 * fmt.ulp(ulp_log) * np.log1p(np.exp(-d))
        return bounds.corners(0.5)(run) + fmt.u * inner / natural + fmt.eta

    return rule


# The derivatives are shares, functions of the difference: exp(x1 - y) would cancel for large x1.
logaddexp = register(
    "logaddexp", np.logaddexp,
    jvp={"x1": lambda x1_dot, x1, x2: x1_dot * share(x1, x2), "x2": lambda x2_dot, x1, x2: x2_dot * share(x2, x1)},
    vjp={"x1": lambda y_bar, x1, x2: y_bar * share(x1, x2), "x2": lambda y_bar, x1, x2: y_bar * share(x2, x1)},
    rounding=_logaddexp_rounding("exp", "log", 1.0),
    torch=lambda torch, x1, x2: torch.logaddexp(x1, x2),
    numpy=(np.logaddexp,),
    special=(
        Special((-np.inf, -np.inf), -np.inf, (None, None), "value -inf"),
        Special((0.0, -np.inf), 0.0, ((1.0, 1.0), (0.0, 0.0)), "one operand vanishes"),
        Special((0.0, 800.0), 800.0, ((0.0, 0.0), (1.0, 1.0)), "one operand dominates"),
    ),
    broadcasts=True,
    elementwise=True, commutes=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 9),
    slopes=(lambda mp, x1, x2: exact_slopes.sigmoid(mp, x1 - x2), lambda mp, x1, x2: exact_slopes.sigmoid(mp, x2 - x1)),
)  # fmt: skip

logaddexp2 = register(
    "logaddexp2", np.logaddexp2,
    jvp={
        "x1": lambda x1_dot, x1, x2: x1_dot * share(x1, x2, binary=True),
        "x2": lambda x2_dot, x1, x2: x2_dot * share(x2, x1, binary=True),
    },
    vjp={
        "x1": lambda y_bar, x1, x2: y_bar * share(x1, x2, binary=True),
        "x2": lambda y_bar, x1, x2: y_bar * share(x2, x1, binary=True),
    },
    rounding=_logaddexp_rounding("exp2", "log2", 0.6931471805599453),
    torch=lambda torch, x1, x2: torch.logaddexp2(x1, x2),
    numpy=(np.logaddexp2,),
    special=(Special((0.0, -np.inf), 0.0, ((1.0, 1.0), (0.0, 0.0)), "one operand vanishes"),),
    broadcasts=True,
    elementwise=True, commutes=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 50),
    slopes=(
        lambda mp, x1, x2: exact_slopes.sigmoid(mp, (x1 - x2) * mp.log(2)),
        lambda mp, x1, x2: exact_slopes.sigmoid(mp, (x2 - x1) * mp.log(2)),
    ),
)  # fmt: skip
