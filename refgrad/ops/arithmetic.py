"""Arithmetic: sums, products, quotients, powers, remainders."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.bounds import magnitudes, splitting, variation
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import NONZERO, NONZERO_LINE, POSITIVE, POSITIVE_LINE, REAL_LINE, Domain, Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import ELEMENTWISE, HOLOMORPHIC, SEVERAL, InGraphs, Notation
from refgrad.ops import by_parts, complex_functions, complex_numbers, exact_slopes, power_derivatives
from refgrad.ops.power_derivatives import small
from refgrad.quiet import unwarned

add = register(
    "add", np.add,
    jvp={"x1": lambda x1_dot: x1_dot, "x2": lambda x2_dot: x2_dot},
    vjp={"x1": lambda y_bar: y_bar, "x2": lambda y_bar: y_bar},
    rounding=bounds.added,
    torch=lambda torch, x1, x2: torch.add(x1, x2),
    numpy=(np.add,), broadcasts=True,
    elementwise=True, commutes=True, branch_free=True, unit_slopes=True,
    notation=Notation("+", with_number=("+{}", "+{}")),
    in_graphs=InGraphs(ELEMENTWISE, 0),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
)  # fmt: skip

subtract = register(
    "subtract", np.subtract,
    jvp={"x1": lambda x1_dot: x1_dot, "x2": lambda x2_dot: -x2_dot},
    vjp={"x1": lambda y_bar: y_bar, "x2": lambda y_bar: -y_bar},
    rounding=bounds.added,
    torch=lambda torch, x1, x2: torch.sub(x1, x2),
    numpy=(np.subtract,), broadcasts=True,
    elementwise=True, branch_free=True, unit_slopes=True,
    notation=Notation("−", with_number=("{}−x", "−{}")),
    in_graphs=InGraphs(ELEMENTWISE, 2),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
)  # fmt: skip

multiply = register(
    "multiply", np.multiply,
    jvp={"x1": lambda x1_dot, x2: x1_dot * x2, "x2": lambda x2_dot, x1: x1 * x2_dot},
    vjp={"x1": lambda y_bar, x2: y_bar * x2, "x2": lambda y_bar, x1: x1 * y_bar},
    rounding=bounds.signed_product,
    torch=lambda torch, x1, x2: torch.mul(x1, x2),
    numpy=(np.multiply,), broadcasts=True,
    elementwise=True, commutes=True, branch_free=True,
    notation=Notation("×", with_number=("×{}", "×{}")),
    in_graphs=InGraphs(ELEMENTWISE, 1),
    slopes=(lambda mp, _, x2: x2, lambda mp, x1, _: x1),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.multilinear,
)  # fmt: skip

# y = x1/x2: dy = (dx1 - y dx2)/x2.
divide = register(
    "divide", np.true_divide,
    jvp={"x1": lambda x1_dot, x2: x1_dot / x2, "x2": lambda x2_dot, x2, y: -(x2_dot * y) / x2},
    vjp={"x1": lambda y_bar, x2: y_bar / x2, "x2": lambda y_bar, x2, y: -y_bar * (y / x2)},
    rounding=bounds.quotient,
    torch=lambda torch, x1, x2: torch.div(x1, x2),
    numpy=(np.true_divide,),
    domain=Domain((REAL_LINE, NONZERO_LINE)),
    special=(
        Special((0.0, 0.0), np.nan, (None, None), "0/0"),
        Special((1e-200, 1e-200), 1.0, ((1e200, 1e200), (-1e200, -1e200)), "the square of x2 underflows"),
        Special((1e200, 1e200), 1.0, ((1e-200, 1e-200), (-1e-200, -1e-200)), "the square of x2 overflows"),
    ),
    usual=(
        Formula(
            "the record's own: in a composition, where each op takes one of its formulas, the quotient may be plain",
            jvp={"x1": lambda x1_dot, x2: x1_dot / x2, "x2": lambda x2_dot, x2, y: -(x2_dot * y) / x2},
            vjp={"x1": lambda y_bar, x2: y_bar / x2, "x2": lambda y_bar, x2, y: -y_bar * (y / x2)},
        ),
        Formula(
            "the products with the rounded reciprocals of x2 and of its square, which leaves the range sooner",
            jvp={
                "x1": lambda x1_dot, x2: x1_dot * np.reciprocal(x2 * 1.0),
                "x2": lambda x2_dot, x1, x2: -(x2_dot * (x1 / np.square(x2 * 1.0))),
            },
            vjp={
                "x1": lambda y_bar, x2: y_bar * np.reciprocal(x2 * 1.0),
                "x2": lambda y_bar, x1, x2: -(y_bar * (x1 / np.square(x2 * 1.0))),
            },
        ),
        Formula(
            "the quotient of a product by the square of x2, which leaves the range sooner",
            jvp={"x1": lambda x1_dot, x2: x1_dot / x2, "x2": lambda x2_dot, x1, x2: -(x2_dot * x1) / np.square(x2 * 1.0)},
            vjp={"x1": lambda y_bar, x2: y_bar / x2, "x2": lambda y_bar, x1, x2: -(y_bar * x1) / np.square(x2 * 1.0)},
        ),
        Formula(
            "the cotangent times the reciprocal of the square of x2, and then times x1: JAX transposes its tangent",
            jvp={"x1": lambda x1_dot, x2: x1_dot / x2, "x2": lambda x2_dot, x1, x2: -(x2_dot * x1) * np.reciprocal(np.square(x2 * 1.0))},
            vjp={"x1": lambda y_bar, x2: y_bar / x2, "x2": lambda y_bar, x1, x2: -(y_bar * np.reciprocal(np.square(x2 * 1.0)) * x1)},
        ),
    ),
    broadcasts=True,
    elementwise=True, branch_free=True,
    notation=Notation("÷", with_number=("{}/x", "÷{}")),
    in_graphs=InGraphs(ELEMENTWISE, 3),
    slopes=(lambda mp, _, x2: 1 / x2, lambda mp, x1, x2: -x1 / x2 / x2),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.quotient,
)  # fmt: skip

negative = register(
    "negative", np.negative,
    jvp=lambda x_dot: -x_dot,
    vjp=lambda y_bar: -y_bar,
    rounding=bounds.same,
    torch=lambda torch, x: torch.neg(x),
    numpy=(np.negative,),
    elementwise=True, branch_free=True, unit_slopes=True,
    notation=Notation("−x"),
    in_graphs=InGraphs(ELEMENTWISE, 11),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
)  # fmt: skip

positive = register(
    "positive", np.positive,
    jvp=lambda x_dot: x_dot,
    vjp=lambda y_bar: y_bar,
    rounding=bounds.same,
    torch=lambda torch, x: torch.positive(x),
    numpy=(np.positive,),
    elementwise=True, branch_free=True, unit_slopes=True,
    in_graphs=InGraphs(ELEMENTWISE, 46),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
)  # fmt: skip


# --- powers ----------------------------------------------------------------------------------------------------------


def _power_rounding(run: Evaluation) -> Any:
    """pow on a box: monotone in each operand for a positive base; even powers of a box that holds 0 dip to 0."""
    # Kernels multiply out small integer exponents: one rounding a factor.
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    whole = small(xs[1])
    if whole and es[1] is None and magnitudes.shorter(y):
        step = bounds.monotone("power", lambda x, y, e: variation.power(x, whole, e))
        radius = step(run._replace(xs=(xs[0],)))
        return radius + whole * fmt.u * magnitudes.size(y, y)
    radius = bounds.corners("power")(run)
    if es[0] is not None:
        radius = np.where((np.abs(xs[0]) <= es[0]) & (xs[1] > 0), np.maximum(radius, np.abs(y)), radius)
    factors = np.where((xs[1] == np.rint(xs[1])) & (np.abs(xs[1]) <= 4), np.abs(xs[1]), 0.0)
    return radius + factors * fmt.u * np.abs(y)


def _power(x1: Any, x2: Any) -> Any:
    """x1 ** x2: the operator, by which NumPy squares for exponent 2; in long double, whose pow is dear, small exponents are multiplied out.

    Two roundings, as pow itself has, and far below those that the bound of the power is for.
    """
    if type(x1) is complex:
        # whose own operator would answer for a scalar of NumPy, by a number without a dtype
        return np.power(x1, x2)
    whole = small(x2) if np.ndim(x1) and splitting.long(x1) else 0
    return x1 * x1 * x1 if whole == 3 else x1 * x1 if whole == 2 else +x1 if whole == 1 else x1**x2


power_slope = power_derivatives.slope_of(_power_rounding)

power = register(
    "power", _power,
    jvp={
        "x1": lambda x1_dot, x1, x2: x1_dot * power_slope(x1, x2),
        "x2": lambda x2_dot, x1, x2: x2_dot * power_slope(x1, x2, base=0, exponent=1),
    },
    vjp={
        "x1": lambda y_bar, x1, x2: y_bar * power_slope(x1, x2),
        "x2": lambda y_bar, x1, x2: y_bar * power_slope(x1, x2, base=0, exponent=1),
    },
    rounding=_power_rounding,
    torch=lambda torch, x1, x2: torch.pow(x1, x2),
    numpy=(np.power,),
    domain=Domain((POSITIVE_LINE, REAL_LINE)),
    special=(
        Special((0.0, 2.0), 0.0, ((0.0, 0.0), (0.0, 0.0)), "square at 0"),
        Special((0.0, 1.0), 0.0, ((1.0, 1.0), (0.0, 0.0)), "identity at 0"),
        Special((0.0, 0.5), 0.0, ((np.inf, np.inf), (0.0, 0.0)), "vertical tangent"),
        Special((0.0, -1.0), np.inf, (None, None), "pole"),
        Special((0.0, 0.0), 1.0, ((0.0, 0.0), None), "0 ** t jumps from 1 to 0"),
        Special((-2.0, 2.0), 4.0, ((-4.0, -4.0), None), "a negative base has no real derivative in the exponent"),
    ),
    broadcasts=True,
    elementwise=True, branch_free=True,
    notation=Notation("xʸ", with_number=("{}ˣ", "x^{}")),
    in_graphs=InGraphs(ELEMENTWISE, 6),
    usual=(power_derivatives.BY_PRODUCTS,),
    slopes=(lambda mp, x1, x2: x2 * x1 ** (x2 - 1), exact_slopes.power_exponent),
    complex_rules=complex_numbers.power,
)  # fmt: skip

square = register(
    "square", np.square,
    jvp=lambda x_dot, x: x_dot * (2 * x),
    vjp=lambda y_bar, x: (y_bar * 2) * x,
    rounding=lambda run: bounds.product(run._replace(forward=None, xs=run.xs * 2, es=run.es * 2)),
    torch=lambda torch, x: torch.square(x),
    numpy=(np.square,),
    elementwise=True, branch_free=True,
    notation=Notation("x²"),
    in_graphs=InGraphs(ELEMENTWISE, 12),
    slopes=(lambda mp, x: 2 * x,),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.square,
)  # fmt: skip


def _one_minus_square_rounding(run: Evaluation) -> Any:
    """The difference, the sum and their product round by u each, whatever they come to; the slope is -2x."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e, carried = es[0], 0.0
    if e is not None:
        carried = 2 * magnitudes.size(xs[0], y) * e + e * e
    return carried + 3 * fmt.u * (magnitudes.size(y, y) + carried) + fmt.eta


