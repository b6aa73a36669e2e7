"""Formulas of recorded disagreements: their results, and how a wrong number is compared with them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refgrad import grad
from refgrad.bounds.formats import FORMATS
from refgrad.nn import gelu, gelu_tanh
from refgrad.testing.deviations.file import load, own_files
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, within
from refgrad.testing.deviations.wrong_formulas import FORMULAS
from refgrad.tracing.ball import exact, parts
from tests.recorded import CONFORMANCE, ENTRIES

FMT = FORMATS["float64"]


def asked(*xs, y_bar=None, xs_dot=None, params=None, second=False) -> Inputs:
    """A node of these operands."""

    def ball(x):
        return None if x is None else exact(np.asarray(x, float), FMT)

    dots = [None] * len(xs) if xs_dot is None else xs_dot
    return Inputs(second, tuple(map(ball, xs)), params or {}, ball(y_bar), tuple(map(ball, dots)), FMT)


def value(ball) -> np.ndarray:
    return np.asarray(parts(ball)[0], float)


def test_every_formula_is_behind_an_entry_and_the_other_way_round() -> None:
    others = [
        d
        for path, name in own_files(CONFORMANCE / "deviations.toml").items()
        for d in load(path, backend=name)
    ]
    assert ENTRIES
    assert {d.narrow.formula for d in others if d.narrow.formula} == set(FORMULAS)


X, Y_BAR = np.array([-2.0, -0.5, 0.75]), np.array([1.0, -3.0, 2.0])
SLOPES = {
    "softsign by composition": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "tanhshrink by composition": lambda x: np.tanh(x) ** 2,
    "sinc slope that cancels": lambda x: (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x)) / (np.pi * x**2),
    "sign by a quotient": np.sign,
    "a sixth in float32": lambda x: np.full(x.shape, float(np.float32(1 / 6))),
}


@pytest.mark.parametrize("name", SLOPES)
def test_a_slope_multiplies_what_arrives_in_reverse_and_in_forward_mode(name: str) -> None:
    found = FORMULAS[name](asked(X, y_bar=Y_BAR, xs_dot=[Y_BAR]))
    for key in (0, TANGENT):
        [ball] = found[key]
        assert np.all(
            np.abs(value(ball) - Y_BAR * SLOPES[name](X)) <= parts(ball)[1] + 4 * FMT.u * np.abs(Y_BAR)
        )
    assert set(FORMULAS[name](asked(X))) <= {VALUE}  # nothing arrives, nothing is sent


def test_the_exponential_minus_one_loses_digits_that_expm1_keeps() -> None:
    [ball] = FORMULAS["exp minus one"](asked([-1e-12], params={"alpha": 2.0}))[VALUE]
    lost = 2 * (np.exp(-1e-12) - 1)
    assert within(lost, ball, (0,), 1.0)
    assert not within(-2e-12 * 1.01, ball, (0,), 1.0)


def test_gelu_with_a_factor_in_float32_is_off_by_the_share_of_the_factor() -> None:
    found = FORMULAS["gelu_tanh by a factor in float32"](asked(X, y_bar=Y_BAR, xs_dot=[Y_BAR]))
    due, slope = gelu_tanh(X), grad(lambda x: np.sum(gelu_tanh(x)))(X)
    for got, right in ((found[VALUE], due), (found[0], Y_BAR * slope), (found[TANGENT], Y_BAR * slope)):
        off = np.abs(value(got[0]) - right)
        assert np.all(off > 1e3 * parts(got[0])[1])
        assert np.all(off < 1e-8)


def test_a_selection_that_interpolates_leaves_a_rounding_of_the_other_tangent() -> None:
    first, second = np.array([1.0]), np.array([0.1])
    given = FORMULAS["interpolated tangents"](asked([2.0], [1.0], xs_dot=[first, second]))[TANGENT]
    assert any(within(float(second[0] + (first[0] - second[0])), ball, (0,), 1.0) for ball in given)
    assert not any(within(1.0 + 1e-12, ball, (0,), 1.0) for ball in given)
    assert FORMULAS["interpolated tangents"](asked([2.0], [1.0], xs_dot=[first, None])) == {}


def test_a_floor_that_is_off_by_one_is_off_by_the_whole_step() -> None:
    found = FORMULAS["floor off by one"](asked([7.0], [2.0], y_bar=[1.5]))
    assert [value(b).tolist() for b in found[1]] == [[-3.0], [-6.0]]  # -y_bar (3 - 1), -y_bar (3 + 1)


def test_products_with_a_vector_are_rounded_before_they_are_summed() -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    half = FORMATS["bfloat16"]
    balls = [
        Inputs(False, (exact(x, half), exact(y, half)), {}, None, (None, None), half)
        for x, y in ((a, b), (b, a))
    ]
    for one, due in zip(balls, (a @ b, b @ a), strict=True):
        [ball] = FORMULAS["stored products"](one)[VALUE]
        assert value(ball).tolist() == due.tolist()
        assert np.all(parts(ball)[1] > 0)


def test_a_number_in_float64_differs_from_the_stored_one_by_its_rounding() -> None:
    single = FORMATS["float32"]
    x, number = exact(np.array([2.0, -3.0]), single), exact(np.float64(np.float32(0.01)), single)
    x_dot = exact(np.array([4.0, 1.0]), single)
    for xs, dots in (((x, number), (x_dot, None)), ((number, x), (None, x_dot))):
        [ball] = FORMULAS["a number in float64"](Inputs(False, xs, {}, None, dots, single))[TANGENT]
        assert within(0.04, ball, (0,), 1.0)
        assert not within(0.04 * (1 + 1e-6), ball, (0,), 1.0)
    assert FORMULAS["a number in float64"](Inputs(False, (x, x), {}, None, (x_dot, None), single)) == {}


@pytest.mark.parametrize(
    ("loss", "more", "slopes"),
    [
        ("mean_squared_error", {}, [2.0, -2.0]),
        ("smooth_l1_loss", {"beta": 4.0}, [0.25, -0.25]),
        ("smooth_l1_loss", {"beta": 0.5}, [1.0, -1.0]),
        ("smooth_l1_loss", {"beta": 0.0}, [1.0, -1.0]),
        ("huber_loss", {"delta": 0.5}, [0.5, -0.5]),
    ],
)
def test_the_tangents_of_a_loss_of_a_difference_are_multiplied_apart(
    loss: str, more: dict[str, float], slopes: list[float]
) -> None:
    xs, dots = ([1.5, 2.0], [0.5, 3.0]), [[1.0, 2.0], [3.0, 0.25]]
    terms = np.array(slopes) * (np.array(dots[0]) - dots[1])
    formula = FORMULAS[f"{loss} by two products"]
    for reduction, due in (("none", terms), ("sum", terms.sum()), ("mean", terms.mean())):
        [ball] = formula(asked(*xs, xs_dot=dots, params={"reduction": reduction, **more}))[TANGENT]
        assert np.array_equal(value(ball), due)
    assert formula(asked(*xs, xs_dot=[dots[0], None])) == {}


def test_the_exponential_of_degree_eight_has_wrong_terms_from_the_fifth_power_on() -> None:
    x = 0.5
    found = FORMULAS["matrix_exp by a polynomial of degree 8"](asked(np.diag(np.full(8, x), 1)))
    terms = value(found[VALUE][0])[0] / np.array([x**k / math.factorial(k) for k in range(9)])
    np.testing.assert_allclose(terms[:5], 1)
    np.testing.assert_allclose(terms[5:], [0.902348137, 0.758284111, 2 / 3, 2 / 3])


def test_gelu_by_a_polynomial_has_the_error_of_the_polynomial() -> None:
    x, seen = 0.10493337363004684, -0.048081956803798676  # of MLX, at -x
    [ball] = FORMULAS["gelu by a polynomial"](asked([-x]))[VALUE]
    assert within(seen, ball, (0,), 1.0)
    assert within(float(gelu(-x)), ball, (0,), 1.0)
    assert not within(seen * 1.001, ball, (0,), 1.0)
