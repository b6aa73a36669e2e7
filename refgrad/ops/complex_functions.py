"""Roots, hyperbolic functions, tangents and powers of complex numbers by parts: bounds for the field ``by_parts`` (by_parts.py).

Kernels compute the parts separately, by formulas without cancellation (Kahan, "Branch cuts for complex elementary functions", 1987). So
both parts are bounded by themselves, and a small part has digits of its own. With T = tanh a, S = 1/cosh(a)^2,
D = cos^2 b + T^2 sin^2 b:

    tanh(a + ib)        (T + i S sin b cos b)/D
    1/cosh(a + ib)^2    S (cos b - i T sin b)^2/D^2

Neither overflows far from the imaginary axis, as sinh and cosh do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Params, PlainArray
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.op import Op
from refgrad.ops.by_parts import ROOM, Operands, Parts, joined, multiplied, of_one, zeros

# --- roots --------------------------------------------------------------------------------------------------------------


def _root_part(re: PlainArray, im: PlainArray, imaginary: bool = False) -> Any:
    y = np.sqrt(joined(re, im))
    return (y.imag if imaginary else y.real).copy()


def _root_rounding(run: Evaluation) -> Radius:
    """With p = sqrt((|z| + |a|)/2), the larger part of the root, the smaller one is |b|/(2p).

    The modulus is off by 2u, half the sum by 3u, p by 2.5u, the quotient by 3.5u; all else is exact, but below the normal range.
    A change dz of z carries over by f' = 1/(2 sqrt z), and by |dz|^2/(8 (|z| - |dz|)^(3/2)) beyond that. Where |dz| may be half of |z|,
    the root changes by at most sqrt(|z| + |dz|) + sqrt|z|. On the other side of the cut the imaginary part has the other sign.
    """
    fmt, y, (re, im), imaginary = run.fmt, run.y, run.xs, run.params["imaginary"]
    radius = 4 * fmt.u * np.abs(y)
    size = np.hypot(re, im)
    if any(e is not None for e in run.es):
        e_re, e_im = [np.zeros(()) if e is None else e for e in run.es]
        e = np.hypot(e_re, e_im)
        slope = 0.5 / np.sqrt(joined(np.where(size == 0, 1, re), im))
        along, across = (e_im, e_re) if imaginary else (e_re, e_im)
        near = np.abs(slope.real) * along + np.abs(slope.imag) * across
        room = np.where(e < size / 2, size - e, 1.0)
        near = near + e * e / (8 * room * np.sqrt(room))
        far = np.sqrt(size) + np.sqrt(size + e)
        radius = radius * 2 + np.where(e < size / 2, near, np.where(e > 0, far, 0.0))
        if imaginary:
            radius = radius + np.where(
                (re - e_re < 0) & (np.abs(im) <= e_im) & (e_im > 0), 2 * np.abs(y), 0.0
            )
    return radius + np.where(size == 0, 0.0, 2 * fmt.eta)


ROOT_PART = Op(
    "root_part", _root_part, jvp=None, vjp=None, rounding=_root_rounding, elementwise=True, broadcasts=True
)


@of_one
def root(x: Parts) -> Parts:
    """The root with a real part that is not negative."""
    return Parts(ROOT_PART(x.re, x.im, imaginary=False), ROOT_PART(x.re, x.im, imaginary=True))


# --- hyperbolic functions -----------------------------------------------------------------------------------------------


@of_one
def hyperbolic_sine(x: Parts) -> Parts:
    """sinh a cos b + i cosh a sin b."""
    return Parts(np.sinh(x.re) * np.cos(x.im), np.cosh(x.re) * np.sin(x.im))


@of_one
def hyperbolic_cosine(x: Parts) -> Parts:
    """cosh a cos b + i sinh a sin b."""
    return Parts(np.cosh(x.re) * np.cos(x.im), np.sinh(x.re) * np.sin(x.im))


def _ingredients(a: Any, b: Any) -> tuple[Any, Any, Any, Any, Any]:
    """T, S, cos b, sin b and D."""
    q = np.exp(-2 * np.abs(a))
    t, s = np.tanh(a), 4 * q / ((1 + q) * (1 + q))
    c, d = np.cos(b), np.sin(b)
    return t, s, c, d, c * c + (t * d) * (t * d)


def _hyperbolic_tangent(a: Any, b: Any) -> Parts:
    """Kernels divide sinh a cosh a and sin b cos b by sinh^2 a + cos^2 b: functions of up to 2 ULP in the products, twice in the squares.

    Far out they take 4 sin b cos b exp(-2|a|) for the imaginary part. 20 roundings of each part cover both.
    """
    t, s, c, d, size = _ingredients(a, b)
    re, im = t / size, s * c * d / size
    return Parts(re + ROOM(re, roundings=20), im + ROOM(im, roundings=20))


@of_one
def hyperbolic_tangent(x: Parts) -> Parts:
    """See _hyperbolic_tangent."""
    return _hyperbolic_tangent(x.re, x.im)


@of_one
def tangent(x: Parts) -> Parts:
    """-i tanh(i x): with tanh(b + i a) = u + i v it is v + i u."""
    y = _hyperbolic_tangent(x.im, x.re)
    return Parts(y.im, y.re)


def _over_squared_hyperbolic_cosine(a: Any, b: Any) -> Parts:
    t, s, c, d, size = _ingredients(a, b)
    scale, e = s / (size * size), t * d
    return Parts((c * c - e * e) * scale, -2 * (c * e) * scale)


@of_one
def over_squared_cosine(x: Parts) -> Parts:
    """1/cos(x)^2 = 1/cosh(i x)^2, the conjugate of 1/cosh(b + i a)^2."""
    y = _over_squared_hyperbolic_cosine(x.im, x.re)
    return Parts(y.re, -y.im)


def over_squared_hyperbolic_cosine(op: Any, operands: Operands, params: Params) -> Parts:
    """t/cosh(x)^2."""
    factor, x = operands
    if x.im is None:
        return Parts(op(factor.re, x.re), zeros(x.re) if factor.im is None else op(factor.im, x.re))
    return multiplied(factor, _over_squared_hyperbolic_cosine(x.re, x.im))


# --- powers -------------------------------------------------------------------------------------------------------------

_MULTIPLIED = 4  # the largest whole exponent for which kernels may multiply out


def power(op: Any, operands: Operands, params: Params) -> Parts:
    """exp(x2 log x1), as kernels compute it. For the base 0 it is 1 if x2 = 0, and 0 if x2 has a positive real part.

    For all other exponents 0^x2 has no value: its modulus is that of a pole, or its angle, Im(x2) log 0, has no limit.
    Whole exponents up to 4 kernels may multiply out, dividing 1 by the product for negative ones, and a root is a power of 1/2: a product
    of complex numbers is off by less than sqrt(5) u of its modulus (Brent, Percival and Zimmermann, Math. Comp. 76, 2007), a quotient by
    less than 8 u, so 16 roundings of the modulus cover both.
    """
    x1, x2 = operands
    im = zeros(x1.re) if x1.im is None else x1.im
    zero = (x1.re == 0) & (im == 0)
    re = np.where(zero, 1.0, x1.re)
    logarithm = Parts(np.log(np.hypot(re, im)), np.arctan2(im, re))
    exponent = multiplied(x2, logarithm)
    size = np.exp(exponent.re)
    room = ROOM(size, roundings=16) if _may_be_multiplied_out(x2) else 0.0
    found = Parts(size * np.cos(exponent.im) + room, size * np.sin(exponent.im) + room)
    one = (x2.re == 0) if x2.im is None else (x2.re == 0) & (x2.im == 0)
    at_zero = np.where(one, 1.0, np.where(x2.re > 0, 0.0, np.nan))
    return Parts(np.where(zero, at_zero, found.re), np.where(zero, 0.0 * at_zero, found.im))


def _may_be_multiplied_out(x2: Parts) -> bool:
    """Whether an exponent is half a whole number of small size."""
    if x2.im is not None:
        return False
    p = np.asarray(getattr(x2.re, "value", x2.re))
    return bool(np.any((np.rint(2 * p) == 2 * p) & (np.abs(p) <= _MULTIPLIED)))
