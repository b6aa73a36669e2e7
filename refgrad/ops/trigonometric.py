"""Trigonometric functions, their inverses, and lengths in the plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import POSITIVE_LINE, REAL_LINE, SHAPES, Domain, Sample, Special, between
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops.arithmetic import one_minus_square
from refgrad.ops.sinpi import sinc_derivative
from refgrad.ops.undefined import at_cusp
from refgrad.quiet import unwarned

Array = Any

sin = register(
    "sin", np.sin,
    jvp=lambda x_dot, x: x_dot * np.cos(x),
    vjp=lambda y_bar, x: y_bar * np.cos(x),
    rounding=bounds.smooth("sin", np.cos, 1.0, cap=2.0),
    torch=lambda torch, x: torch.sin(x),
    numpy=(np.sin,),
)  # fmt: skip

cos = register(
    "cos", np.cos,
    jvp=lambda x_dot, x: -x_dot * np.sin(x),
    vjp=lambda y_bar, x: -(y_bar * np.sin(x)),
    rounding=bounds.smooth("cos", np.sin, 1.0, cap=2.0),
    torch=lambda torch, x: torch.cos(x),
    numpy=(np.cos,),
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
    """1 + tan(x)^2. NumPy's tan of float32 is off by 2 ULP, which counts twice: narrow formats are computed in the next wider one."""
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
)  # fmt: skip

tan = register(
    "tan", np.tan,
    jvp=lambda x_dot, x: x_dot * tan_slope(x),
    vjp=lambda y_bar, x: y_bar * tan_slope(x),
    rounding=_tan_rounding,
    torch=lambda torch, x: torch.tan(x),
    numpy=(np.tan,),
    domain=between(-1.2, 1.2),
)  # fmt: skip

# Times the reciprocal of the root, as kernels may: three roundings in half formats, which store the root, its reciprocal and the product.
arcsin = register(
    "arcsin", np.arcsin,
    jvp=lambda x_dot, x: x_dot * (1 / np.sqrt(one_minus_square(x))),
    vjp=lambda y_bar, x: y_bar * (1 / np.sqrt(one_minus_square(x))),
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
            jvp=lambda x_dot, x: x_dot * (1 / np.sqrt(1 - x * x)),
            vjp=lambda y_bar, x: y_bar * (1 / np.sqrt(1 - x * x)),
            blind=True,
        ),
    ),
)  # fmt: skip

arccos = register(
    "arccos", np.arccos,
    jvp=lambda x_dot, x: -x_dot * (1 / np.sqrt(one_minus_square(x))),
    vjp=lambda y_bar, x: -(y_bar * (1 / np.sqrt(one_minus_square(x)))),
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
            jvp=lambda x_dot, x: -x_dot * (1 / np.sqrt(1 - x * x)),
            vjp=lambda y_bar, x: -(y_bar * (1 / np.sqrt(1 - x * x))),
            blind=True,
        ),
    ),
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
)  # fmt: skip


# --- the plane -------------------------------------------------------------------------------------------------------


