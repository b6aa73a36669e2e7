"""Modified Bessel functions, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.ops import modified_bessel, scaled_modified_bessel
from refgrad.special.arguments import array_of


def i0(input: Array) -> Array:
    """The modified Bessel function of order 0, as np.i0. Shape and dtype of the input."""
    return modified_bessel.i0(array_of(input))


def i1(input: Array) -> Array:
    """The modified Bessel function of order 1. Shape and dtype of the input."""
    return modified_bessel.i1(array_of(input))


def i0e(input: Array) -> Array:
    """exp(-|input|) i0(input), which does not overflow: a kink at 0. Shape and dtype of the input."""
    return scaled_modified_bessel.i0e(array_of(input))


def i1e(input: Array) -> Array:
    """exp(-|input|) i1(input), which does not overflow. Shape and dtype of the input."""
    return scaled_modified_bessel.i1e(array_of(input))
