"""Bessel functions, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.ops import bessel, modified_bessel, modified_bessel_second, scaled_modified_bessel
from refgrad.special.arguments import array_of


def bessel_j0(input: Array) -> Array:
    """The Bessel function of the first kind of order 0; 0 at infinity. Shape and dtype of the input."""
    return bessel.bessel_j0(array_of(input))


def bessel_j1(input: Array) -> Array:
    """The Bessel function of the first kind of order 1; 0 at infinity. Shape and dtype of the input."""
    return bessel.bessel_j1(array_of(input))


def bessel_y0(input: Array) -> Array:
    """The Bessel function of the second kind of order 0: -inf at 0, NaN below. Shape and dtype of the input."""
    return bessel.bessel_y0(array_of(input))


def bessel_y1(input: Array) -> Array:
    """The Bessel function of the second kind of order 1: -inf at 0, NaN below. Shape and dtype of the input."""
    return bessel.bessel_y1(array_of(input))


def i0(input: Array) -> Array:
    """The modified Bessel function of order 0, as np.i0. Shape and dtype of the input."""
    return modified_bessel.i0(array_of(input))


def i1(input: Array) -> Array:
    """The modified Bessel function of order 1. Shape and dtype of the input."""
    return modified_bessel.i1(array_of(input))


modified_bessel_i0, modified_bessel_i1 = i0, i1


def i0e(input: Array) -> Array:
    """exp(-|input|) i0(input), which does not overflow: a kink at 0. Shape and dtype of the input."""
    return scaled_modified_bessel.i0e(array_of(input))


def i1e(input: Array) -> Array:
    """exp(-|input|) i1(input), which does not overflow. Shape and dtype of the input."""
    return scaled_modified_bessel.i1e(array_of(input))


def modified_bessel_k0(input: Array) -> Array:
    """The modified Bessel function of the second kind of order 0: inf at 0, NaN below. Shape and dtype of the input."""
    return modified_bessel_second.modified_bessel_k0(array_of(input))


def modified_bessel_k1(input: Array) -> Array:
    """The modified Bessel function of the second kind of order 1: inf at 0, NaN below. Shape and dtype of the input."""
    return modified_bessel_second.modified_bessel_k1(array_of(input))


def scaled_modified_bessel_k0(input: Array) -> Array:
    """exp(input) modified_bessel_k0(input), which does not underflow. Shape and dtype of the input."""
    return modified_bessel_second.scaled_modified_bessel_k0(array_of(input))


def scaled_modified_bessel_k1(input: Array) -> Array:
    """exp(input) modified_bessel_k1(input), which does not underflow. Shape and dtype of the input."""
    return modified_bessel_second.scaled_modified_bessel_k1(array_of(input))
