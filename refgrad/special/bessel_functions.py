"""Modified Bessel functions, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.ops import modified_bessel
from refgrad.special.arguments import array_of


def i0(input: Array) -> Array:
    """The modified Bessel function of order 0, as np.i0. Shape and dtype of the input."""
    return modified_bessel.i0(array_of(input))


def i1(input: Array) -> Array:
    """The modified Bessel function of order 1. Shape and dtype of the input."""
    return modified_bessel.i1(array_of(input))