def _arctan2_rounding(run: Evaluation) -> Array:
    """The angle of a box of radii: seen from 0 under at most its half diagonal over the distance; the cut is a jump of 2 pi."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    ulp = 2 * fmt.ulp("arctan2") * fmt.u * np.abs(y) + 4 * fmt.eta
    if not bounds.some(es):
        return ulp
    half, distance = np.hypot(bounds.zero(es[0]), bounds.zero(es[1])), np.hypot(*xs)
    sine = np.where(half < distance, half / np.where(distance > 0, distance, 1.0), 1.0)
    cut = (np.abs(xs[0]) <= bounds.zero(es[0])) & (xs[1] - bounds.zero(es[1]) <= 0)
    return np.where(cut, 2 * np.pi, np.where(sine < 1, np.arcsin(sine), np.pi)) + ulp


def _sample_arctan2(rng: np.random.Generator) -> Sample:
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    radius, angle = rng.uniform(0.5, 2, shape), rng.uniform(-3, 3, shape)  # away from the cut at angle pi
    return (radius * np.sin(angle), radius * np.cos(angle)), {}


# Angle of the point (x2, x1): r^2 would overflow or vanish, so the derivative (x2, -x1)/r^2 divides by r twice. It multiplies first, as
# kernels may: a tiny cotangent then underflows before a small r brings it back, and the bound knows.
arctan2 = register(
    "arctan2", np.arctan2,
    jvp={
        "x1": lambda x1_dot, x1, x2: x1_dot * x2 / np.hypot(x1, x2) / np.hypot(x1, x2),
        "x2": lambda x2_dot, x1, x2: -x2_dot * x1 / np.hypot(x1, x2) / np.hypot(x1, x2),
    },
    vjp={
        "x1": lambda y_bar, x1, x2: y_bar * x2 / np.hypot(x1, x2) / np.hypot(x1, x2),
        "x2": lambda y_bar, x1, x2: -(y_bar * x1 / np.hypot(x1, x2) / np.hypot(x1, x2)),
    },
    rounding=_arctan2_rounding,
    torch=lambda torch, x1, x2: torch.arctan2(x1, x2),
    numpy=(np.arctan2,),
    domain=Domain(sampler=_sample_arctan2),
    special=(
        Special((0.0, 0.0), 0.0, (None, None), "no angle at the origin"),
        Special((0.0, -1.0), math.pi, ((-1.0, -1.0), (0.0, 0.0)), "cut; the same derivative on both sides"),
        Special((1e200, 1e200), math.pi / 4, ((5e-201, 5e-201), (-5e-201, -5e-201)), "the square of the radius overflows"),
        Special((1e-200, 1e-200), math.pi / 4, ((5e199, 5e199), (-5e199, -5e199)), "the square of the radius underflows"),
    ),
    broadcasts=True,
)  # fmt: skip


def _per(seed: Array, x: Array, y: Array) -> Array:
    """seed x/y, and 0 at the origin: a member of the unit disc."""
    return at_cusp(seed * x / np.where(y == 0, 1.0, y), x, y)


def _hypot_rounding(run: Evaluation) -> Array:
    """Lipschitz with constant one in the plane: at most the length of the box's half diagonal."""
    fmt, y, es = run.fmt, run.y, run.es
    carried = np.hypot(bounds.zero(es[0]), bounds.zero(es[1])) if bounds.some(es) else 0.0
    return carried + 2 * fmt.ulp("hypot") * fmt.u * (y + carried) + 2 * fmt.eta


def _share(t: Array, x1: Array, x2: Array) -> Array:
    h = np.hypot(x1, x2)
    return t * x1 / np.where(h == 0, 1.0, h)


def _share_rounding(run: Evaluation) -> Array:
    """The product, the length and their quotient, of which nothing is known where the length may be 0."""
    t, x1, x2 = run.xs
    p, h = t * x1, np.hypot(x1, x2)
    e_p = bounds.product(run._replace(forward=None, y=p, xs=(t, x1), es=run.es[:2]))
    e_h = _hypot_rounding(run._replace(forward=None, y=h, xs=(x1, x2), es=run.es[1:]))
    return bounds.quotient(run._replace(forward=None, xs=(p, h), es=(e_p, e_h)))


def _turned(t: Array, x1: Array, x2: Array) -> Array:
    """t times the derivative of x1/hypot(x1, x2) in x1, which is x2^2/hypot^3; NaN at the origin, which has none."""
    u = hypot_share(1.0, x2, x1)
    return t / np.hypot(x1, x2) * u * u


def _crossed(t: Array, x1: Array, x2: Array) -> Array:
    """t times its derivative in x2, which is -x1 x2/hypot^3."""
    return -t / np.hypot(x1, x2) * hypot_share(1.0, x1, x2) * hypot_share(1.0, x2, x1)


