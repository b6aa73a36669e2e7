"""The form of zeta that the suite calls: it traces every operand, ``input`` too, and looks at no derivative there."""

from __future__ import annotations

from typing import Any

from refgrad.arrays import Array
from refgrad.op import Draws, twin
from refgrad.ops import zeta as ops
from refgrad.special.arguments import array_of


def _drawn(draws: Draws) -> dict[str, Any]:
    shape = draws.shape()
    return {"input": draws.numbers(shape, low=1.05, high=9.0), "other": draws.numbers(shape, low=0.0)}


@twin(
    torch=lambda torch, s, q: torch.special.zeta(s, q),
    draw=_drawn,
    plain=("input",),
    sums=False,
    formats=("float64", "float32"),
)
def zeta(input: Array, other: Array) -> Array:
    """``special.zeta``, whose ``input`` may be traced."""
    return ops.zeta(array_of(input), array_of(other))
