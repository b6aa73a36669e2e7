"""Elementwise NumPy functions as compositions of ops. Importing this module registers them for traced arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import DtypeError, NoRuleError, TracingError
from refgrad.op import Traced, apply
from refgrad.ops import (
    activation,
    complex_numbers,
    exponential,
    extremes,
    hyperbolic,
    logic,
    modified_bessel,
    selection,
    trigonometric,
)
from refgrad.tracing.differentiable_arguments import plain
from refgrad.tracing.dispatch import implements, operand

_NONE: Any = np._NoValue

# Imported for their ops: `import refgrad` registers all of them.
FAMILIES = (activation, exponential, hyperbolic, logic, selection, trigonometric)


@implements(np.clip)
def clip(a: Array, a_min: Any = None, a_max: Any = None, out: None = None, **renamed: Array) -> Array:
    """np.clip: a bound of None is no bound; NumPy 2.1 also calls the bounds min and max."""
    if renamed.keys() - {"min", "max"}:
        raise NoRuleError(
            f"np.clip: argument {sorted(renamed)} is not supported on traced arrays; min and max are"
        )
    low, high = _given(renamed.get("min"), a_min), _given(renamed.get("max"), a_max)
    if low is None and high is None:
        return np.positive(a)
    if low is None:
        return np.minimum(a, high)
    if high is None:
        return np.maximum(a, low)
    return extremes.clip(a, low, high)


@implements(np.round, np.around)
def round_half_even(a: Array, decimals: int = 0, out: None = None) -> Array:
    """np.round: to the nearest multiple of 10^-decimals, ties to even."""
    decimals = operator.index(decimals)
    if decimals == 0:
        return np.rint(a)
    return (
        np.rint(a * 10.0**decimals) / 10.0**decimals
        if decimals > 0
        else np.rint(a / 10.0**-decimals) * 10.0**-decimals
    )


@implements(np.nan_to_num)
def nan_to_num(
    x: Array, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Array:
    """np.nan_to_num: the replaced elements are constants, with derivative 0; of a complex number each part by itself."""
    given, limits = x, np.finfo(x.dtype)
    if x.dtype.kind == "c":
        re, im = [nan_to_num(part, True, nan, posinf, neginf) for part in (x.real, x.imag)]
        return _in_place(given, complex_numbers.from_parts(re, im), copy)
    for mask, new in (
        (np.isnan(x), nan),
        (x == np.inf, limits.max if posinf is None else posinf),
        (x == -np.inf, limits.min if neginf is None else neginf),
    ):
        x = np.where(mask, operand(new).astype(x.dtype) if hasattr(new, "dtype") else new, x)
    return _in_place(given, x, copy)


def _in_place(given: Array, x: Array, copy: bool) -> Array:
    """x, or without a copy the array that was given, after x has been written into it."""
    if not copy and isinstance(given, np.ndarray):
        given[...] = x
        x = given
    return _number(x)


@implements(np.float_power)
def float_power(x1: Array, x2: Array) -> Array:
    """np.float_power: power in at least float64."""
    dtype = np.result_type(np.float64, *[x.dtype for x in (x1, x2) if hasattr(x, "dtype")])
    base, exponent = [x.astype(dtype) if hasattr(x, "astype") else x for x in (x1, x2)]
    return np.power(base, exponent)


@implements(np.ldexp)
def ldexp(x1: Array, x2: Array) -> Array:
    """np.ldexp: x1 times 2 to an integer power. Raises TracingError for an exponent that is being differentiated."""
    if isinstance(x2, Traced):
        raise TracingError(
            "np.ldexp takes an integer exponent, which has no derivative. Write x1 * np.exp2(x2)."
        )
    # A whole power of two may leave the range where the product does not: three of at most 2^top reach from the least number to infinity.
    top = np.finfo(x1.dtype).maxexp - 1
    x2 = np.clip(np.add(x2, np.int64(0)), -3 * top, 3 * top)  # whatever the width of x2 is
    third = np.floor_divide(x2 + 1, 3)
    for part in (third, third, x2 - 2 * third):
        x1 = x1 * np.ldexp(x1.dtype.type(1), part)
    return x1


@implements(np.frexp)
def frexp(x: Array) -> tuple[Array, Array]:
    """np.frexp: x divided by a power of two, which is constant wherever the derivative exists, and its exponent."""
    exponent = np.frexp(plain(x))[1]
    return ldexp(x, -exponent), exponent


@implements(np.nextafter)
def nextafter(x1: Array, x2: Array) -> Array:
    """np.nextafter: x1 plus a step that is constant wherever the derivative exists."""
    y = np.nextafter(plain(x1), plain(x2))
    if not isinstance(x1, Traced):
        return y
    with np.errstate(invalid="ignore"):
        step = y - plain(x1)  # exact, and so is the sum
    return _number(np.where(np.isfinite(step), x1 + np.where(np.isfinite(step), step, 0), y).astype(y.dtype))


@implements(np.spacing)
def spacing(x: Array) -> Array:
    """np.spacing, which is constant wherever the derivative exists."""
    return np.spacing(plain(x))


@implements(np.i0)
def i0(x: Array) -> Array:
    """The modified Bessel function of order 0. Of a number it is an array without axes, as NumPy's."""
    y: Array = modified_bessel.i0(operand(x), order=0)
    return y if y.ndim else y[...]


