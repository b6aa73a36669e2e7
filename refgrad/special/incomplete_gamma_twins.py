"""The forms of gammainc and gammaincc that the suite calls: they trace every operand, ``input`` too, and look at no derivative there."""

from __future__ import annotations

from typing import Any

from refgrad.arrays import Array
from refgrad.op import Draws, twin
from refgrad.ops import incomplete_gamma as ops
from refgrad.special.arguments import array_of


def _drawn(draws: Draws) -> dict[str, Any]:
    shape, far = draws.shape(), draws.choice((3.0, 30.0))
    return {
        "input": draws.numbers(shape, low=0.0, high=far),
        "other": draws.numbers(shape, low=0.0, high=far + 2),
    }


@twin(
    torch=lambda torch, a, x: torch.special.gammainc(a, x),
    draw=_drawn,
    plain=("input",),
    sums=False,
)
def gammainc(input: Array, other: Array) -> Array:
    """``special.gammainc``, whose ``input`` may be traced."""
    return ops.gammainc(array_of(input), array_of(other))


@twin(
    torch=lambda torch, a, x: torch.special.gammaincc(a, x),
    draw=_drawn,
    plain=("input",),
    sums=False,
)
def gammaincc(input: Array, other: Array) -> Array:
    """``special.gammaincc``, whose ``input`` may be traced."""
    return ops.gammaincc(array_of(input), array_of(other))
