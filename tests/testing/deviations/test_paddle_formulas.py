"""Formulas that Paddle computes: its own numbers are known, and an ordinary wrong number is not."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.paddle_formulas import PADDLE_FORMULAS
from refgrad.testing.deviations.recorded_formula import VALUE, Inputs, within
from refgrad.tracing.ball import exact

FMT = FORMATS["float32"]
CLIPPED = float(np.exp(-64.0))


def asked(*xs: object, y_bar: object = None, **params: object) -> Inputs:
    """A node of these operands."""
    balls = tuple(exact(np.asarray(x, float), FMT) for x in xs)
    arriving = None if y_bar is None else exact(np.asarray(y_bar, float), FMT)
    return Inputs(False, balls, params, arriving, (None,) * len(xs), FMT)


def known(name: str, key: int | str, got: float, element: tuple[int, ...], given: Inputs) -> bool:
    """Whether a number is that of the formula."""
    [ball] = PADDLE_FORMULAS[name](given)[key]
    return within(got, ball, element, 1.0)


def test_softmax_takes_no_difference_below_64() -> None:
    name, given = "softmax of differences of at most 64", asked([0.0, -100.0], y_bar=[0.0, 1.0], axis=0)
    for key in (VALUE, 0):
        assert known(name, key, CLIPPED, (1,), given)
        assert not known(name, key, 0.0, (1,), given)
        assert not known(name, key, 2 * CLIPPED, (1,), given)


def test_log_softmax_takes_no_difference_below_64() -> None:
    name, given = "log_softmax of differences of at most 64", asked([0.0, -100.0], y_bar=[1.0, 0.0], axis=0)
    assert known(name, VALUE, -64.0, (1,), given)
    assert not known(name, VALUE, -100.0, (1,), given)
    assert known(name, 0, -CLIPPED, (1,), given)
    assert not known(name, 0, 0.0, (1,), given)


def test_a_loss_is_at_most_64() -> None:
    name = "cross_entropy of differences of at most 64"
    given = asked([0.0, -100.0], y_bar=1.0, axis=0, labels=np.asarray(1))
    assert known(name, VALUE, 64.0, (), given)
    assert not known(name, VALUE, 100.0, (), given)
    assert known(name, 0, 1.0, (0,), given)
    assert not known(name, 0, 0.999, (0,), given)


@pytest.mark.parametrize(
    ("name", "xs", "element", "params"),
    [
        ("exponential of at least 2^-128", ([-100.0],), (0,), {}),
        ("logsumexp by exponentials of at least 2^-128", ([0.0, -100.0],), (1,), {"axis": 0}),
        ("logaddexp by exponentials of at least 2^-128", ([-100.0], [0.0]), (0,), {}),
    ],
)
def test_a_slope_may_be_the_least_exponential(
    name: str, xs: tuple[list[float]], element: tuple[int], params: object
) -> None:
    given = asked(*xs, y_bar=1.0 if params else [1.0], **params)  # type: ignore[arg-type]
    assert known(name, 0, 2.0**-128, element, given)
    assert not known(name, 0, 2.0**-126, element, given)


@pytest.mark.parametrize(
    ("name", "x", "got", "wrong"),
    [
        ("softplus by the logarithm of a sum", -10.0, 4.541770613286644e-05, 4.6e-05),
        ("softplus by the logarithm of a sum", 25.0, 25.0, 25.001),
        ("log_sigmoid by the logarithm of a sum", 10.0, -4.541770613286644e-05, -4.6e-05),
        ("mish by the logarithm of a sum", -10.0, -0.0004541770613286644, -4.6e-04),
        ("hardsigmoid by seven digits of a sixth", 1.0, 0.6666667, 0.66667),
    ],
)
def test_values_of_activations(name: str, x: float, got: float, wrong: float) -> None:
    assert known(name, VALUE, got, (0,), asked([x]))
    assert not known(name, VALUE, wrong, (0,), asked([x]))


def test_slopes_of_activations() -> None:
    mish, hard = "mish by the logarithm of a sum", "hardsigmoid by seven digits of a sixth"
    assert known(mish, 0, -0.000306577276205644, (0,), asked([-10.0], y_bar=[0.75]))
    assert not known(mish, 0, -0.00031, (0,), asked([-10.0], y_bar=[0.75]))
    assert known(hard, 0, 0.08333335071802139, (0,), asked([1.0], y_bar=[0.5]))
    assert not known(hard, 0, 0.083334, (0,), asked([1.0], y_bar=[0.5]))


@pytest.mark.parametrize(
    ("order", "value"), [(1, 7.0), (2, 5.0), (3, 91.0 ** float(np.float32(1) / np.float32(3)))]
)
def test_a_norm_has_a_float32_exponent_and_a_shifted_denominator(order: int, value: float) -> None:
    name, fmt = "norm by a float32 root and a shifted denominator", FORMATS["float64"]
    x = exact(np.array([3.0, -4.0]), fmt)
    params = {"ord": order, "axis": None, "keepdims": False}
    given = Inputs(False, (x,), params, exact(np.array(0.5), fmt), (None,), fmt)
    assert known(name, VALUE, value, (), given)
    assert not known(name, VALUE, value * (1 + 1e-14), (), given)
    slope = -0.5 * 4.0 ** (order - 1) / (value ** (order - 1) + 1e-12)
    assert known(name, 0, slope, (1,), given)
    assert not known(name, 0, slope * (1 + 1e-14), (1,), given)
    assert not known(name, 0, -slope, (1,), given)


@pytest.mark.parametrize("order", [0, np.inf])
def test_other_norms_are_not_said_to_have_one(order: float) -> None:
    params = {"ord": order, "axis": None, "keepdims": False}
    assert not PADDLE_FORMULAS["norm by a float32 root and a shifted denominator"](
        asked([3.0, 4.0], **params)
    )


def test_the_least_exponential_of_float64_is_a_quarter_of_its_smallest_normal_number() -> None:
    fmt = FORMATS["float64"]
    given = Inputs(False, (exact(np.array([-800.0]), fmt),), {}, None, (None,), fmt)
    name = "exponential of at least 2^-128"
    assert known(name, VALUE, 2.0**-1024, (0,), given)
    assert not known(name, VALUE, 2.0**-1022, (0,), given)


def test_elu_has_a_float32_alpha_and_the_rounding_of_a_difference() -> None:
    name, fmt = "elu by a float32 alpha and exp minus one", FORMATS["float64"]
    x = exact(np.array([-1.0, 2.0, -40.0]), fmt)
    given = Inputs(False, (x,), {"alpha": 0.3}, exact(np.array([0.5, 0.5, 0.5]), fmt), (None,), fmt)
    alpha = float(np.float32(0.3))
    assert known(name, VALUE, alpha * (np.exp(-1) - 1), (0,), given)
    assert not known(name, VALUE, 0.3 * (np.exp(-1) - 1), (0,), given)
    assert known(name, 0, 0.5 * alpha * np.exp(-1), (0,), given)
    assert not known(name, 0, 0.5 * 0.3 * np.exp(-1), (0,), given)
    assert known(name, 0, 0.5, (1,), given)
    assert known(name, 0, 0.0, (2,), given)
    assert not known(name, 0, 1e-15, (2,), given)


def test_hardshrink_keeps_an_operand_at_its_threshold_and_none_below() -> None:
    given = asked([0.5, -0.5, 0.25, 1.0], y_bar=[2.0] * 4, threshold=0.5)
    for key, numbers in ((VALUE, [0.5, -0.5, 0.0, 1.0]), (0, [2.0, 2.0, 0.0, 2.0])):
        for k, due in enumerate(numbers):
            assert known("hardshrink that keeps its threshold", key, due, (k,), given)
            assert not known("hardshrink that keeps its threshold", key, due + 0.25, (k,), given)


def test_the_slope_of_softplus_is_one_beyond_20() -> None:
    fmt, name = FORMATS["float64"], "slope of softplus up to 20"
    xs = np.array([20.25, 20.0, -1.0])
    given = Inputs(False, (exact(xs, fmt),), {}, exact(np.ones(3), fmt), (None,), fmt)
    for k, due in enumerate([1.0, *1 / (1 + np.exp(-xs[1:]))]):
        assert known(name, 0, due, (k,), given)
        assert not known(name, 0, due - 1e-9, (k,), given)