# 1 - x^2 without the rounded square, which near 1 and -1 is all that the difference leaves.
one_minus_square = register(
    "one_minus_square", unwarned(lambda x: (1 - x) * (1 + x)),
    jvp=lambda x_dot, x: x_dot * (-2 * x),
    vjp=lambda y_bar, x: (y_bar * -2) * x,
    rounding=_one_minus_square_rounding,
    elementwise=True, branch_free=True, helper=True,
    slopes=(lambda mp, x: -2 * x,),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

sqrt = register(
    "sqrt", np.sqrt,
    jvp=lambda x_dot, y: x_dot / (2 * y),
    vjp=lambda y_bar, y: y_bar / (2 * y),
    rounding=bounds.monotone("sqrt", variation.sqrt),
    torch=lambda torch, x: torch.sqrt(x),
    numpy=(np.sqrt,),
    domain=POSITIVE,
    special=(Special((0.0,), 0.0, ((np.inf, np.inf),), "vertical tangent"),),
    usual=(
        Formula(
            "the product with the rounded quotient 1/(2 y)",
            jvp=lambda x_dot, y: x_dot * (1 / (2 * y)),
            vjp=lambda y_bar, y: y_bar * (1 / (2 * y)),
        ),
    ),
    elementwise=True, branch_free=True,
    notation=Notation("√x"),
    in_graphs=InGraphs(ELEMENTWISE, 13),
    slopes=(lambda mp, x: 1 / (2 * mp.sqrt(x)),),
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.root,
)  # fmt: skip


@unwarned
def _cbrt_slope(x: Any) -> Any:
    """y/(3x) with y = cbrt(x), in which the error of y counts once; infinite at 0."""
    return np.where(x == 0, np.inf, np.cbrt(x) / np.where(x == 0, 1.0, x)) / 3


def _cbrt_slope_rounding(run: Evaluation) -> Any:
    """1/(3 cbrt(x)^2) or y/(3x): the error of the root counts at most twice, three operations round; a power of x, of exponent -2/3."""
    fmt, forward, y, xs, es = run.fmt, run.forward, run.y, run.xs, run.es
    carried: Any = 0.0
    if es[0] is not None:
        room = np.abs(xs[0]) - es[0]
        nearest = forward(np.where(room > 0, room, 1.0))
        carried = bounds.endless(np.where(room > 0, nearest - np.abs(y), np.inf), es[0])
    return carried + (4 * fmt.ulp("cbrt") + 3) * fmt.u * (np.abs(y) + carried) + 2 * fmt.eta


# The derivative of cbrt: squared, the root would count twice, and derivatives of a quotient are differences.
cbrt_slope: Op = register(
    "cbrt_slope", _cbrt_slope,
    jvp=lambda x_dot, x, y: -(x_dot * y / 1.5 / x),
    vjp=lambda y_bar, x, y: -(y_bar * y / 1.5 / x),
    rounding=_cbrt_slope_rounding,
    domain=NONZERO,
    elementwise=True, branch_free=True, helper=True,
    slopes=(lambda mp, x: -mp.sign(x) * 2 / 9 * mp.cbrt(abs(x)) ** (-5),),
)  # fmt: skip

cbrt = register(
    "cbrt", np.cbrt,
    jvp=lambda x_dot, x: x_dot * cbrt_slope(x),
    vjp=lambda y_bar, x: y_bar * cbrt_slope(x),
    rounding=bounds.monotone("cbrt"),
    numpy=(np.cbrt,),
    domain=NONZERO,
    special=(Special((0.0,), 0.0, ((np.inf, np.inf),), "vertical tangent"),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: 1 / (3 * mp.cbrt(abs(x)) ** 2),),
)  # fmt: skip


def _reciprocal_rounding(run: Evaluation) -> Any:
    """That of the quotient 1/x. With a figure above half a ULP no reciprocal is correctly rounded, not even that of a power of two."""
    fmt, y = run.fmt, run.y
    radius = bounds.quotient(run._replace(forward=None, xs=(np.ones(()), *run.xs), es=(None, *run.es)))
    if fmt.ulp_table["reciprocal"] <= 0.5:
        return radius
    carried = bounds.zero(radius)
    return carried + 2 * fmt.ulp("reciprocal") * fmt.u * (np.abs(y) + carried) + fmt.eta


# y = 1/x: dy = -y^2 dx.
reciprocal = register(
    "reciprocal", np.reciprocal,
    jvp=lambda x_dot, y: -x_dot * (y * y),
    vjp=lambda y_bar, y: -(y_bar * (y * y)),
    rounding=_reciprocal_rounding,
    torch=lambda torch, x: torch.reciprocal(x),
    numpy=(np.reciprocal,),
    domain=NONZERO,
    special=(Special((0.0,), np.inf, (None,), "pole"),),
    elementwise=True, branch_free=True,
    notation=Notation("1/x"),
    in_graphs=InGraphs(ELEMENTWISE, 14),
    slopes=(lambda mp, x: -1 / (x * x),),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.reciprocal,
)  # fmt: skip


# --- remainders and sums of many --------------------------------------------------------------------------------------


def _remainder_rounding(run: Evaluation) -> Any:
    """x1 - x2 floor(x1/x2): exact in value up to one rounding; uncertain operands may cross a multiple of x2."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e1, e2 = bounds.zero(es[0]), bounds.zero(es[1])
    turns = np.abs(np.floor(xs[0] / xs[1]))
    carried = e1 + (turns + 1) * e2
    near = np.minimum(np.abs(y), np.abs(xs[1]) - np.abs(y))
    jump = (carried >= near) & (carried > 0)
    return np.where(jump, np.abs(xs[1]) + carried, carried) + fmt.u * np.abs(xs[1]) + fmt.eta


# y = x1 - x2 floor(x1/x2); the floor is constant wherever the derivative exists.
remainder = register(
    "remainder", np.remainder,
    jvp={"x1": lambda x1_dot: x1_dot, "x2": lambda x2_dot, x1, x2: -x2_dot * np.floor_divide(x1, x2)},
    vjp={"x1": lambda y_bar: y_bar, "x2": lambda y_bar, x1, x2: -y_bar * np.floor_divide(x1, x2)},
    rounding=_remainder_rounding,
    torch=lambda torch, x1, x2: torch.remainder(x1, x2),
    numpy=(np.remainder,),
    domain=Domain((REAL_LINE, POSITIVE_LINE), smooth=False),
    special=(Special((6.0, 3.0), 0.0, (None, None), "jump"),),
    broadcasts=True,
    elementwise=True,
    in_graphs=InGraphs(ELEMENTWISE, 10),
    slopes=(lambda mp, *_: mp.mpf(1), lambda mp, x1, x2: -mp.floor(x1 / x2)),
)  # fmt: skip


def _floor_divide_rounding(run: Evaluation) -> Any:
    """The floor of a rounded quotient: off by whole steps, many of them where the quotient is beyond 1/u."""
    q = run.xs[0] / run.xs[1]
    e = bounds.zero(bounds.quotient(run._replace(forward=None, y=q)))
    return np.floor(q + e) - np.floor(q - e)


floor_divide = register(
    "floor_divide", np.floor_divide,
    jvp=None,
    vjp=None,
    rounding=_floor_divide_rounding,
    torch=lambda torch, x1, x2: torch.floor_divide(x1, x2),
    numpy=(np.floor_divide,),
    domain=Domain((REAL_LINE, POSITIVE_LINE), smooth=False),
    broadcasts=True,
    elementwise=True,
)  # fmt: skip


def _fan_in(*xs: Any) -> Any:
    return functools.reduce(np.add, xs)


# The sum of the cotangents of a value that was used several times; frameworks may add them in any order.
fan_in = register(
    "fan_in", _fan_in,
    jvp=lambda xs_dot: functools.reduce(np.add, xs_dot),
    vjp=lambda y_bar, active: [y_bar if a else None for a in active],
    rounding=bounds.fan_in,
    torch=lambda torch, *xs: functools.reduce(torch.add, xs),
    domain=Domain(sampler=lambda rng: (tuple(rng.standard_normal((3, 2, 3))), {})),
    elementwise=True, commutes=True, branch_free=True, unit_slopes=True, sums=True,
    in_graphs=InGraphs(SEVERAL, 2),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
)  # fmt: skip
