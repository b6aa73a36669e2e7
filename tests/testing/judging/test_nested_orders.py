"""Second derivatives in each order of nesting, compared with closed forms; the bound is the largest of all orders."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.testing.judging.nested_orders import Nested, stacked, widest
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import jvp, vjp

X, Y_BAR = np.array([1.5, -2.0]), np.array([0.25, 3.0])
X_DOT, Y_BAR_DOT, X_DOT_AGAIN = np.array([2.0, 0.5]), np.array([1.0, -4.0]), np.array([0.75, 8.0])


def nested(f, dtype: str = "float64") -> Nested:
    fmt = FORMATS[dtype]

    seeds = {"y_bars": Y_BAR, "x_dots": X_DOT, "y_bar_dots": Y_BAR_DOT, "x_dots_again": X_DOT_AGAIN}
    return Nested(f, fmt, [exact(X, fmt)], **{name: [exact(x, fmt)] for name, x in seeds.items()})


DUE = {  # of y = x^3
    "second_gradient": 6 * X * X_DOT * Y_BAR,
    "tangent": 3 * X**2 * X_DOT,
    "gradient": 3 * X**2 * Y_BAR,
    "tangent_of_gradient": 6 * X * X_DOT * Y_BAR + 3 * X**2 * Y_BAR_DOT,
    "second_tangent": 6 * X * X_DOT * X_DOT_AGAIN,
}


@pytest.mark.parametrize("dtype", computed_on())
@pytest.mark.parametrize("name", list(DUE))
def test_second_derivatives_of_a_cube_have_bounds_of_few_roundings(name: str, dtype: str) -> None:
    (found,) = getattr(nested(lambda x: (x**3,), dtype), name)
    value, radius = parts(found)
    assert np.all(value == DUE[name])  # these numbers are short, so no digit is lost
    assert np.all(radius > 0)
    assert np.all(radius < 10 * FORMATS[dtype].u * np.abs(DUE[name]))


@pytest.mark.parametrize("name", list(DUE))
def test_second_derivatives_of_a_linear_function_are_zero(name: str) -> None:
    (found,) = getattr(nested(lambda x: (3 * x,)), name)
    due = {"tangent": 3 * X_DOT, "gradient": 3 * Y_BAR, "tangent_of_gradient": 3 * Y_BAR_DOT}
    assert np.all(parts(found)[0] == due.get(name, np.zeros(2)))


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("reverse over reverse", ["second_gradient", "tangent"]),
        ("reverse over forward", ["second_gradient", "gradient"]),
        ("forward over reverse", ["tangent_of_gradient"]),
        ("forward over forward", ["second_tangent"]),
        ("reverse", ["gradient"]),
        ("forward", ["tangent"]),
    ],
)
def test_an_order_alone_has_the_same_numbers_and_no_wider_bound(order: str, names: list[str]) -> None:
    it = nested(lambda x: (np.exp(x) / np.sum(np.exp(x)),))
    for name, alone in zip(names, it.alone(order), strict=True):
        (found,) = getattr(it, name)
        assert np.allclose(alone.value, found.value, rtol=1e-15)
        assert np.all(alone.radius <= found.radius)
    cubed = nested(lambda x: (x**3,))
    assert all(np.all(a.value == DUE[name]) for name, a in zip(names, cubed.alone(order), strict=True))


def test_the_widest_bound_counts_and_a_number_goes_before_nan() -> None:
    fmt = FORMATS["float32"]
    one = Ball(np.array([1.0, np.nan]), np.array([0.5, np.nan]), fmt)
    other = Ball(np.array([1.0, 2.0]), np.array([0.75, 0.25]), fmt)
    (found,) = widest([[one], [other]], fmt)
    assert found.value.tolist() == [1.0, 2.0]
    assert found.radius.tolist() == [0.75, 0.25]


@pytest.mark.parametrize("name", ["second_gradient", "tangent_of_gradient"])
def test_the_bound_is_that_of_any_order(name: str) -> None:
    it = nested(lambda x: (np.exp(x) / np.sum(np.exp(x)),))
    moved = (
        (it.xs, it.x_dots)
        if name == "second_gradient"
        else ((*it.xs, *it.y_bars), (*it.x_dots, *it.y_bar_dots))
    )

    def gradient(x, y_bar=it.y_bars[0]):
        return vjp(it.f, x)[1]((y_bar,))

    (forward_over_reverse,) = jvp(gradient, *moved)[1]
    (found,) = getattr(it, name)
    assert np.all(found.radius >= forward_over_reverse.radius)
    assert np.any(found.radius > 1.01 * forward_over_reverse.radius)


def test_stacked_balls_have_a_new_first_axis() -> None:
    fmt = FORMATS["float32"]
    found = stacked([exact(X, fmt), Ball(Y_BAR, np.array([0.5, 0.25]), fmt)], fmt)
    assert found.value.tolist() == [X.tolist(), Y_BAR.tolist()]
    assert found.radius.tolist() == [[0.0, 0.0], [0.5, 0.25]]
