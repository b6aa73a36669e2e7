"""Rounding to a format: the nearest of its numbers, ties to even, with subnormals and its range."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet


def representable(x: ArrayLike, fmt: Format) -> PlainArray:
    """Whether each element has at most ``fmt.bits`` significant bits (non-finite ones count as exact)."""
    with quiet():
        scaled = np.ldexp(np.frexp(x)[0], fmt.bits)
        return (scaled == np.rint(scaled)) | ~np.isfinite(x)


def nearest(x: ArrayLike, fmt: Format) -> PlainArray:
    """The numbers of the format nearest to x, in float64: see ``rounded``."""
    x = np.asarray(x)
    if fmt.native:
        with np.errstate(over="ignore", under="ignore"):
            return x.astype(fmt.name).astype(np.float64)
    return rounded(x, fmt).astype(np.float64)


def rounded(x: ArrayLike, fmt: Format) -> PlainArray:
    """The numbers of the format nearest to x (ties to even), of the shape and in the dtype of x, to which they are rounded in turn.

    A number beyond the range becomes infinite; in a format without infinities it becomes the largest number, as does infinity itself.
    The sign of zero is kept, and NaN is.
    """
    x = np.asarray(x)
    wide = x.astype(np.result_type(x.dtype, np.float64), copy=False)
    with quiet():
        _, exponent = np.frexp(wide)
        unit = np.ldexp(1.0, np.maximum(exponent - fmt.bits, math.frexp(fmt.least)[1] - 1))
        y = np.rint(wide / unit) * unit
        beyond = np.abs(y) > fmt.max
        if np.count_nonzero(beyond):
            y = np.where(beyond, np.copysign(np.inf if fmt.infinity else fmt.max, y), y)
        return y.astype(x.dtype, copy=False)
