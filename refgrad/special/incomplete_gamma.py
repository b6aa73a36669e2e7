"""The incomplete gamma functions, elementwise."""

from __future__ import annotations

from typing import Any

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.special import incomplete_gamma_twins
from refgrad.tracing.differentiable_arguments import holds_traced


def gammainc(input: Array, other: Array) -> Array:
    """The integral of t^(input - 1) exp(-t)/Gamma(input) from 0 to ``other``. The broadcast shape, and the common dtype.

    NaN where an argument is negative, both are 0 or both are infinite. It is differentiated in ``other`` alone, as in torch. Raises
    NoRuleError for a traced input.
    """
    _plain(input, "gammainc")
    return incomplete_gamma_twins.gammainc(input, other)


def gammaincc(input: Array, other: Array) -> Array:
    """1 - gammainc(input, other), with all digits where it is small. The broadcast shape, and the common dtype.

    It is differentiated in ``other`` alone, as in torch. Raises NoRuleError for a traced input.
    """
    _plain(input, "gammaincc")
    return incomplete_gamma_twins.gammaincc(input, other)


def _plain(x: Any, function: str) -> None:
    if holds_traced(x):
        raise NoRuleError(
            f"{function}: argument input is a traced array and has no rule, so its derivative would be lost. Pass plain numbers there, or "
            "refgrad.stop_gradient(input), whose derivative is 0"
        )
