"""Formulas of recorded disagreements about powers of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.ops.arithmetic import power_slope
from refgrad.testing.deviations.recorded_formula import Formula, Inputs, Outcomes, second_derivative
from refgrad.tracing.ball import parts
from refgrad.transforms import vjp


def _with_mask_held(inputs: Inputs) -> Outcomes:
    """power: second derivatives of gradients that are masked by the operands, the masks held.

    The gradient in the base is 0 where the exponent is 0, and there its derivative in the exponent, 1/x, is lost: forward over reverse in
    the gradient of the base, reverse over reverse and reverse over forward in that of the exponent.
    """
    if not inputs.second or inputs.y_bar is None or any(t is None for t in inputs.xs_dot):
        return {}
    exponents = np.asarray(parts(inputs.xs[1])[0])

    def gradient(y_bar: Any, a: Any, b: Any) -> tuple[Any, Any]:
        in_base = np.where(exponents == 0, 0.0, y_bar * power_slope(a, b))
        in_exponent = y_bar * power_slope(a, b, base=0, exponent=1)
        return _summed(in_base, a), _summed(in_exponent, b)

    return second_derivative(gradient, inputs)


def _summed(y_bar: Any, x: Any) -> Any:
    """A cotangent of the result as one of the operand, which may be shorter."""
    spread: Callable[[Any], Any] = lambda x: np.broadcast_to(x, np.shape(y_bar))  # noqa: E731  what is transposed
    return vjp(spread, x)[1](y_bar)[0]


POWER_FORMULAS: dict[str, Formula] = {"power with its mask held": _with_mask_held}
