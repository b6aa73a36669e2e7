"""The third judge is right where the answer is known, and says how right it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgrad.numeric import complex_step, differences, mpmath_diff

Array = Any
EPS = np.finfo(np.float64).eps
X, V = np.array([0.3, -1.2, 2.5]), np.array([1.0, -0.5, 0.25])

# f and its derivative along v, by hand.
KNOWN: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "square": (lambda x: x * x, lambda x, v: 2 * x * v),
    "exp": (np.exp, lambda x, v: np.exp(x) * v),
    "sin(3x)": (lambda x: np.sin(3 * x), lambda x, v: 3 * np.cos(3 * x) * v),
    "1/(4 + x)": (lambda x: 1 / (4 + x), lambda x, v: -v / (4 + x) ** 2),
    "sum of cubes": (lambda x: np.sum(x**3), lambda x, v: np.sum(3 * x**2 * v)),
    "outer": (lambda x: x[:, None] * x, lambda x, v: v[:, None] * x + x[:, None] * v),
    "constant": (lambda x: 0 * x + 7.0, lambda x, v: 0 * v),
    "stiff": (lambda x: np.exp(5 * x), lambda x, v: 5 * np.exp(5 * x) * v),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_complex_step_is_right_to_the_last_digits(name: str) -> None:
    f, derivative = KNOWN[name]
    expected = derivative(X, V)
    assert np.all(np.abs(complex_step(f, (X,), (V,)) - expected) <= 16 * EPS * np.abs(expected))


@pytest.mark.parametrize("name", KNOWN)
def test_differences_are_within_their_own_estimate(name: str) -> None:
    f, derivative = KNOWN[name]
    wide = [np.asarray(z, np.longdouble) for z in (X, V)]
    expected = derivative(*wide)
    found, error = differences(f, (X,), (V,))
    assert found.dtype == error.dtype == np.float64
    assert np.all(np.abs(found - expected) <= error + EPS * np.abs(expected))


@pytest.mark.parametrize("name", KNOWN)
def test_the_estimate_is_sharp(name: str) -> None:
    f, _ = KNOWN[name]
    found, error = differences(f, (X,), (V,))
    assert np.all(error <= 1e-10 * np.max(np.abs(found)) + 1e-14)


def test_the_estimate_grows_at_a_kink() -> None:
    _, error = differences(np.abs, (np.array([1e-3]),), (np.ones(1),))
    assert error[0] > 1e-6 or differences(np.abs, (np.array([1e-3]),), (np.ones(1),))[0][0] == 1.0


def test_a_point_without_derivative_is_no_number_to_trust() -> None:
    _, error = differences(np.sqrt, (np.zeros(1),), (np.ones(1),))
    assert not error[0] < 1.0


def test_elements_converge_each_at_its_own_step() -> None:
    x = np.array([1.0, 0.02])  # the second lies closer to the pole than the first step
    found, error = differences(lambda x: 1 / x, (x,), (np.ones(2),))
    expected = -1 / np.asarray(x, np.longdouble) ** 2
    assert np.all(np.abs(found - expected) <= error + EPS * np.abs(expected))
    assert np.all(error < 1e-3 * np.abs(found))


def test_both_judges_take_several_primals() -> None:
    f = lambda a, b: a * b  # noqa: E731
    assert np.allclose(complex_step(f, (2.0, 3.0), (1.0, 10.0)), 23.0, rtol=4 * EPS)
    found, error = differences(f, (2.0, 3.0), (1.0, 10.0))
    assert abs(found - 23.0) <= error + 23 * EPS


MODERATE = st.integers(-300, 300).map(lambda n: n / 100)


@given(MODERATE, MODERATE, MODERATE, MODERATE)
def test_both_judges_agree_on_polynomials(x: float, y: float, x_dot: float, y_dot: float) -> None:
    f = lambda x, y: x**3 * y - 2 * x * y**2 + 7 * y  # noqa: E731
    exact = complex_step(f, (x, y), (x_dot, y_dot))
    found, error = differences(f, (x, y), (x_dot, y_dot))
    size = (3 * x * x * abs(y) + 2 * y * y) * abs(x_dot) + (abs(x) ** 3 + 4 * abs(x * y) + 7) * abs(y_dot)
    assert abs(exact - found) <= error + 16 * EPS * size


@pytest.mark.parametrize("position", [0, 1])
def test_mpmath_differentiates_in_one_operand(position: int) -> None:
    pytest.importorskip("mpmath")
    value = mpmath_diff(lambda x, y: x**3 * y**2, (2.0, 3.0), position)
    assert value == (108.0, 48.0)[position]


def test_mpmath_reaches_below_float64() -> None:
    mpmath = pytest.importorskip("mpmath")
    assert mpmath_diff(lambda x: mpmath.log(1 + x) - x, (1e-10,), 0) == pytest.approx(-1e-10, rel=1e-9, abs=0)
