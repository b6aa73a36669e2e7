"""Formulas of recorded disagreements of HIPS autograd, PyTensor and JAX."""

from __future__ import annotations

import numpy as np

from refgrad.testing.deviations.framework_formulas import FRAMEWORK_FORMULAS as FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, within
from tests.testing.deviations.test_wrong_formulas import asked, value


def test_the_argsort_of_negative_axes_puts_the_numbers_in_other_places() -> None:
    y_bar = np.array([[[0.0, 2.0], [1.0, 3.0]]])  # the transpose of 0, 1, 2, 3 by the axes (2, -2, 0)
    axes = {"axes": (2, -2, 0)}
    found = FORMULAS["transpose by the argsort of its axes"](
        asked(np.zeros((2, 2, 1)), y_bar=y_bar, params=axes)
    )
    assert value(found[0][0]).ravel().tolist() == [0.0, 2.0, 1.0, 3.0]


def test_extremes_over_misplaced_axes_choose_other_elements_or_none() -> None:
    x = np.array([[[1.0, 8.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 2.0]]])
    params = {"axis": (-2, 2), "keepdims": False}
    [ball] = FORMULAS["max over misplaced axes"](asked(x, xs_dot=[x], params=params))[TANGENT]
    assert value(ball)[0] == 8.0  # 8 and 7 are compared along the wrong axis
    assert FORMULAS["max over misplaced axes"](asked(x, xs_dot=[x], params={**params, "axis": 1})) == {}


def test_a_root_in_float32_moves_norms_of_order_3_alone() -> None:
    x, rest = np.array([1.0, 2.0, 3.0]), {"axis": None, "keepdims": False}
    for order, moved in ((3, True), (4, False)):
        [ball] = FORMULAS["norm by a root in float32"](asked(x, params={"ord": order, **rest}))[VALUE]
        assert bool(abs(value(ball) - np.sum(x**order) ** (1 / order)) > 1e-9) is moved


def test_a_logit_by_a_quotient_is_undefined_at_one() -> None:
    ends = np.array([0.25, 1.0])
    with np.errstate(all="ignore"):
        [ball] = FORMULAS["logit by a quotient"](asked(ends, y_bar=np.ones(2)))[0]
    assert within(1 / 0.1875, ball, (0,), 1.0)
    assert not within(1.01 / 0.1875, ball, (0,), 1.0)
    assert within(np.nan, ball, (1,), 1.0)


def test_products_are_divided_by_factors_and_powers_multiplied_by_their_factor() -> None:
    x, three = np.array([2.0, 4.0, 8.0]), {"axis": None, "keepdims": False}
    [ball] = FORMULAS["product by quotients"](asked(x, y_bar=3.0, params=three))[0]
    assert value(ball).tolist() == [96.0, 48.0, 24.0]
    [ball] = FORMULAS["power of one less by its factor"](asked(x, np.full(3, 2.0), y_bar=np.ones(3)))[0]
    assert value(ball).tolist() == [4.0, 8.0, 16.0]
    along = asked(x, np.full(3, 2.0), xs_dot=[np.full(3, 0.5), np.zeros(3)])
    [ball] = FORMULAS["power of one less by its factor"](along)[TANGENT]
    assert value(ball).tolist() == [2.0, 4.0, 8.0]


def test_tanhshrink_by_factors_has_the_same_slope_and_no_digit_near_zero() -> None:
    x, w = np.array([0.75, 1e-9]), np.array([-3.0, -3.0])
    found = FORMULAS["tanhshrink by the factors of tanh's slope"](asked(x, y_bar=w, xs_dot=[w]))
    for key in (0, TANGENT):
        [ball] = found[key]
        assert within(-3 * np.tanh(0.75) ** 2, ball, (0,), 1.0)
        assert not within(-3.01 * np.tanh(0.75) ** 2, ball, (0,), 1.0)
        assert within(4 * -3e-18, ball, (1,), 1.0)
        assert not within(-3e-14, ball, (1,), 1.0)


def test_softsign_without_its_square_is_the_slope_but_for_numbers_whose_square_overflows() -> None:
    x, w = np.array([3.0, 1e200]), np.array([-2.0, -2.0])
    found = FORMULAS["softsign without its square"](asked(x, y_bar=w, xs_dot=[w]))
    for key in (0, TANGENT):
        [ball] = found[key]
        assert within(-2 / 16, ball, (0,), 1.0)
        assert not within(-2.001 / 16, ball, (0,), 1.0)
        assert within(-2e-200, ball, (1,), 1.0)
        assert not within(0.0, ball, (1,), 1.0)
        assert not within(-2.001e-200, ball, (1,), 1.0)
