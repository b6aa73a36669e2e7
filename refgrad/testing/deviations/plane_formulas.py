"""Formulas of recorded disagreements about the angle of a point: derivatives divide by the sum of the squares of the coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.testing.deviations.exponential_formulas import summed_to
from refgrad.testing.deviations.recorded_formula import TANGENT, Formula, Inputs, Outcomes
from refgrad.tracing.ball import parts


def _angle_by_squares(ordinate: int) -> Formula:
    """The derivatives (x, -y)/(x^2 + y^2) of the angle of the point (x, y), where ``ordinate`` is the position of y among the operands.

    A sum that overflows makes them 0. One that underflows has a reciprocal without a bound.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second or len(inputs.xs) != 2:
            return {}
        y, x = inputs.xs[ordinate], inputs.xs[1 - ordinate]
        squares = x * x + y * y
        beyond = parts(squares)[0] > inputs.fmt.max * (1 + 8 * inputs.fmt.u)
        reciprocal = np.where(beyond, 0.0, 1 / squares)
        found: Outcomes = {}
        for position, other in ((ordinate, x), (1 - ordinate, -y)):
            if inputs.y_bar is not None:
                given = (inputs.y_bar * (other * reciprocal), (inputs.y_bar * other) * reciprocal)
                found[position] = [summed_to(x_bar, inputs.xs[position].shape) for x_bar in given]
        y_dot, x_dot = inputs.xs_dot[ordinate], inputs.xs_dot[1 - ordinate]
        if y_dot is not None and x_dot is not None:
            apart: Any = y_dot * (x * reciprocal) - x_dot * (y * reciprocal)
            found[TANGENT] = [apart, (y_dot * x - x_dot * y) * reciprocal]
        return found

    return evaluate


PLANE_FORMULAS: dict[str, Formula] = {
    "arctan2 by squares": _angle_by_squares(0),
    "complex.angle by squares": _angle_by_squares(1),
}

__all__ = ["PLANE_FORMULAS"]
