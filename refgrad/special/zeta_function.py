"""The Hurwitz zeta function, elementwise."""

from __future__ import annotations

from typing import Any

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.op import Draws, twin
from refgrad.ops import zeta as ops
from refgrad.special.arguments import array_of
from refgrad.tracing.differentiable_arguments import holds_traced


def _drawn(draws: Draws) -> dict[str, Any]:
    shape = draws.shape()
    return {"input": draws.numbers(shape, low=1.05, high=9.0), "other": draws.numbers(shape, low=0.0)}


def _of_arrays(input: Array, other: Array) -> Array:
    return ops.zeta(array_of(input), array_of(other))


# The suite traces every operand, and looks at no derivative in ``input``: it calls the function without its refusal, by the same name.
_of_arrays.__name__ = "zeta"
twin(
    torch=lambda torch, s, q: torch.special.zeta(s, q),
    draw=_drawn,
    plain=("input",),
    sums=False,
    formats=("float64", "float32"),
)(_of_arrays)


def zeta(input: Array, other: Array) -> Array:
    """The sum of (other + k)^-input over k = 0, 1, ..., for input > 1 and other > 0. The broadcast shape, and the common dtype.

    Infinite where the input is 1 or ``other`` is 0, NaN elsewhere. It is differentiated in ``other`` alone, as in torch. Raises NoRuleError
    for a traced input.
    """
    if holds_traced(input):
        raise NoRuleError(
            "zeta: argument input is a traced array and has no rule, so its derivative would be lost. Pass plain numbers there, or "
            "refgrad.stop_gradient(input), whose derivative is 0"
        )
    return _of_arrays(input, other)
