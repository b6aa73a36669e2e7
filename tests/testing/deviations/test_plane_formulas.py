"""The derivatives of an angle by squares of the coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.plane_formulas import PLANE_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs, within
from refgrad.tracing.ball import exact

FMT = FORMATS["float32"]
NAMES = ("arctan2 by squares", "complex.angle by squares")


def found(name: str, size: float, *, second: bool = False) -> Any:
    """The outcomes at the point (size, size/2)."""
    x, y = exact(np.array([size]), FMT), exact(np.array([size / 2]), FMT)
    xs = (y, x) if name == NAMES[0] else (x, y)
    one = exact(np.array([1.0]), FMT)
    return PLANE_FORMULAS[name](Inputs(second, xs, {}, one, (one, one), FMT))


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_points_have_the_derivative_and_nothing_else(name: str) -> None:
    dy, dx = 0.8 / 2.0, -0.4 / 2.0
    due = {TANGENT: dy + dx} | dict(enumerate((dy, dx) if name == NAMES[0] else (dx, dy)))
    for key, number in due.items():
        for ball in found(name, 2.0)[key]:
            assert within(number, ball, (0,), 1.0)
            assert not within(number * (1 + 1e-5), ball, (0,), 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_squares_that_overflow_leave_zero_alone(name: str) -> None:
    for balls in found(name, 1e25).values():
        assert all(within(0.0, ball, (0,), 1.0) for ball in balls)
        assert not any(within(4e-26, ball, (0,), 1.0) for ball in balls)


@pytest.mark.parametrize("name", NAMES)
def test_squares_that_underflow_leave_anything(name: str) -> None:
    for balls in found(name, 1e-25).values():
        assert any(within(np.inf, ball, (0,), 1.0) for ball in balls)


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_are_not_explained(name: str) -> None:
    assert found(name, 2.0, second=True) == {}
