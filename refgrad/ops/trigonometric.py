"""Trigonometric functions and their inverses, sinc, and the conversion of degrees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, between
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import ELEMENTWISE, HOLOMORPHIC, InGraphs
from refgrad.ops import by_parts, complex_functions, complex_numbers, exact_slopes
from refgrad.ops.arithmetic import one_minus_square
from refgrad.ops.sinpi import sinc_derivative
from refgrad.quiet import unwarned

sin = register(
    "sin", np.sin,
    jvp=lambda x_dot, x: x_dot * np.cos(x),
    vjp=lambda y_bar, x: y_bar * np.cos(x),
    rounding=bounds.smooth("sin", np.cos, 1.0, cap=2.0),
    torch=lambda torch, x: torch.sin(x),
    numpy=(np.sin,),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 23),
    slopes=(lambda mp, x: mp.cos(x),),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.sine,
)  # fmt: skip

cos = register(
    "cos", np.cos,
    jvp=lambda x_dot, x: -x_dot * np.sin(x),
    vjp=lambda y_bar, x: -(y_bar * np.sin(x)),
    rounding=bounds.smooth("cos", np.sin, 1.0, cap=2.0),
    torch=lambda torch, x: torch.cos(x),
    numpy=(np.cos,),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 24),
    slopes=(lambda mp, x: -mp.sin(x),),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.cosine,
)  # fmt: skip


def _tan_rounding(run: Evaluation) -> Array:
    """Monotone between its poles; unbounded where one lies within the radius."""
    xs, es = run.xs, run.es
    radius = bounds.monotone("tan")(run)
    if es[0] is None:
        return radius
    pole = np.rint((xs[0] + es[0]) / np.pi) != np.rint((xs[0] - es[0]) / np.pi)
    return np.where(pole | (es[0] >= 1.5), np.inf, radius)


@unwarned
def _tan_slope(x: Array) -> Array:
    """1 + tan(x)^2. NumPy's tan of float32 is off by 2 ULP, which counts twice: narrow formats are computed in the next wider one.

    For complex numbers, where the sum cancels far from the real axis, 4 w/(1 + w)^2 with w = exp(2ix), or exp(-2ix).
    """
    if x.dtype.kind == "c":
        w = np.exp(np.where(np.imag(x) < 0, -2j, 2j).astype(x.dtype) * x)
        return 4 * w / (1 + w) ** 2
    y = np.tan(x, dtype=_WIDER.get(x.dtype.char))
    return (1 + y * y).astype(x.dtype)


_WIDER = {"e": np.float32, "f": np.float64}


def _tan_slope_rounding(run: Evaluation) -> Array:
    """The error of the tangent moves its square; the square and the sum round."""
    fmt, y, xs = run.fmt, run.y, run.xs
    tangent = np.tan(xs[0])
    moved = _tan_rounding(run._replace(forward=np.tan, y=tangent))
    square = tangent * tangent
    carried = (2 * np.abs(tangent) + moved) * moved
    return carried + fmt.u * (square + y + 2 * carried) + fmt.eta


tan_slope: Op = register(
    "tan_slope", _tan_slope,
    jvp=lambda x_dot, x, y: (x_dot * 2) * (np.tan(x) * y),
    vjp=lambda y_bar, x, y: (y_bar * y) * (2 * np.tan(x)),
    rounding=_tan_slope_rounding,
    domain=between(-1.2, 1.2),
    elementwise=True, branch_free=True, helper=True,
    slopes=(lambda mp, x: 2 * mp.tan(x) / mp.cos(x) ** 2,),
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.over_squared_cosine,
)  # fmt: skip

tan = register(
    "tan", np.tan,
    jvp=lambda x_dot, x: x_dot * tan_slope(x),
    vjp=lambda y_bar, x: y_bar * tan_slope(x),
    rounding=_tan_rounding,
    torch=lambda torch, x: torch.tan(x),
    numpy=(np.tan,),
    domain=between(-1.2, 1.2),
    usual=(
        Formula(
            "1 + y^2 with y = tan(x): of complex numbers it cancels far from the real axis",
            jvp=lambda x_dot, x, y: x_dot * (1 + y * y if y.dtype.kind == "c" else tan_slope(x)),
            vjp=lambda y_bar, x, y: y_bar * (1 + y * y if y.dtype.kind == "c" else tan_slope(x)),
            blind=True,
        ),
        Formula(
            "the square of the rounded reciprocal of cos(x)",
            jvp=lambda x_dot, x: x_dot * np.square(np.reciprocal(np.cos(x))),
            vjp=lambda y_bar, x: y_bar * np.square(np.reciprocal(np.cos(x))),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 25),
    slopes=(lambda mp, x: 1 / mp.cos(x) ** 2,),
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.tangent,
)  # fmt: skip


def _root_of_one_minus_square(x: Array) -> Array:
    """sqrt(1 - x^2); of complex numbers sqrt(1 - x) sqrt(1 + x), which has the cuts of arcsin and arccos."""
    if x.dtype.kind == "c":
        return np.sqrt(complex_numbers.one_minus(x)) * np.sqrt(complex_numbers.one_plus(x))
    return np.sqrt(one_minus_square(x))


# Times the reciprocal of the root, as kernels may: three roundings in half formats, which store the root, its reciprocal and the product.
arcsin = register(
    "arcsin", np.arcsin,
    jvp=lambda x_dot, x: x_dot * (1 / _root_of_one_minus_square(x)),
    vjp=lambda y_bar, x: y_bar * (1 / _root_of_one_minus_square(x)),
    rounding=bounds.monotone("arcsin"),
    torch=lambda torch, x: torch.arcsin(x),
    numpy=(np.arcsin,),
    domain=between(-1.0, 1.0),
    special=(
        Special((1.0,), math.pi / 2, ((np.inf, np.inf),), "vertical tangent"),
        Special((-1.0,), -math.pi / 2, ((np.inf, np.inf),), "vertical tangent"),
    ),
    usual=(
        Formula(
            "1/sqrt(1 - x^2) with a rounded square: the difference cancels near 1 and -1",
            jvp=lambda x_dot, x: x_dot * np.reciprocal(np.sqrt(1 - x * x)),
            vjp=lambda y_bar, x: y_bar * np.reciprocal(np.sqrt(1 - x * x)),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 26),
    slopes=(lambda mp, x: 1 / mp.sqrt((1 - x) * (1 + x)),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip

arccos = register(
    "arccos", np.arccos,
    jvp=lambda x_dot, x: -x_dot * (1 / _root_of_one_minus_square(x)),
    vjp=lambda y_bar, x: -(y_bar * (1 / _root_of_one_minus_square(x))),
    rounding=bounds.monotone("arccos"),
    torch=lambda torch, x: torch.arccos(x),
    numpy=(np.arccos,),
    domain=between(-1.0, 1.0),
    special=(
        Special((1.0,), 0.0, ((-np.inf, -np.inf),), "vertical tangent"),
        Special((-1.0,), math.pi, ((-np.inf, -np.inf),), "vertical tangent"),
    ),
    usual=(
        Formula(
            "-1/sqrt(1 - x^2) with a rounded square: the difference cancels near 1 and -1",
            jvp=lambda x_dot, x: -x_dot * np.reciprocal(np.sqrt(1 - x * x)),
            vjp=lambda y_bar, x: -(y_bar * np.reciprocal(np.sqrt(1 - x * x))),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 27),
    slopes=(lambda mp, x: -1 / mp.sqrt((1 - x) * (1 + x)),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip


def _over_one_plus_square(t: Array, x: Array) -> Array:
    """t/(1 + x^2); for large x by w = 1/x as t w^2/(1 + w^2), which does not overflow."""
    far = np.abs(x) > 1024
    near, w = np.where(far, 1.0, x), 1 / np.where(far, x, 1.0)
    return np.where(far, t * w * w / (1 + w * w), t / (1 + near * near))


arctan = register(
    "arctan", np.arctan,
    jvp=lambda x_dot, x: _over_one_plus_square(x_dot, x),
    vjp=lambda y_bar, x: _over_one_plus_square(y_bar, x),
    rounding=bounds.monotone("arctan"),
    torch=lambda torch, x: torch.arctan(x),
    numpy=(np.arctan,),
    special=(Special((1e200,), math.pi / 2, ((0.0, 0.0),), "the derivative 1e-400 underflows"),),
    usual=(
        Formula(
            "the product with the rounded reciprocal of 1 + x^2",
            jvp=lambda x_dot, x: x_dot * np.reciprocal(1 + x * x),
            vjp=lambda y_bar, x: y_bar * np.reciprocal(1 + x * x),
        ),
    ),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 28),
    slopes=(lambda mp, x: 1 / (1 + x * x),),
    complex_rules=HOLOMORPHIC,
)  # fmt: skip


# --- sinc ------------------------------------------------------------------------------------------------------------


def _sinc(x: Array, order: int = 0) -> Array:
    """The derivative of that order of s(x) = sin(pi x)/(pi x), s(0) = 1; the value is NumPy's.

    In long double, in which the reference runs, the value is reduced exactly as the derivatives are.
    """
    x = np.asarray(x)
    return np.sinc(x) if order == 0 and x.itemsize <= 8 else sinc_derivative(x, order=order)


def _pi_rounding(fmt: Any, like: Array) -> float:
    """The relative error of pi rounded to the format."""
    pi = 4 * np.arctan(like.dtype.type(1))
    return float(np.abs(np.ldexp(np.rint(np.ldexp(pi, fmt.bits - 2)), 2 - fmt.bits) / pi - 1))


def _sinc_slope_rounding(fmt: Any, x: Array, y: Array) -> Array:
    """The closed form of order 1, with a = pi x: (a cos a - sin a)/(pi x^2), (cos a)/x - (sin a)/(pi x^2) or (cos a - (sin a)/a)/x.

    All take sin and cos of one rounded a, off by (1 + r) u with r that of pi. Of the first, d/da (a cos a - sin a) = -a sin a: what
    a's error makes of both terms nearly cancels; its divisor and its quotient round the whole. Of the second each term has its own
    divisor. Of the third (sin a)/a is off by y/x times that of a.
    """
    pi, constant = np.pi, _pi_rounding(fmt, y)
    a, size = np.abs(pi * x), np.abs(x)
    sine, cosine = np.abs(np.sin(pi * x)), np.abs(np.cos(pi * x))
    moved = fmt.u + constant
    shift = a * moved
    of_cosine = np.minimum(sine * shift + shift * shift / 2, 2.0) / size
    of_sine = np.minimum(cosine * shift + shift * shift / 2, 2.0) / (a * size)
    first, second, whole = cosine / size, sine / (a * size), np.abs(y)
    each, divisor = 2 * fmt.ulp("sin") * fmt.u, 2 * fmt.u + constant
    together = np.minimum(
        pi * sine * moved + (1 + a) * shift * shift / 2 / (a * size), first * moved + of_cosine + of_sine
    )
    common = whole * (divisor + 2 * fmt.u) + first * (each + fmt.u) + second * each + together
    separate = (
        whole * fmt.u + first * (each + fmt.u) + second * (each + divisor + fmt.u) + of_cosine + of_sine
    )
    recurrent = (
        whole * 2 * fmt.u
        + first * each
        + second * (each + fmt.u)
        + of_cosine
        + np.minimum(whole * moved + shift * shift / (a * size), of_sine + second * moved)
    )
    return np.maximum(np.maximum(common, separate), recurrent)


def _sinc_rounding(run: Evaluation) -> Array:
    """Away from 0 kernels may evaluate the closed form: pi x carries 2u, and order n divides by x again n times.

    For |pi x| <= 1 that cancels until no digit is left, and nobody has to: the power series loses none. Ten of its terms, none
    greater than the first and alternating, take 2 * 10 operations on a sum whose absolute terms are less than 1.6 times its value.
    Of order 1 the first term, pi^2 x/3, takes 5 roundings, ten sums round no more than it, the others are a tenth of it and off by
    12 u, and the value is 0.9035 of it at least: 18.1 u.
    At 0 one term is left, +-pi^n/(n + 1): n times pi rounded, n - 1 products, a quotient.
    """
    fmt, forward, y, xs, es, params = run
    n, x = params["order"], xs[0]
    # |s_n| <= pi^n/(n + 1), since s_n(x) is the integral of pi^n t^n cos(pi x t + n pi/2) over 0 < t < 1.
    carried: Array | float = 0.0
    if es[0] is not None:
        curved = np.pi ** (n + 2) / (n + 3) * es[0] ** 2 / 2
        carried = np.minimum(np.abs(forward(x, order=n + 1)) * es[0] + curved, 2 * np.pi**n / (n + 1))
    size = np.abs(np.where(x == 0, 1.0, x))
    if n == 1:
        closed = _sinc_slope_rounding(fmt, size, y)
    else:
        closed = np.zeros_like(y)
        moved = 2 * fmt.u * np.pi * size  # the error of the argument pi x
        for k in range(n + 1):
            # every term of the closed form: pi^(n-k-1) {sin, cos}(pi x) n!/((n-k)! x^(k+1))
            f, slope = [
                np.abs(g(np.pi * x)) for g in ((np.sin, np.cos) if (n - k) % 2 == 0 else (np.cos, np.sin))
            ]
            steps = np.minimum(slope * moved + moved * moved / 2, 2.0) + fmt.u * f * (
                2 * fmt.ulp("sin") + 4 + 2 * k + n
            )
            closed = closed + np.pi ** (n - k - 1) * math.perm(n, k) / size ** (k + 1) * steps
    if n > 0:
        near = 19 if n == 1 else 32
        closed = np.where(np.abs(np.pi * x) <= 1, np.where(x == 0, 2 * n, near) * fmt.u * np.abs(y), closed)
    return carried + closed + 2 * fmt.eta


def _closed_sinc(x: Array, order: int) -> Array:
    """The closed form; of the derivatives, which rules alone ask for, the record's own."""
    return sinc(x, order=order) if order else np.sin(np.pi * x) / (np.pi * x)


