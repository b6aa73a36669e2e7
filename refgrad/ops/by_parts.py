"""Ops of complex numbers computed from real and imaginary parts by real ops: the bounds of those enclose complex values.

The field ``by_parts`` of a record is one of these functions, or None where no bound is known (see tracing/complex_ball.py). It takes the
op, its operands as Parts and its parameters, and returns Parts or, for a real value, an array. Each real op in it has its rounding rule,
which knows every order of summation. Where kernels of complex numbers take another formula, ROOM adds what that rounds beyond it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from refgrad.arrays import Params, PlainArray
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.op import Op, shape_of


class Parts(NamedTuple):
    """The real and the imaginary part of an operand or a value; ``im`` is None for a real one."""

    re: Any
    im: Any = None


Operands = tuple[Parts, ...]
ByParts = Callable[[Any, Operands, Params], Any]


def zeros(x: Any) -> Any:
    """Zeros of the shape of x, exactly."""
    return np.zeros(shape_of(x))


def joined(re: PlainArray, im: PlainArray) -> PlainArray:
    """The complex array of two real ones."""
    y = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), np.result_type(re, im, np.complex64))
    y.real, y.imag = re, im
    return y


def _imaginary_part(x: Parts) -> Any:
    return zeros(x.re) if x.im is None else x.im


def of_one(function: Callable[[Parts], Any]) -> ByParts:
    """A function of one operand without parameters, in the form of the field."""

    @functools.wraps(function)
    def call(op: Any, operands: Operands, params: Params) -> Any:
        return function(*operands)

    return call


# --- linear ops -------------------------------------------------------------------------------------------------------


def separately(op: Any, operands: Operands, params: Params) -> Parts:
    """An op that is linear with real coefficients: the op of real parts, and the op of imaginary parts. A condition counts in both."""

    def imaginary(x: Parts) -> Any:
        return x.re if getattr(x.re, "dtype", np.dtype(float)).kind == "b" else _imaginary_part(x)

    return Parts(op(*[x.re for x in operands], **params), op(*[imaginary(x) for x in operands], **params))


def multilinear(op: Any, operands: Operands, params: Params) -> Parts:
    """An op that is linear in each operand: a sum of products of parts, with i^2 = -1."""
    found: list[Any] = [None, None]
    for choice in itertools.product(*[(0,) if x.im is None else (0, 1) for x in operands]):
        term = op(*[x[k] for x, k in zip(operands, choice, strict=True)], **params)
        turns = sum(choice)
        term = -term if turns % 4 in (2, 3) else term
        before = found[turns % 2]
        found[turns % 2] = term if before is None else before + term
    re, im = found
    return Parts(re, zeros(re) if im is None else im)


def multiplied(x1: Parts, x2: Parts) -> Parts:
    """x1 x2."""
    return multilinear(lambda a, b: a * b, (x1, x2), {})


def contracted(op: Any, operands: Operands, params: Params) -> Parts:
    """As multilinear, for sums of products: a kernel may add the products of both kinds in any order.

    Each partial sum is at most the sum of all magnitudes, and twice as many are rounded as in the sums of one kind, whose radii add up
    here. So twice the radius covers them.
    """
    y = multilinear(op, operands, params)
    if sum(x.im is not None for x in operands) < 2:
        return y
    return Parts(DOUBLED(y.re), DOUBLED(y.im))


def cast(op: Any, operands: Operands, params: Params) -> Parts:
    """The parts, each cast to the real dtype of half the size."""
    (x,), half = operands, np.finfo(params["dtype"]).dtype
    return Parts(op(x.re, dtype=half), zeros(x.re) if x.im is None else op(x.im, dtype=half))


@of_one
def conjugate(x: Parts) -> Parts:
    """a - i b."""
    return Parts(np.positive(x.re), zeros(x.re) if x.im is None else -x.im)


@of_one
def real(x: Parts) -> Any:
    """a, in memory of its own."""
    return np.positive(x.re)


@of_one
def imag(x: Parts) -> Any:
    """b, in memory of its own."""
    return np.positive(_imaginary_part(x))


def of_parts(op: Any, operands: Operands, params: Params) -> Parts:
    """a + i b of real a and b."""
    a, b = operands
    shape = np.broadcast_shapes(shape_of(a.re), shape_of(b.re))
    return Parts(np.broadcast_to(a.re, shape), np.broadcast_to(b.re, shape))


def both_equal(op: Any, operands: Operands, params: Params) -> Any:
    """Whether both parts are equal."""
    x1, x2 = operands
    return (x1.re == x2.re) & (_imaginary_part(x1) == _imaginary_part(x2))


def one_differs(op: Any, operands: Operands, params: Params) -> Any:
    """Whether a part differs."""
    x1, x2 = operands
    return (x1.re != x2.re) | (_imaginary_part(x1) != _imaginary_part(x2))


@of_one
def imaginary(x: Parts) -> Parts:
    """i (a + i b)."""
    return Parts(zeros(x.re) if x.im is None else -x.im, np.positive(x.re))


# --- quotients and elementary functions ---------------------------------------------------------------------------------


@of_one
def modulus(x: Parts) -> Any:
    """hypot(a, b): the root of the sum of squares, as kernels may compute it, rounds no more than the rule of hypot says."""
    return np.abs(x.re) if x.im is None else np.hypot(x.re, x.im)


def _quotient(x1: Parts, x2: Parts) -> Parts:
    """x1 conj(x2)/|x2|^2.

    Kernels divide by the larger part of x2 first (Smith, CACM 5, 1962), or scale both numbers by it. On the way to each product of parts
    that rounds up to four times more, and the divisor twice more: six roundings of the sum of the products' magnitudes cover both.
    """
    if x2.im is None:
        # Kernels take x2 as a complex number; what they multiply by is unknown beyond the range.
        nothing = 0.0 * np.reciprocal(x2.re)
        re = x1.re / x2.re
        im = zeros(re) if x1.im is None else x1.im / x2.re
        return Parts(re + ROOM(re, roundings=6) + nothing, im + ROOM(im, roundings=6) + nothing)
    size = x2.re * x2.re + x2.im * x2.im
    a = x1.re / size
    if x1.im is None:
        products = [a * x2.re, a * x2.im]
        re, im = products[0], -products[1]
    else:
        b = x1.im / size
        products = [a * x2.re, b * x2.im, b * x2.re, a * x2.im]
        re, im = products[0] + products[1], products[2] - products[3]
    room = ROOM(functools.reduce(np.add, [np.abs(p) for p in products]), roundings=6)
    return Parts(re + room, im + room)


def quotient(op: Any, operands: Operands, params: Params) -> Parts:
    """x1/x2."""
    return _quotient(*operands)


@of_one
def reciprocal(x: Parts) -> Parts:
    """1/x."""
    return _quotient(Parts(np.ones(shape_of(x.re))), x)


@of_one
def square(x: Parts) -> Parts:
    """x x = a a - b b + 2 i a b."""
    product = x.re * x.im
    return Parts(x.re * x.re - x.im * x.im, product + product)


@of_one
def exponential(x: Parts) -> Parts:
    """exp(a) (cos b + i sin b)."""
    size = np.exp(x.re)
    return Parts(size * np.cos(x.im), size * np.sin(x.im))


@of_one
def sine(x: Parts) -> Parts:
    """sin a cosh b + i cos a sinh b."""
    return Parts(np.sin(x.re) * np.cosh(x.im), np.cos(x.re) * np.sinh(x.im))


@of_one
def cosine(x: Parts) -> Parts:
    """cos a cosh b - i sin a sinh b."""
    return Parts(np.cos(x.re) * np.cosh(x.im), -(np.sin(x.re) * np.sinh(x.im)))


@of_one
def logarithm(x: Parts) -> Parts:
    """log |x| + i times the angle."""
    return Parts(np.log(np.hypot(x.re, x.im)), np.arctan2(x.im, x.re))


# --- what other formulas round --------------------------------------------------------------------------------------------


def _room_rounding(run: Evaluation) -> Radius:
    x, e = run.xs[0], run.es[0]
    return run.params["roundings"] * run.fmt.u * (np.abs(x) + (0.0 if e is None else e))


# Zero, known only up to so many roundings of a number of the size of x.
ROOM = Op(
    "room",
    lambda x, roundings=1: np.zeros_like(x),
    jvp=None,
    vjp=None,
    rounding=_room_rounding,
    elementwise=True,
)


def _doubled_rounding(run: Evaluation) -> Radius:
    return None if run.es[0] is None else 2 * run.es[0]


# The same number with twice the radius.
DOUBLED = Op("doubled", lambda x: +x, jvp=None, vjp=None, rounding=_doubled_rounding, elementwise=True)
