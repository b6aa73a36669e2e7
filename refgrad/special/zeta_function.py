"""The Hurwitz zeta function, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.special import zeta_twins
from refgrad.tracing.differentiable_arguments import holds_traced


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
    return zeta_twins.zeta(input, other)
