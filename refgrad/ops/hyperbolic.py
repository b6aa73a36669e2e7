"""Hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.blocks import slices
from refgrad.bounds import magnitudes, variation
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Domain, Interval, Special, between
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import ELEMENTWISE, HOLOMORPHIC, InGraphs
from refgrad.ops import complex_functions, complex_numbers
from refgrad.ops.arithmetic import one_minus_square
from refgrad.quiet import unwarned

sinh = register(
    "sinh", np.sinh,
    jvp=lambda x_dot, x: x_dot * np.cosh(x),
    vjp=lambda y_bar, x: y_bar * np.cosh(x),
    rounding=bounds.monotone("sinh"),
    torch=lambda torch, x: torch.sinh(x),
    numpy=(np.sinh,),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 29),
    slopes=(lambda mp, x: mp.cosh(x),),
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.hyperbolic_sine,
)  # fmt: skip

# Even and convex: where the ball holds 0, the minimum there is nearer to y than the farther end, so the ends still bound it.
cosh = register(
    "cosh", np.cosh,
    jvp=lambda x_dot, x: x_dot * np.sinh(x),
    vjp=lambda y_bar, x: y_bar * np.sinh(x),
    rounding=bounds.monotone("cosh"),
    torch=lambda torch, x: torch.cosh(x),
    numpy=(np.cosh,),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 30),
    slopes=(lambda mp, x: mp.sinh(x),),
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.hyperbolic_cosine,
)  # fmt: skip


def _over_wide_cosh_square(t: PlainArray, x: PlainArray) -> PlainArray:
    """t/cosh(x)^2 in the next wider format, in which the square of what is wanted is in range."""
    c = np.cosh(x, dtype=np.float32 if x.itemsize == 2 else np.float64)
    c *= c
    return t / c


@unwarned  # far out the hyperbolic cosine overflows
def _over_cosh_square(t: PlainArray, x: PlainArray) -> PlainArray:
    """t/cosh(x)^2 by two divisions: the square overflows where its reciprocal is a subnormal number yet.

    For complex numbers 4 t w/(1 + w)^2 with w = exp(-2x), or exp(2x): the one that does not overflow. NumPy's cosh is off by up to 2.4 ULP
    in float32, and its error counts twice: narrow formats are computed in the next wider one.
    """
    if x.dtype.kind == "c":
        w = np.exp(np.where(np.real(x) < 0, 2, -2).astype(x.dtype) * x)
        return t * (4 * w / (1 + w) ** 2)
    if x.itemsize < 8:
        blocks = slices(x.shape) if np.shape(t) == x.shape else None
        if blocks is None:
            return _over_wide_cosh_square(t, x).astype(np.result_type(t, x))
        y = np.empty(x.shape, np.result_type(t, x))
        for here in blocks:  # a wide array as large as x would cost more to get than to compute
            y[here] = _over_wide_cosh_square(t[here], x[here])
        return y
    c = np.cosh(x)
    y = t / c
    y /= c
    return y


def _slope(forward: Any, x: PlainArray) -> PlainArray:
    """1/cosh(x)^2, in float64 where a radius needs no more digits and float64 holds it."""
    if magnitudes.shorter(x):
        near = forward(np.ones(x.shape), x.astype(np.float64))
        if near.min() >= np.finfo(np.float64).tiny:
            return near
    return forward(np.ones_like(x), x)


def _over_cosh_square_rounding(run: Evaluation) -> PlainArray:
    """The product of t and 4z/(1 + z)^2 with z = exp(-2|x|).

    The error of z enters with a factor of at most 1; the sum twice, a square and a quotient round. The logarithm of the quotient has
    the slope -2 tanh(x).
    """
    fmt, forward, xs, es = run.fmt, run.forward, run.xs, run.es
    t, x = xs
    s = _slope(forward, x)
    carried: PlainArray | float = 0.0
    size = magnitudes.size(s, s)
    if es[1] is not None:
        steepest = 2 * np.tanh(magnitudes.size(x, x) * (1 + 2.0**-51) + es[1])
        carried = bounds.endless(np.minimum(size * np.expm1(steepest * es[1]), 1.0), es[1])
    radius = carried + (2 * fmt.ulp("exp") + 4) * fmt.u * (size + carried) + 4 * fmt.eta
    return bounds.product(run._replace(forward=None, xs=(t, s), es=(es[0], radius)))


# The slope of tanh, from its operand, times a tangent or cotangent. From its value, as 1 - y^2, it would have lost every digit from
# x = 19 on.
over_cosh_square: Op = register(
    "over_cosh_square", _over_cosh_square,
    jvp={"t": lambda t_dot, x: over_cosh_square(t_dot, x), "x": lambda x_dot, x, y: (x_dot * -2) * (np.tanh(x) * y)},
    vjp={"t": lambda y_bar, x: over_cosh_square(y_bar, x), "x": lambda y_bar, x, y: ((y_bar * y) * np.tanh(x)) * -2},
    rounding=_over_cosh_square_rounding,
    broadcasts=True,
    elementwise=True, branch_free=True, helper=True,
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.over_squared_hyperbolic_cosine,
)  # fmt: skip


@unwarned
def _times_one_minus_square(t: Array, v: Array) -> Array:
    return (t + t * v) * (1 - v)


def _times_one_minus_square_rounding(run: Evaluation) -> PlainArray:
    """The product of t and (1 - v)(1 + v), whose two sums and two products are rounded: each by u of t (1 + |v|)|1 - v| at most.

    An error of t is multiplied by the slope. Over Balls of the single operations it would be multiplied by (1 + |v|)|1 - v|, which for
    negative v is up to four times as much or more, and grows along a chain.
    """
    fmt, (t, v), es = run.fmt, run.xs, run.es
    e, size = bounds.zero(es[1]), magnitudes.size(v, v)
    changed = (2 * size + e) * e
    rounded = 4 * fmt.u * (1 + 4 * fmt.u) * (magnitudes.size(1 - v, v) + e) * (1 + size + e)
    found = bounds.product(
        run._replace(forward=None, xs=(t, (1 - v) * (1 + v)), es=(es[0], changed + rounded))
    )
    return bounds.zero(found) + 4 * fmt.eta


times_one_minus_square: Op = register(
    "times_one_minus_square", _times_one_minus_square,
    jvp={"t": lambda t_dot, v: times_one_minus_square(t_dot, v), "v": lambda v_dot, t, v: (t * -2) * (v_dot * v)},
    vjp={"t": lambda y_bar, v: times_one_minus_square(y_bar, v), "v": lambda y_bar, t, v: (t * -2) * (y_bar * v)},
    rounding=_times_one_minus_square_rounding,
    broadcasts=True,
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


def _tangent_by_factors(t: Array, v: Array) -> Array:
    return (t + t * v) * (1 - v) if v.dtype.kind == "c" else times_one_minus_square(t, v)


def _cotangent_by_factors(t: Array, v: Array) -> Array:
    return t * (1 - v) + t * (1 - v) * v if v.dtype.kind == "c" else times_one_minus_square(t, v)


tanh = register(
    "tanh", np.tanh,
    jvp=lambda x_dot, x: over_cosh_square(x_dot, x),
    vjp=lambda y_bar, x: over_cosh_square(y_bar, x),
    rounding=bounds.monotone("tanh", variation.tanh),
    torch=lambda torch, x: torch.tanh(x),
    numpy=(np.tanh,),
    special=(
        Special((19.1,), 1.0, ((1.0280418e-16, 1.0280418e-16),), "saturated"),
        Special((400.0,), 1.0, ((0.0, 0.0),), "saturated"),
    ),
    usual=(
        Formula(
            "1 - y^2 with y = tanh(x): it cancels far out",
            jvp=lambda x_dot, y: x_dot * (1 - y * y),
            vjp=lambda y_bar, y: y_bar * (1 - y * y),
            blind=True,
        ),
        Formula(
            "(1 - y)(1 + y): what is added was rounded, and below the normal range by as much as the slope",
            jvp=lambda x_dot, y: _tangent_by_factors(x_dot, y),
            vjp=lambda y_bar, y: _cotangent_by_factors(y_bar, y),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 31),
    slopes=(lambda mp, x: 1 / mp.cosh(x) ** 2,),
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.hyperbolic_tangent,
)  # fmt: skip


# The first of these formulas, for ops whose slope contains tanh.
tanh_of_kernels = tanh.usual[0].of(tanh)


# hypot(x, 1) does not overflow where x^2 + 1 does. Its reciprocal is multiplied, as kernels do: they round x^2, the sum (together one
# u in the root), the reciprocal root and the product.
def _root_of_one_plus_square(x: Array) -> Array:
    """sqrt(1 + x^2); of complex numbers sqrt(1 - ix) sqrt(1 + ix), which has the cuts of arcsinh."""
    if x.dtype.kind != "c":
        return np.hypot(x, 1.0)
    unit = np.where(np.imag(x) < 0, 1j, complex(-0.0, 1.0))  # i; the sign of a zero real part is kept
    turned = unit.astype(x.dtype) * x
    return np.sqrt(complex_numbers.one_minus(turned)) * np.sqrt(complex_numbers.one_plus(turned))


arcsinh = register(
    "arcsinh", np.arcsinh,
    jvp=lambda x_dot, x: x_dot * (1 / _root_of_one_plus_square(x)),
    vjp=lambda y_bar, x: y_bar * (1 / _root_of_one_plus_square(x)),
    rounding=bounds.monotone("arcsinh"),
    torch=lambda torch, x: torch.arcsinh(x),
    numpy=(np.arcsinh,),
    special=(Special((1e200,), 461.2101657793691, ((1e-200, 1e-200),), "the square overflows"),),
    usual=(
        Formula(
            "1/cosh(y): far out the rounding of y becomes |y| times as large",
            jvp=lambda x_dot, y: x_dot / np.cosh(y),
            vjp=lambda y_bar, y: y_bar / np.cosh(y),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 32),
    slopes=(lambda mp, x: 1 / mp.sqrt(1 + x * x),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip


def _root_of_one_plus(x: Array) -> Array:
    """sqrt(1 + x); on the cut of arccosh the sign of a zero imaginary part counts."""
    return np.sqrt(complex_numbers.one_plus(x) if x.dtype.kind == "c" else x + 1)


# The product of two roots does not overflow, and near 1 no digit of x - 1 is lost.
arccosh = register(
    "arccosh", np.arccosh,
    jvp=lambda x_dot, x: x_dot / np.sqrt(x - 1) / _root_of_one_plus(x),
    vjp=lambda y_bar, x: y_bar / np.sqrt(x - 1) / _root_of_one_plus(x),
    rounding=bounds.monotone("arccosh"),
    torch=lambda torch, x: torch.arccosh(x),
    numpy=(np.arccosh,),
    domain=Domain((Interval(low=1.0),)),
    special=(
        Special((1.0,), 0.0, ((np.inf, np.inf),), "vertical tangent"),
        Special((1e200,), 461.2101657793691, ((1e-200, 1e-200),), "the square overflows"),
    ),
    usual=(
        Formula(
            "1/sqrt(x^2 - 1): the difference cancels near 1",
            jvp=lambda x_dot, x: x_dot * np.reciprocal(np.sqrt(x * x - 1)),
            vjp=lambda y_bar, x: y_bar * np.reciprocal(np.sqrt(x * x - 1)),
            blind=True,
        ),
        Formula(
            "1/sinh(y): far out the rounding of y becomes |y| times as large",
            jvp=lambda x_dot, y: x_dot / np.sinh(y),
            vjp=lambda y_bar, y: y_bar / np.sinh(y),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 33),
    slopes=(lambda mp, x: 1 / mp.sqrt((x - 1) * (x + 1)),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

arctanh = register(
    "arctanh", np.arctanh,
    jvp=lambda x_dot, x: x_dot / one_minus_square(x),
    vjp=lambda y_bar, x: y_bar / one_minus_square(x),
    rounding=bounds.monotone("arctanh"),
    torch=lambda torch, x: torch.arctanh(x),
    numpy=(np.arctanh,),
    domain=between(-1.0, 1.0),
    special=(Special((1.0,), math.inf, ((np.inf, np.inf),), "pole"),),
    usual=(
        Formula(
            "1/(1 - x^2) with a rounded square: the difference cancels near 1 and -1",
            jvp=lambda x_dot, x: x_dot * np.reciprocal(1 - x * x),
            vjp=lambda y_bar, x: y_bar * np.reciprocal(1 - x * x),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 34),
    slopes=(lambda mp, x: 1 / ((1 - x) * (1 + x)),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip
