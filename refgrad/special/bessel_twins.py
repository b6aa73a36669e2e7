"""The forms of the Bessel functions that the suite calls. torch has their values alone, so no derivative is asked for.

Its results do not require a gradient, though the operand does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refgrad.arrays import Array
from refgrad.op import Draws, twin
from refgrad.op.function import Composition, Drawer
from refgrad.ops import bessel, modified_bessel_second, spherical_bessel
from refgrad.special.arguments import array_of

_FORMATS = ("float64", "float32")


def _anywhere(draws: Draws) -> dict[str, Any]:
    shape, far = draws.shape(), draws.choice((3.0, 5.0, 60.0))
    return {"input": draws.numbers(shape, low=-far, high=far)}


def _positive(draws: Draws) -> dict[str, Any]:
    shape, far = draws.shape(), draws.choice((3.0, 5.0, 60.0))
    return {"input": draws.numbers(shape, low=0.0, high=far)}


def _value_alone(draw: Drawer) -> Callable[[Composition], Composition]:
    """``twin`` of a function of torch.special with the name of the decorated one, which is asked for its value."""

    def declare(function: Composition) -> Composition:
        name = function.__name__
        return twin(
            torch=lambda torch, x: getattr(torch.special, name)(x),
            draw=draw,
            plain=("input",),
            sums=False,
            formats=_FORMATS,
        )(function)

    return declare


@_value_alone(_anywhere)
def bessel_j0(input: Array) -> Array:
    """``special.bessel_j0``, whose value alone is judged."""
    return bessel.bessel_j0(array_of(input))


@_value_alone(_anywhere)
def bessel_j1(input: Array) -> Array:
    """``special.bessel_j1``, whose value alone is judged."""
    return bessel.bessel_j1(array_of(input))


@_value_alone(_positive)
def bessel_y0(input: Array) -> Array:
    """``special.bessel_y0``, whose value alone is judged."""
    return bessel.bessel_y0(array_of(input))


@_value_alone(_positive)
def bessel_y1(input: Array) -> Array:
    """``special.bessel_y1``, whose value alone is judged."""
    return bessel.bessel_y1(array_of(input))


@_value_alone(_positive)
def modified_bessel_k0(input: Array) -> Array:
    """``special.modified_bessel_k0``, whose value alone is judged."""
    return modified_bessel_second.modified_bessel_k0(array_of(input))


@_value_alone(_positive)
def modified_bessel_k1(input: Array) -> Array:
    """``special.modified_bessel_k1``, whose value alone is judged."""
    return modified_bessel_second.modified_bessel_k1(array_of(input))


@_value_alone(_positive)
def scaled_modified_bessel_k0(input: Array) -> Array:
    """``special.scaled_modified_bessel_k0``, whose value alone is judged."""
    return modified_bessel_second.scaled_modified_bessel_k0(array_of(input))


@_value_alone(_positive)
def scaled_modified_bessel_k1(input: Array) -> Array:
    """``special.scaled_modified_bessel_k1``, whose value alone is judged."""
    return modified_bessel_second.scaled_modified_bessel_k1(array_of(input))


@_value_alone(_anywhere)
def spherical_bessel_j0(input: Array) -> Array:
    """``special.spherical_bessel_j0``, whose value alone is judged."""
    return spherical_bessel.spherical_bessel_j0(array_of(input))