# The order is a parameter, so that the rules hold at 0 for every order of derivative (s'' (0) = -pi^2/3).
sinc: Op = register(
    "sinc", _sinc,
    jvp=lambda x_dot, x, order: x_dot * sinc(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * sinc(x, order=order + 1),
    rounding=_sinc_rounding,
    torch=lambda torch, x, order: torch.sinc(x),
    numpy=(np.sinc,),
    special=(Special((0.0,), 1.0, ((0.0, 0.0),), "0/0 in the closed form"),),
    usual=(Formula("the closed form sin(pi x)/(pi x): its derivative is a difference that cancels near 0", _closed_sinc),),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 35),
    slopes=(exact_slopes.sinc,),
)  # fmt: skip


# --- degrees: linear, the derivative is the same conversion ----------------------------------------------------------

deg2rad = register(
    "deg2rad", np.deg2rad,
    jvp=lambda x_dot: np.deg2rad(x_dot),
    vjp=lambda y_bar: np.deg2rad(y_bar),
    rounding=bounds.monotone(1.0),
    torch=lambda torch, x: torch.deg2rad(x),
    numpy=(np.deg2rad, np.radians),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 47),
    slopes=(lambda mp, _: mp.pi / 180,),
)  # fmt: skip

rad2deg = register(
    "rad2deg", np.rad2deg,
    jvp=lambda x_dot: np.rad2deg(x_dot),
    vjp=lambda y_bar: np.rad2deg(y_bar),
    rounding=bounds.monotone(1.0),
    torch=lambda torch, x: torch.rad2deg(x),
    numpy=(np.rad2deg, np.degrees),
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 48),
    slopes=(lambda mp, _: 180 / mp.pi,),
)  # fmt: skip
