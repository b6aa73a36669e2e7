"""Formulas of recorded disagreements about logarithms of sums of exponentials."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.exponential_formulas import EXPONENTIAL_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, within
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]


def asked(*xs: object, y_bar: object, xs_dot: object, params: object = None) -> Inputs:
    """A node of these operands."""
    operands, tangents = (tuple(exact(np.asarray(x, float), FMT) for x in some) for some in (xs, xs_dot))
    return Inputs(False, operands, params or {}, exact(np.asarray(y_bar, float), FMT), tangents, FMT)


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_shares_by_the_value_lose_the_digits_of_a_large_value(name: str) -> None:
    formula = EXPONENTIAL_FORMULAS[f"shares of {name} by its value"]
    for size, lost in ((0.0, 1e-16), (1e9, 2e-8)):
        found = formula(asked([size], [size], y_bar=[2.0], xs_dot=([1.0], [1.0])))
        for ball, due in ((found[0][0], 1.0), (found[1][0], 1.0), (found[TANGENT][0], 1.0)):
            assert within(due * (1 + lost), ball, (0,), 1.0)
            assert not within(due * (1 + 1000 * lost), ball, (0,), 1.0)
    found = formula(asked([1.0], [1.0, 1.0], y_bar=[1.0, 1.0], xs_dot=([1.0], [1.0, 1.0])))
    assert found[0][0].shape == (1,)  # the gradient of an operand that was broadcast


@pytest.mark.parametrize("keepdims", [False, True])
def test_a_shift_that_is_differentiated_leaves_the_rounding_of_a_sum_at_the_largest_element(
    keepdims: bool,
) -> None:
    formula = EXPONENTIAL_FORMULAS["logarithm of a sum whose shift is differentiated"]
    x = np.linspace(-1e-4, 1e-4, 33)
    shape = (1,) if keepdims else ()
    found = formula(
        asked(x, y_bar=np.ones(shape), xs_dot=(np.ones(33),), params={"axis": 0, "keepdims": keepdims})
    )
    radius = np.asarray(parts(found[0][0])[1], float)
    assert radius[-1] > 5 * radius[-2]
    assert np.all(radius < 1e-13)
    assert found[TANGENT][0].shape == shape
    assert within(1.0, found[TANGENT][0], (0,) * len(shape), 1.0)


def test_an_infinite_element_makes_its_derivatives_nan_and_no_others() -> None:
    formula = EXPONENTIAL_FORMULAS["logarithm of a sum whose shift is differentiated"]
    with np.errstate(all="ignore"):
        found = formula(asked([np.inf], [1.0], y_bar=[1.0], xs_dot=([1.0], [1.0])))
    assert np.isnan(parts(found[0][0])[0]).all()
    assert np.asarray(parts(found[1][0])[0]).tolist() == [0.0]


def test_another_shift_leaves_a_rounding_of_float32_and_no_more() -> None:
    fmt, x = FORMATS["bfloat16"], np.array([[0.5, -2.0, 1.25]])
    inputs = Inputs(False, (exact(x, fmt),), {"axis": 0}, None, (None,), fmt)
    found = EXPONENTIAL_FORMULAS["log_softmax of another shift"](inputs)[VALUE][0]
    shift = np.float32(1.25)
    got = (x.astype(np.float32) - shift) - np.log(np.exp(x.astype(np.float32) - shift))
    assert all(within(float(got[0, k]), found, (0, k), 1.0) for k in range(3))
    assert not within(3e-6, found, (0, 0), 1.0)


def test_zero_for_infinity_gives_the_other_operand_its_exponential() -> None:
    formula = EXPONENTIAL_FORMULAS["shares of logaddexp with 0 for infinity"]
    with np.errstate(all="ignore"):
        found = formula(asked([np.inf, 0.0], [1.0, 0.0], y_bar=[2.0, 2.0], xs_dot=([0.0, 0.0], [1.0, 1.0])))
    assert within(2 * np.e, found[1][0], (0,), 1.0)
    assert not within(0.0, found[1][0], (0,), 1.0)
    assert within(1.0, found[1][0], (1,), 1.0)  # a half of what arrives, as it should be
    assert within(np.e, found[TANGENT][0], (0,), 1.0)


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_tangents_added_up_first_explain_only_rows_whose_sum_overflows(name: str, second: bool) -> None:
    fmt, n = FORMATS["float16"], 1000
    x, x_dot = exact(np.zeros((2, n)), fmt), exact(np.repeat([[66.0], [65.0]], n, axis=1), fmt)
    params = {"axis": -1, "keepdims": False} if name == "logsumexp" else {"axis": -1}
    y_bar = np.full(2 if name == "logsumexp" else (2, n), 0.125)
    found = EXPONENTIAL_FORMULAS[f"{name} of tangents added up first"](
        Inputs(second, (x,), params, exact(y_bar, fmt), (x_dot,), fmt)
    )
    [balls] = found.values()
    for ball in balls:
        at = (0,) * (ball.ndim - 1)
        assert within(np.inf, ball, (0, *at), 1.0), "66 n is beyond 65504"
        assert not within(np.inf, ball, (1, *at), 1.0), "65 n is not"
        assert not within(1e3, ball, (1, *at), 1.0)


@pytest.mark.parametrize(("name", "far"), [("logaddexp", 600.0), ("logaddexp2", 800.0)])
def test_second_derivatives_of_a_quotient_are_lost_only_where_its_square_underflows(
    name: str, far: float
) -> None:
    formula = EXPONENTIAL_FORMULAS[f"{name} by quotients"]
    for b, lost in ((1.0, False), (far, True)):
        inputs = asked([0.0], [b], y_bar=[1.25], xs_dot=([1.5], [-0.75]))
        assert formula(inputs) == {}, "first derivatives are right"
        found = formula(replace(inputs, second=True))
        ball = found[0][1]  # reverse over reverse
        assert within(0.0, ball, (0,), 1.0) == lost
        assert within(float(parts(ball)[0][0]), ball, (0,), 1.0)
        assert not within(1.0, ball, (0,), 1.0), "nor is it any number"
        assert not within(0.0, found[1][0], (0,), 1.0), "the nearer share does not underflow"
