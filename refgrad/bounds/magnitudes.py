"""Magnitudes for radii: computed in float64 where values are in long double.

A radius needs few digits, and NumPy's float64 loops are twenty times as fast as those of long double. An operation of float64 is off by
2^-53 of its result, which bounds.reference_slack accounts for. Numbers that float64 cannot hold to that precision (beyond its range, or
subnormal there) stay in long double. Small arrays stay there as well, for the calls are what they cost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array

LARGE = 256  # elements from which float64 is faster
_LONG = np.dtype(np.longdouble)
_SHORTER = np.finfo(_LONG).nmant > 52  # whether float64 is the shorter one
_TINY, _MAX = 2.0**-1022, float(np.finfo(np.float64).max)
_ABOVE = 1 + 2.0**-52
_SAFE = 2.0**-1000  # a radius in which half a subnormal number is less than a rounding


def size(x: Array, among: Array) -> Any:
    """|x|: to within 2^-53 in float64 where ``among`` is large, an array that x has the shape of or broadcasts to; else exactly."""
    if x.dtype is not _LONG or not shorter(among):
        return np.abs(x)
    if x.ndim == 0:
        number = abs(float(x))
        return np.float64(number) if _TINY <= number < math.inf or x == 0 else np.abs(x)
    near = np.asarray(x.astype(np.float64))
    np.abs(near, out=near)
    if near.max() < math.inf and (
        near.min() >= _TINY or np.count_nonzero(near >= _TINY) == np.count_nonzero(x)
    ):
        return near
    return np.abs(x)


def terms(x: Array) -> Array:
    """|x| as ``size`` gives it, in long double where float64 cannot hold the sum."""
    near = size(x, x)
    return near if near.dtype is x.dtype or float(near.max()) * near.size < _MAX else np.abs(x)


def shorter(y: Array) -> bool:
    """Whether the radius of y is formed in float64 though y is in long double."""
    return _SHORTER and y.dtype is _LONG and y.size >= LARGE


def alike(among: Array, xs: tuple[Array, ...], es: tuple[Array, ...]) -> list[Array]:
    """The magnitudes of several arrays: in float64 if all of them and the radii ``es`` can be, else all in long double."""
    if among.size < LARGE:
        return [np.abs(x) for x in xs]
    found = [size(x, among) for x in xs]
    if any(getattr(z, "dtype", None) is _LONG for z in (*found, *es)):
        return [np.abs(x) for x in xs]
    return found


def with_lost(carried: Any, y: Array, *products: tuple[Any, Any]) -> Any:
    """A carried radius of y, enlarged by what the ``products`` in it lose to underflow where they are products of float64."""
    if not shorter(y) or getattr(carried, "dtype", _LONG) is _LONG or carried.min() >= _SAFE:
        return carried
    possible: Any = False
    for a, b in products:
        if a is not None and b is not None:
            possible = possible | ((a > 0) & (b > 0))
    return carried + np.where((carried < _SAFE) & possible, 2.0**-1073, 0.0)


def radius(e: Array) -> Array:
    """The radius, rounded upwards to float64 where that loses no more than 2^-52 of any element; None as it is."""
    if not _SHORTER or getattr(e, "dtype", None) is not _LONG or e.size < LARGE:
        return e
    near = e.astype(np.float64)
    if np.count_nonzero(near >= _TINY) < np.count_nonzero(e) or not near.max() < math.inf:
        return e
    near *= _ABOVE
    return near


def within(x: Array, e: Array, limit: float) -> bool:
    """Whether |x| + e is below ``limit`` everywhere, by a quick test; False where it cannot tell (small arrays, NaN)."""
    if x.size < LARGE:
        return False
    near = np.asarray(x, np.float64)
    top = max(float(near.max()), -float(near.min())) + (0.0 if e is None else float(np.max(e)))
    return top < limit * (1 - 2.0**-50)


def upwards(x: Array) -> Array:
    """The smallest numbers of float64 that are not below x."""
    near = np.asarray(x).astype(np.float64)
    return np.where(near < x, np.nextafter(near, np.inf), near)


def flushable(x: Any, below: float) -> Array | None:
    """The radius of numbers of which kernels take those of a magnitude ``below`` this as zero; None where there are none."""
    if x.dtype.kind != "f":
        return None
    size = np.abs(x).astype(np.float64, copy=False)
    lost = (size < below) & (size > 0)
    return np.where(lost, size, 0.0) if np.count_nonzero(lost) else None


def flushed(radius: Any, y: Array, below: float) -> Any:
    """The radius of a result that kernels may take as zero where it is of a magnitude ``below`` this; that of an exact zero stays."""
    if y.dtype.kind != "f":
        return radius
    e = 0.0 if radius is None else radius
    lost = (np.abs(y) - e < below) & ((y != 0) | (e > 0))
    return e + np.where(lost, below, 0.0) if np.count_nonzero(lost) else radius
