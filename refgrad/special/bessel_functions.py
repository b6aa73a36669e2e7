"""Bessel functions, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.ops import modified_bessel, scaled_modified_bessel
from refgrad.special import bessel_twins as twins
from refgrad.special.arguments import array_of


def bessel_j0(input: Array) -> Array:
    """The Bessel function of the first kind of order 0; 0 at infinity. Shape and dtype of the input."""
    return twins.bessel_j0(input)


def bessel_j1(input: Array) -> Array:
    """The Bessel function of the first kind of order 1; 0 at infinity. Shape and dtype of the input."""
    return twins.bessel_j1(input)


def bessel_y0(input: Array) -> Array:
    """The Bessel function of the second kind of order 0: -inf at 0, NaN below. Shape and dtype of the input."""
    return twins.bessel_y0(input)


def bessel_y1(input: Array) -> Array:
    """The Bessel function of the second kind of order 1: -inf at 0, NaN below. Shape and dtype of the input."""
    return twins.bessel_y1(input)


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
    return twins.modified_bessel_k0(input)


def modified_bessel_k1(input: Array) -> Array:
    """The modified Bessel function of the second kind of order 1: inf at 0, NaN below. Shape and dtype of the input."""
    return twins.modified_bessel_k1(input)


def scaled_modified_bessel_k0(input: Array) -> Array:
    """exp(input) modified_bessel_k0(input), which does not underflow. Shape and dtype of the input."""
    return twins.scaled_modified_bessel_k0(input)


def scaled_modified_bessel_k1(input: Array) -> Array:
    """exp(input) modified_bessel_k1(input), which does not underflow. Shape and dtype of the input."""
    return twins.scaled_modified_bessel_k1(input)


def spherical_bessel_j0(input: Array) -> Array:
    """sin(input)/input, 1 at 0 and 0 at infinity. Shape and dtype of the input."""
    return twins.spherical_bessel_j0(input)
