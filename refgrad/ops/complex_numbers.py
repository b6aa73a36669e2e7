"""Ops of complex numbers that are not holomorphic, and powers: parts, conjugate, modulus. Convention: tracing/complex_operands.py.

Ops from or to complex numbers alone are in no registry: its tests, cases and drawings are for real operands. NumPy's names lead to them in
refgrad/functions/complex_numbers.py and by the records of np.absolute, np.sign and np.power.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.op import Op, register, shape_of
from refgrad.op.traits import HOLOMORPHIC, REAL_LINEAR
from refgrad.ops import by_parts, complex_functions
from refgrad.quiet import unwarned

conjugate = register(
    "conjugate", np.conjugate,
    jvp=lambda x_dot: np.conjugate(x_dot),
    vjp=lambda y_bar: np.conjugate(y_bar),
    rounding=bounds.same,
    numpy=(np.conjugate,),
    elementwise=True, branch_free=True, unit_slopes=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.conjugate,
)  # fmt: skip

# --- parts ------------------------------------------------------------------------------------------------------------

real: Op = Op(
    "real", lambda x: np.real(x),
    jvp=lambda x_dot: real(x_dot),
    vjp=lambda y_bar: y_bar,
    rounding=bounds.same,
    elementwise=True, branch_free=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.real,
)  # fmt: skip

imag: Op = Op(
    "imag", lambda x: np.imag(x),
    jvp=lambda x_dot: imag(x_dot),
    vjp=lambda y_bar: imaginary(y_bar),
    rounding=bounds.same,
    elementwise=True, branch_free=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.imag,
)  # fmt: skip


def _complex_dtype(*xs: Any) -> np.dtype[Any]:
    """The complex dtype whose parts hold numbers of the real dtypes."""
    return np.result_type(*[getattr(x, "dtype", float) for x in xs], np.complex64)


def _imaginary(x: PlainArray) -> PlainArray:
    y = np.zeros(np.shape(x), _complex_dtype(x))
    y.imag = x
    return y[()]


# i x, without a product: of infinity it would make NaN in the real part.
imaginary: Op = Op(
    "imaginary", _imaginary,
    jvp=lambda x_dot: imaginary(x_dot),
    vjp=lambda y_bar: imag(y_bar),
    rounding=bounds.same,
    elementwise=True, branch_free=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.imaginary,
)  # fmt: skip


def _without(x: Array) -> Array:
    """Zeros in the place of the other part."""
    return np.zeros(shape_of(x), x.dtype)


# a + i b, without a sum: it would lose the sign of a zero imaginary part, by which functions choose a side of their cut.
from_parts: Op = Op(
    "from_parts", lambda a, b: by_parts.joined(a, b)[()],
    jvp={"a": lambda a_dot: from_parts(a_dot, _without(a_dot)), "b": lambda b_dot: imaginary(b_dot)},
    vjp={"a": lambda y_bar: real(y_bar), "b": lambda y_bar: imag(y_bar)},
    rounding=bounds.same,
    broadcasts=True,
    elementwise=True, branch_free=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.of_parts,
)  # fmt: skip


def one_minus(z: Array) -> Array:
    """1 - z. At the cuts of roots the sign of a zero imaginary part counts, which the literal difference loses."""
    return -(z - 1)


def one_plus(z: Array) -> Array:
    """1 + z, with the sign of a zero imaginary part."""
    return z - (-1)


# --- modulus and sign -------------------------------------------------------------------------------------------------


def _unit(z: Array, y: Array) -> Array:
    """z/|z|, 0 at 0, as of real numbers."""
    return z / np.where(y == 0, 1, y)


# |z|: its gradient is the unit number z/|z|.
modulus = Op(
    "modulus", np.absolute,
    jvp=lambda x_dot, x, y: real(np.conjugate(_unit(x, y)) * x_dot),
    vjp=lambda y_bar, x, y: y_bar * _unit(x, y),
    rounding=bounds.same,
    elementwise=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.modulus,
)  # fmt: skip


def sign(x: Array) -> Array:
    """np.sign of complex numbers: z/|z|, 0 at 0."""
    return _unit(x, modulus(x))


# --- powers -----------------------------------------------------------------------------------------------------------


@unwarned
def _power(x1: Any, x2: Any) -> Any:
    return np.power(x1, x2)


def _power_slope(x1: Array, x2: Array) -> Array:
    """x2 x1^(x2 - 1), 0 for the exponent 0. Only at the base 0 the power has no value there, and any other serves."""
    constant = (x2 == 0) & (x1 == 0)
    return x2 * complex_power(x1, np.where(constant, 1, x2 - 1))


def _power_exponent(x1: Array, x2: Array, y: Array) -> Array:
    """x1^x2 log(x1); at x1 = 0 the limit 0 if x2 has a positive real part. Otherwise there is none: 0^t jumps from 1 to 0 at t = 0."""
    zero = x1 == 0
    limit = zero & (np.real(x2) > 0)
    base = np.where(limit, 1, np.where(zero, np.nan, x1))
    logarithm = np.log(base) if np.iscomplexobj(base) else np.log(np.abs(base)) + 1j * np.angle(base)
    return np.where(limit, 0, y * logarithm)


complex_power: Op = Op(
    "complex_power", _power,
    jvp={
        "x1": lambda x1_dot, x1, x2: x1_dot * _power_slope(x1, x2),
        "x2": lambda x2_dot, x1, x2, y: x2_dot * _power_exponent(x1, x2, y),
    },
    vjp={
        "x1": lambda y_bar, x1, x2: y_bar * _power_slope(x1, x2),
        "x2": lambda y_bar, x1, x2, y: y_bar * _power_exponent(x1, x2, y),
    },
    rounding=bounds.same,
    broadcasts=True,
    elementwise=True,
    complex_rules=HOLOMORPHIC, by_parts=complex_functions.power,
)  # fmt: skip


def power(x1: Array, x2: Array) -> Array:
    """np.power with a complex operand; whole exponents 1 and 2 as products, which are defined everywhere."""
    if np.ndim(x2) == 0 and isinstance(x2, (int, float, np.integer, np.floating)) and x2 in (1, 2):
        return np.positive(x1) if x2 == 1 else np.square(x1)
    return complex_power(x1, x2)
