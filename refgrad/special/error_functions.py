"""The error functions and the normal distribution, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.ops import error_functions, normal
from refgrad.special.arguments import array_of


def erf(input: Array) -> Array:
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to the input. Shape and dtype of the input."""
    return error_functions.erf(array_of(input))


def erfc(input: Array) -> Array:
    """1 - erf(input), with all digits where it is small. Shape and dtype of the input."""
    return error_functions.erfc(array_of(input))


def erfcx(input: Array) -> Array:
    """exp(input^2) erfc(input), which does not underflow. Shape and dtype of the input."""
    return error_functions.erfcx(array_of(input))


def erfinv(input: Array) -> Array:
    """The y with erf(y) = input: infinite at -1 and 1, NaN beyond. Shape and dtype of the input."""
    return error_functions.erfinv(array_of(input))


def ndtr(input: Array) -> Array:
    """The normal distribution function, with all digits where it is small. Shape and dtype of the input."""
    return normal.ndtr(array_of(input))


def log_ndtr(input: Array) -> Array:
    """The logarithm of the normal distribution function, also where that underflows. Shape and dtype of the input."""
    return normal.log_ndtr(array_of(input))


def ndtri(input: Array) -> Array:
    """The y with ndtr(y) = input: infinite at 0 and 1, NaN beyond. Shape and dtype of the input."""
    return normal.ndtri(array_of(input))
