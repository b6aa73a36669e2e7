"""What the rounding of a sum or product leaves behind, constants in two parts, and float64 inside for narrower formats.

Slopes far out depend on exp(-t) of a large t: an error of t that is a rounding of t is many roundings of the slope. So t is formed as
a sum of two numbers, and the second, small one enters as a factor 1 - t2. Dekker, "A floating-point technique for extending the
available precision" (1971); Ogita, Rump, Oishi, "Accurate sum and dot product" (2005).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar, cast

import numpy as np

from refgrad.arrays import Array
from refgrad.quiet import quietly

Function = TypeVar("Function", bound=Callable[..., Any])


def in_float64(function: Function) -> Function:
    """The function of arrays, computed in float64 for narrower ones and rounded once to their dtype; it gives no warnings.

    Arrays and numbers come first, of which NumPy finds the dtype; what is named is passed on as it is.
    """

    @functools.wraps(function)
    def call(*xs: Array, **params: Any) -> Array:
        dtype = np.result_type(*xs)
        wide = np.result_type(dtype, np.float64)
        y = quietly(function, *[np.asarray(x, wide) for x in xs], **params)
        return quietly(y.astype, dtype, copy=False)[()]

    return cast("Function", call)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b as its rounded value and what that leaves out."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a b as its rounded value and what that leaves out, for factors below the square root of the range."""
    p = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Array) -> tuple[Array, Array]:
    """a as a sum of two numbers with half the digits each."""
    bits = np.finfo(a.dtype).nmant + 1
    c = a.dtype.type(2 ** ((bits + 1) // 2) + 1) * a
    high = c - (c - a)
    return high, a - high


@functools.cache
def constant(digits: str, dtype: Any) -> tuple[Any, Any]:
    """The number of these decimal digits as the nearest number of ``dtype``, and what that leaves out."""
    high = dtype.type(digits)
    return high, dtype.type(float(Fraction(digits) - Fraction(*high.as_integer_ratio())))


PI = "3.14159265358979323846264338327950288419716939937510"


def times_exp(factor: Array, x: Array) -> Array:
    """factor exp(x) for x <= 0, of which the exponential alone may be below the normal range."""
    limits = np.finfo(x.dtype)
    shift = 64 if limits.minexp < -256 else 0
    low = x < np.log(limits.tiny) + shift / 4
    lifted = np.where(low, x + shift, x)  # exact: x is farther from 0 than the sum
    y = factor * np.exp(lifted)
    return np.where(low, y * np.exp(x.dtype.type(-shift)), y) if np.any(low) else y
