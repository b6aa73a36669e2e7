"""The type of a named condition on the operands of an op, under which a recorded disagreement covers an element."""

from __future__ import annotations

from collections.abc import Callable

from refgrad.arrays import Array
from refgrad.bounds.formats import Format
from refgrad.op import Params

Operands = tuple[Array, ...]
# The covered places: of the broadcast operands, of the matrices of a stack, or one for all elements.
Place = Callable[[Operands, Params, Format], Array]

__all__ = ["Operands", "Place"]
