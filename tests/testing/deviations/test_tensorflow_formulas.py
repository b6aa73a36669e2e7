"""Formulas that TensorFlow computes: its own numbers are known, and an ordinary wrong number is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, within
from refgrad.testing.deviations.tensorflow_formulas import TENSORFLOW_FORMULAS
from refgrad.tracing.ball import exact

FMT = FORMATS["bfloat16"]


def asked(*xs: object, y_bar: object = None, x_dot: object = None, **params: object) -> Inputs:
    """A node of these operands, of which the first one may move."""
    balls = tuple(exact(np.asarray(x, float), FMT) for x in xs)
    arriving = None if y_bar is None else exact(np.asarray(y_bar, float), FMT)
    moving = None if x_dot is None else exact(np.asarray(x_dot, float), FMT)
    return Inputs(False, balls, params, arriving, (moving,) + (None,) * (len(xs) - 1), FMT)


def known(name: str, key: int | str, got: float, element: tuple[int, ...], given: Inputs) -> bool:
    """Whether a number is that of the formula."""
    return any(within(got, ball, element, 1.0) for ball in TENSORFLOW_FORMULAS[name](given)[key])


@pytest.mark.parametrize(
    ("name", "got", "wrong"),
    [
        ("variance by stored deviations", 2.25, 2.1875),
        ("standard deviation by stored deviations", 1.5, 1.46875),
    ],
)
def test_a_mean_is_stored(name: str, got: float, wrong: float) -> None:
    given = asked([100.0, 103.0, 101.0, 99.0], axis=None, ddof=0, keepdims=False, where=True)
    assert known(name, VALUE, got, (), given)
    assert not known(name, VALUE, wrong, (), given)


def test_a_slope_has_the_stored_deviations() -> None:
    x = np.array([0.5, 1.5, 0.25, 1.75])  # the mean is 1
    given = asked(x, y_bar=2.0, x_dot=[1.0, 0.0, 0.0, 0.0], axis=None, ddof=1, keepdims=False, where=True)
    name = "variance by stored deviations"
    for key, element, due in ((0, (0,), -2 / 3), (TANGENT, (), -1 / 3)):
        assert known(name, key, due, element, given)
        assert not known(name, key, 1.25 * due, element, given)


def test_a_mask_has_no_formula() -> None:
    given = asked([1.0, 2.0], axis=None, ddof=0, keepdims=False, where=np.array([True, False]))
    assert not TENSORFLOW_FORMULAS["variance by stored deviations"](given)


@pytest.mark.parametrize(
    ("x1", "x2", "y_bar", "key", "element"),
    [
        ([[[1.0], [0.00390625]], [[-1.0], [0.0]]], [[2.0]], [[[1.0], [1.0]], [[1.0], [1.0]]], 1, (0, 0)),
        ([[[1.0], [0.00390625]], [[-1.0], [0.0]]], [2.0], [[1.0, 1.0], [1.0, 1.0]], 1, (0,)),
        ([2.0], [[[1.0, 0.00390625]], [[-1.0, 0.0]]], [[1.0, 1.0], [1.0, 1.0]], 0, (0,)),
    ],
)
def test_each_product_of_a_stack_is_stored(
    x1: object, x2: object, y_bar: object, key: int, element: tuple[int, ...]
) -> None:
    """The sum is 0.0039, and 1.0039 becomes 1 or 1.0078 where it is stored."""
    name, given = "matmul of a stack by stored products", asked(x1, x2, y_bar=y_bar)
    for got in (0.0, 0.00390625, 0.0078125):
        assert known(name, key, got, element, given)
    assert not known(name, key, 0.02, element, given)
    assert set(TENSORFLOW_FORMULAS[name](given)) == {key}


@pytest.mark.parametrize(
    ("name", "at_kink", "below"), [("sigmoid", 0.0, 1 / 6), ("swish", 1.0, 0.5 + 2 * 2.5 / 6)]
)
def test_a_sum_that_rounds_to_6_is_at_the_kink(name: str, at_kink: float, below: float) -> None:
    """2.984375 + 3 is 5.984375, which is 6 in bfloat16."""
    given = asked([2.984375, 2.5], y_bar=[2.0, 2.0], x_dot=[1.0, 1.0])
    name = f"hard{name} by a stored sum"
    for key, size in ((0, 2.0), (TANGENT, 1.0)):
        assert known(name, key, size * at_kink, (0,), given)
        assert not known(name, key, size * (at_kink + 0.125), (0,), given)
        assert known(name, key, size * (2 * 2.5 + 3) / 6 if "swish" in name else size * below, (1,), given)


def test_the_factors_of_a_power_are_stored() -> None:
    """2^-130 times 0.75 is subnormal in bfloat16: 12, not 12.5 units. The power brings it back to the normal range."""
    tiny = 2.0**-130
    given = asked([2.0**-8], [-1.0], y_bar=[0.78125 * tiny], x_dot=[tiny])
    given = dataclasses.replace(given, xs_dot=(given.xs_dot[0], given.xs_dot[0]))
    name, due = "power by stored factors", -0.78125 * tiny * 2.0**16
    for got in (due, -0.75 * tiny * 2.0**16):
        assert known(name, 0, got, (0,), given)
    assert not known(name, 0, 1.25 * due, (0,), given)
    assert known(name, TANGENT, -tiny * 2.0**16 + tiny * 2.0**8 * np.log(2.0**-8), (0,), given)
    assert not known(name, TANGENT, -1.25 * tiny * 2.0**16, (0,), given)


def test_matrices_alone_have_no_formula() -> None:
    name = "matmul of a stack by stored products"
    assert not TENSORFLOW_FORMULAS[name](asked([[1.0]], [[2.0]], y_bar=[[1.0]]))
    assert not TENSORFLOW_FORMULAS[name](asked([[[1.0]]], [[2.0]]))


def test_a_mean_divides_by_a_count_that_bfloat16_has() -> None:
    """260 in place of 259. Along an axis of 3 elements the count is a number of the format."""
    over, name = {"axis": None, "keepdims": False, "where": True}, "mean by a stored count"
    given = asked(np.zeros(259), y_bar=1.2734375, **over)
    assert known(name, 0, 1.2734375 / 260, (7,), given)
    assert not known(name, 0, 1.02 * 1.2734375 / 260, (7,), given)
    rows = asked(np.zeros((259, 3)), y_bar=np.arange(259.0), **over | {"axis": -1})
    assert known(name, 0, 43.0, (129, 1), rows)
    assert not known(name, 0, 43.5, (129, 1), rows)
    assert not TENSORFLOW_FORMULAS[name](asked(np.zeros(259), **over))


@pytest.mark.parametrize(("name", "due", "alone"), [("max", 3.0, -np.inf), ("min", 1.0, np.inf)])
def test_extremes_pass_over_nan(name: str, due: float, alone: float) -> None:
    rows = [[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]
    given = asked(rows, axis=1, keepdims=False, initial=None, where=True)
    formula = f"{name} of the elements that are numbers"
    assert known(formula, VALUE, due, (0,), given)
    assert known(formula, VALUE, alone, (1,), given)
    assert not known(formula, VALUE, 2.0, (0,), given)


def test_a_bound_of_nan_is_passed_over() -> None:
    given = asked([2.0, 2.0, 2.0], [np.nan, 1.0, 3.0], [1.0, np.nan, np.nan])
    for k, due in enumerate((1.0, 2.0, 3.0)):
        assert known("clip by comparisons", VALUE, due, (k,), given)
        assert not known("clip by comparisons", VALUE, 0.5, (k,), given)
