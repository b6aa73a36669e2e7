"""Products of many complex numbers by parts, and what kernels lose that divide a factor out: bounds for the field ``by_parts``.

A product of two complex numbers is off by less than sqrt(5) u of its modulus (Brent, Percival and Zimmermann, "Error bounds on complex
floating-point multiplication", Math. Comp. 76, 2007). So a product of n numbers, in any order, is off by at most (n - 1) sqrt(5) u of
its modulus to first order, and so is each part. The rule for real factors is applied to moduli, with 2.5 u in the place of u.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Params, PlainArray
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.op import Op, shape_of
from refgrad.ops.by_parts import ROOM, Operands, Parts, joined, zeros

_ROUNDINGS = 2.5  # of a product, its modulus for the unit: sqrt(5), and 5 n u for the terms of higher order
_TERMS = 4  # real products in a complex one, each of which may underflow


def _product_part(
    re: PlainArray, im: PlainArray, axis: Any = None, keepdims: bool = False, imaginary: bool = False
) -> Any:
    y = np.asarray(np.prod(joined(re, im), axis=axis, keepdims=keepdims))
    return (y.imag if imaginary else y.real).copy()


def _product_rounding(run: Evaluation) -> Radius:
    fmt, (re, im), params = run.fmt, run.xs, run.params
    over = {"axis": params["axis"], "keepdims": params["keepdims"]}
    size = np.hypot(re, im)
    e = np.hypot(*[bounds.zero(e) for e in run.es])
    y = np.multiply.reduce(size, **over)
    coarse = replace(fmt, u=_ROUNDINGS * fmt.u, eta=_TERMS * fmt.eta)
    return bounds.multiplied(
        coarse, y, (size,), (e,), lambda x: np.add.reduce(x, **over), lambda x: np.multiply.reduce(x, **over)
    )


PRODUCT_PART = Op("product_part", _product_part, jvp=None, vjp=None, rounding=_product_rounding, sums=True)


def product(op: Any, operands: Operands, params: Params) -> Parts:
    """The product over axes; factors that ``where`` leaves out are 1, and ``initial`` is one more."""
    (x,) = operands
    im = zeros(x.re) if x.im is None else x.im
    re, initial = x.re, params["initial"]
    if params["where"] is not True:
        re, im = np.where(params["where"], re, 1.0), np.where(params["where"], im, 0.0)
    over = {"axis": params["axis"], "keepdims": params["keepdims"]}
    y = Parts(*[PRODUCT_PART(re, im, **over, imaginary=part) for part in (False, True)])
    return y if initial is None else Parts(y.re * initial, y.im * initial)


def divided_out(op: Any, operands: Operands, params: Params) -> Parts:
    """The product x1 of all other factors. Where no factor is zero, kernels compute it as (x1 x2)/x2.

    That is n products and a quotient, of 2.5 and of 8 roundings of the modulus.
    """
    x1, x2 = operands
    im = zeros(x1.re) if x1.im is None else x1.im
    room = ROOM(np.hypot(x1.re, im), roundings=2.5 * _count(shape_of(x2.re), params["axis"]) + 8)
    return Parts(x1.re + room, im + room)


def _count(shape: tuple[int, ...], axis: Any) -> int:
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return math.prod([shape[k] for k in axes])


def cancelled(op: Any, operands: Operands, params: Params) -> Parts:
    """Zero, known only up to the rounding of two terms of this modulus that cancel. A complex rounding is up to 2.5 of them."""
    (x,) = operands
    room = ROOM(np.hypot(x.re, zeros(x.re) if x.im is None else x.im), roundings=2.5 * params["roundings"])
    return Parts(room, room)