# t x1/hypot(x1, x2), the derivative of hypot times a tangent or cotangent: 1/h - x1^2/h^3, the derivative of the quotient, would cancel.
# Kernels multiply before they divide: a product that underflows is then magnified by 1/h, which the order of the steps covers.
hypot_share: Op = register(
    "hypot_share", unwarned(_share),
    jvp={
        "t": lambda t_dot, x1, x2: hypot_share(t_dot, x1, x2),
        "x1": lambda x1_dot, t, x1, x2: _turned(x1_dot * t, x1, x2),
        "x2": lambda x2_dot, t, x1, x2: _crossed(x2_dot * t, x1, x2),
    },
    vjp={
        "t": lambda y_bar, x1, x2: hypot_share(y_bar, x1, x2),
        "x1": lambda y_bar, t, x1, x2: _turned(y_bar * t, x1, x2),
        "x2": lambda y_bar, t, x1, x2: _crossed(y_bar * t, x1, x2),
    },
    rounding=_share_rounding,
    broadcasts=True,
)  # fmt: skip

hypot = register(
    "hypot", np.hypot,
    jvp={"x1": lambda x1_dot, x1, x2: hypot_share(x1_dot, x1, x2), "x2": lambda x2_dot, x1, x2: hypot_share(x2_dot, x2, x1)},
    vjp={"x1": lambda y_bar, x1, x2: hypot_share(y_bar, x1, x2), "x2": lambda y_bar, x1, x2: hypot_share(y_bar, x2, x1)},
    rounding=_hypot_rounding,
    torch=lambda torch, x1, x2: torch.hypot(x1, x2),
    numpy=(np.hypot,),
    domain=Domain((POSITIVE_LINE, REAL_LINE)),
    special=(
        Special((0.0, 0.0), 0.0, ((-1.0, 1.0), (-1.0, 1.0)), "tip of a cone: the unit disc"),
        Special((1e200, 1e200), math.sqrt(2) * 1e200, ((math.sqrt(0.5),) * 2, (math.sqrt(0.5),) * 2), "the square overflows"),
    ),
    usual=(
        Formula(
            "x1/y: the second derivative 1/y - x1^2/y^3 is a difference that cancels",
            jvp={"x1": lambda x1_dot, x1, y: _per(x1_dot, x1, y), "x2": lambda x2_dot, x2, y: _per(x2_dot, x2, y)},
            vjp={"x1": lambda y_bar, x1, y: _per(y_bar, x1, y), "x2": lambda y_bar, x2, y: _per(y_bar, x2, y)},
            blind=True,
        ),
    ),
    broadcasts=True,
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
    carried: Array = 0.0
    if es[0] is not None:
        curved = np.pi ** (n + 2) / (n + 3) * es[0] ** 2 / 2
        carried = np.minimum(np.abs(forward(x, order=n + 1)) * es[0] + curved, 2 * np.pi**n / (n + 1))
    size = np.abs(np.where(x == 0, 1.0, x))
    if n == 1:
        closed = _sinc_slope_rounding(fmt, size, y)
    else:
        closed = np.zeros_like(y)
        moved = 2 * fmt.u * np.pi * size  # the error of the argument pi x
        for k in range(
            n + 1
        ):  # every term of the closed form: pi^(n-k-1) {sin, cos}(pi x) n!/((n-k)! x^(k+1))
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
)  # fmt: skip


# --- degrees: linear, the derivative is the same conversion ----------------------------------------------------------

deg2rad = register(
    "deg2rad", np.deg2rad,
    jvp=lambda x_dot: np.deg2rad(x_dot),
    vjp=lambda y_bar: np.deg2rad(y_bar),
    rounding=bounds.monotone(1.0),
    torch=lambda torch, x: torch.deg2rad(x),
    numpy=(np.deg2rad, np.radians),
)  # fmt: skip

rad2deg = register(
    "rad2deg", np.rad2deg,
    jvp=lambda x_dot: np.rad2deg(x_dot),
    vjp=lambda y_bar: np.rad2deg(y_bar),
    rounding=bounds.monotone(1.0),
    torch=lambda torch, x: torch.rad2deg(x),
    numpy=(np.rad2deg, np.degrees),
)  # fmt: skip