@implements(np.modf)
def modf(x: Array) -> tuple[Array, Array]:
    """np.modf: what stands behind the point and what stands before it, both with the sign of x."""
    whole = np.trunc(x)
    return _number(np.where(np.isinf(whole), np.copysign(np.zeros_like(whole), whole), fmod(x, 1.0))), whole


def _number(y: Array) -> Array:
    """y, or the number that ufuncs give where there are no axes; np.where makes an array of it."""
    return y if y.ndim else y[()]


@implements(np.divmod)
def divmod_(x1: Array, x2: Array) -> tuple[Array, Array]:
    """np.divmod: quotient and remainder of floor division."""
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


@implements(np.fmod)
def fmod(x1: Array, x2: Array) -> Array:
    """np.fmod: the remainder with the sign of x1."""
    sign = math.copysign(1.0, x1) if _is_python(x1) else np.copysign(1.0, x1)
    return sign * np.remainder(_size(x1), _size(x2))


def _size(x: Array) -> Array:
    """|x|; a Python number stays one, so that it takes the dtype of the other operand."""
    return abs(x) if _is_python(x) else np.abs(x)


def _is_python(x: Any) -> bool:
    return type(x) in (int, float, bool)


@implements(np.where)
def where(condition: Array, x: Array = _NONE, y: Array = _NONE, /) -> Any:
    """np.where: x or y by a condition; of a condition alone, the indices at which it holds."""
    if x is _NONE or y is _NONE:
        # Indices, or NumPy's error.
        return np.where(plain(condition), *[plain(a) for a in (x, y) if a is not _NONE])
    return apply(selection.where, (operand(condition), operand(x), operand(y)), {})


@implements(np.select)
def select(condlist: Sequence[Array], choicelist: Sequence[Array], default: Any = 0) -> Array:
    """np.select: the choice whose condition is the first to hold."""
    for k, condition in enumerate(condlist):
        dtype = condition.dtype if isinstance(condition, Traced) else np.asarray(condition).dtype
        if dtype.kind != "b":
            raise DtypeError(
                f"np.select: condition {k} has dtype {dtype}, a boolean array is expected. Write a comparison, such as x != 0."
            )
    y = operand(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = np.where(condition, operand(choice), y)
    return y


@implements(np.isposinf)
def isposinf(x: Array, out: None = None) -> Array:
    """np.isposinf. Raises NumPy's TypeError for complex numbers."""
    np.isposinf(np.zeros((), getattr(x, "dtype", type(x))))
    return x == np.inf


@implements(np.isneginf)
def isneginf(x: Array, out: None = None) -> Array:
    """np.isneginf. Raises NumPy's TypeError for complex numbers."""
    np.isneginf(np.zeros((), getattr(x, "dtype", type(x))))
    return x == -np.inf


@implements(np.bitwise_and)
def bitwise_and(x1: Array, x2: Array) -> Array:
    """np.bitwise_and of conditions."""
    return np.logical_and(_condition(x1), _condition(x2))


@implements(np.bitwise_or)
def bitwise_or(x1: Array, x2: Array) -> Array:
    """np.bitwise_or of conditions."""
    return np.logical_or(_condition(x1), _condition(x2))


@implements(np.bitwise_xor)
def bitwise_xor(x1: Array, x2: Array) -> Array:
    """np.bitwise_xor of conditions."""
    return np.logical_xor(_condition(x1), _condition(x2))


@implements(np.invert)
def invert(x: Array) -> Array:
    """np.invert of a condition."""
    return np.logical_not(_condition(x))


def _given(new: Any, old: Any) -> Any:
    """The bound that was given, under its new or its old name."""
    return new if new is not None and new is not np._NoValue else None if old is np._NoValue else old


def _condition(x: Array) -> Array:
    if (x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype).kind != "b":
        raise NoRuleError(
            f"bitwise operations have rules for boolean arrays alone, got dtype {getattr(x, 'dtype', type(x).__name__)}"
        )
    return x
