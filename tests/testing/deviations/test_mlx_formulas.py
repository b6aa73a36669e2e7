"""Formulas that MLX computes: its own numbers are known, and right ones are not where they differ."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.mlx_formulas import LOST, MLX_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, Outcomes, within
from refgrad.tracing.ball import exact

FMT = FORMATS["float32"]


def asked(*xs: object, y_bar: object = None, dots: object = None, **params: object) -> Inputs:
    """A node of these operands."""

    def ball(x: object) -> object:
        return None if x is None else exact(np.asarray(x, float), FMT)

    moving = (None,) * len(xs) if dots is None else tuple(map(ball, dots))  # type: ignore[arg-type]
    return Inputs(False, tuple(map(ball, xs)), params, ball(y_bar), moving, FMT)


FAR = [0.0, -88.0]  # the second share is 6.1e-39, and MLX has 0


@pytest.mark.parametrize(
    ("name", "params", "shape"),
    [
        ("softmax that underflows early", {}, ()),
        ("log_softmax that underflows early", {}, ()),
        ("cross_entropy that underflows early", {"labels": np.asarray(0)}, None),
        ("logsumexp that underflows early", {"keepdims": False}, None),
    ],
)
def test_a_small_share_may_be_zero_and_no_other_number(name: str, params: object, shape: object) -> None:
    y_bar = [0.0, 1.0] if shape == () else 1.0
    dots = [[0.0, 1.0]]
    given = asked(FAR, y_bar=y_bar, dots=dots, axis=0, **params)  # type: ignore[arg-type]
    found = MLX_FORMULAS[name](given)
    [x_bar], [y_dot] = found[0], found[TANGENT]
    element = (1,)
    due = 1.0 if name.startswith("log_softmax") else 0.0
    assert within(due, x_bar, element, 1.0)
    assert not within(due + 3 * LOST if due == 0 else 1.001, x_bar, element, 1.0)
    at = element if shape == () else ()
    assert within(due, y_dot, at, 1.0)
    assert not within(due + 0.001, y_dot, at, 1.0)


def test_a_share_that_is_not_small_has_its_digits() -> None:
    found = MLX_FORMULAS["softmax that underflows early"](asked([0.0, -1.0], y_bar=[0.0, 1.0], axis=0))
    right = 1 / (1 + np.e)
    assert within(right, found[VALUE][0], (1,), 1.0)
    assert not within(right * 1.001, found[VALUE][0], (1,), 1.0)
    assert within(right * (1 - right), found[0][0], (1,), 1.0)
    assert not within(0.0, found[0][0], (1,), 1.0)


def test_a_shortened_pi_shows_near_a_zero_alone() -> None:
    x, seen = 505.7964172363281, -8.371413607514415e-09
    [near] = MLX_FORMULAS["sin by a shortened pi"](asked([x]))[VALUE]
    assert within(seen + 500 * 2.0**-50, near, (0,), 1.0)
    assert not within(2 * seen, near, (0,), 1.0)
    [far] = MLX_FORMULAS["sin by a shortened pi"](asked([501.0]))[VALUE]
    assert within(float(np.sin(501.0)), far, (0,), 1.0)
    assert not within(float(np.sin(501.0)) + 1e-5, far, (0,), 1.0)


def test_the_slopes_of_sine_and_cosine() -> None:
    for name, f, slope in (("sin", np.sin, np.cos), ("cos", np.cos, lambda x: -np.sin(x))):
        found = MLX_FORMULAS[f"{name} by a shortened pi"](asked([200.0], y_bar=[2.0], dots=[[3.0]]))
        for key, due in ((VALUE, f(200.0)), (0, 2 * slope(200.0)), (TANGENT, 3 * slope(200.0))):
            assert within(float(due), found[key][0], (0,), 1.0)
            assert not within(float(-due), found[key][0], (0,), 1.0)


def test_the_second_share_of_logaddexp_is_one_minus_the_first() -> None:
    given = asked([0.0], [-20.0], y_bar=[1.0], dots=[[0.0], [1.0]])
    found = MLX_FORMULAS["shares of logaddexp that add up to one"](given)
    assert within(0.0, found[1][0], (0,), 1.0)
    assert not within(1e-6, found[1][0], (0,), 1.0)
    assert within(1.0, found[0][0], (0,), 1.0)
    assert not within(0.999, found[0][0], (0,), 1.0)
    assert within(0.0, found[TANGENT][0], (0,), 1.0)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_det_is_expanded_up_to_three_rows(n: int) -> None:
    a = np.random.default_rng(n).uniform(-2, 2, (n, n))
    found = MLX_FORMULAS["det by cofactors"](asked(a, y_bar=1.0))
    due = float(np.linalg.det(a))
    assert within(due, found[VALUE][0], (), 1.0)
    assert not within(due * 1.01, found[VALUE][0], (), 1.0)
    assert within(due * float(np.linalg.inv(a).T[0, 0]), found[0][0], (0, 0), 1.0)
    near = np.ones((3, 3)) + 1e-3 * np.random.default_rng(0).uniform(-1, 1, (3, 3))
    [wide] = MLX_FORMULAS["det by cofactors"](asked(near))[VALUE]
    assert within(float(np.linalg.det(near)) + 1e-7, wide, (), 1.0)  # its terms cancel


def spread(name: str, x: list[float]) -> Outcomes:
    """What the formula of std or var says of bfloat16 numbers, with a cotangent of 1 and the tangents 1, 0, 0."""
    fmt = FORMATS["bfloat16"]
    params = {"axis": None, "ddof": 0, "keepdims": False}
    dots = (exact(np.array([1.0, 0.0, 0.0]), fmt),)
    given = Inputs(False, (exact(np.asarray(x), fmt),), params, exact(np.array(1.0), fmt), dots, fmt)
    return MLX_FORMULAS[f"{name} whose mean is differentiated"](given)


@pytest.mark.parametrize(("name", "due"), [("std", 0.0625), ("var", 0.00390625)])
def test_a_spread_is_that_from_a_rounded_mean(name: str, due: float) -> None:
    """The mean of 10.3125, 10.3125 and 10.4375 is 10.3542: 10.375 in bfloat16, from which all three are 0.0625 away."""
    x = [10.3125, 10.3125, 10.4375]
    [value] = spread(name, x)[VALUE]
    assert abs(due / getattr(np, name)(x) - 1) > 0.05
    assert within(due, value, (), 1.0)
    assert not within(100 * due, value, (), 1.0)
    for key, element in ((0, (2,)), (TANGENT, ())) if name == "std" else ():
        [ball] = spread(name, x)[key]
        assert within(0.5, ball, element, 1.0)
        assert not within(8.0, ball, element, 1.0)


@pytest.mark.parametrize("name", ["std", "var"])
def test_a_spread_of_ordinary_numbers_has_its_digits(name: str) -> None:
    x = np.array([1.0, -2.0, 3.0])
    deviation = (x - x.mean()) / 3
    slopes, value = (deviation / x.std(), x.std()) if name == "std" else (2 * deviation, x.var())
    found = spread(name, x.tolist())
    for key, due, element in ((VALUE, value, ()), (0, slopes[1], (1,)), (TANGENT, slopes[0], ())):
        [ball] = found[key]
        assert within(due, ball, element, 1.0), key
        assert not within(due * 1.25, ball, element, 1.0), key


def in_bfloat16(name: str, x: list[float], y_bar: list[float]) -> Outcomes:
    fmt = FORMATS["bfloat16"]
    balls = [exact(np.asarray(v, float), fmt) for v in (x, y_bar)]
    return MLX_FORMULAS[name](Inputs(False, (balls[0],), {"axis": 0}, balls[1], (balls[1],), fmt))


def test_softmax_may_add_up_in_the_half_format() -> None:
    """512 equal exponentials that are added one by one stop at 256; of four there is no such excuse."""
    name, ones = "softmax that adds up in the format", [1.0] * 512
    [shares] = in_bfloat16(name, [0.0] * 512, ones)[VALUE]
    assert within(1 / 256, shares, (3,), 1.0)
    assert not within(1 / 32, shares, (3,), 1.0)
    found = in_bfloat16(name, [0.0] * 4, [1.0, 0.0, 0.0, 0.0])
    for key, due in ((VALUE, 0.25), (0, 0.1875), (TANGENT, 0.1875)):
        [ball] = found[key]
        assert within(due, ball, (0,), 1.0), key
        assert not within(due * 1.1, ball, (0,), 1.0), key


def test_the_gradient_of_softmax_may_lack_its_sum() -> None:
    [x_bar] = in_bfloat16("softmax without the sum of its derivatives", [0.0] * 4, [1.0, 0.0, 0.0, 0.0])[0]
    assert within(0.25, x_bar, (0,), 1.0)
    assert not within(0.1875, x_bar, (0,), 1.0)
    assert within(0.0, x_bar, (1,), 1.0)
    moving = asked([0.0] * 4, dots=([1.0, 0.0, 0.0, 0.0],), axis=-1)
    [y_dot] = MLX_FORMULAS["softmax without the sum of its derivatives"](moving)[TANGENT]
    assert within(0.25, y_dot, (0,), 1.0)
    assert not within(0.1875, y_dot, (0,), 1.0)


def test_a_small_product_by_the_square_of_a_divisor_loses_its_digits() -> None:
    """MLX 0.32.4 has 4 * 2^-24: the product is half a unit, and the square 1/4."""
    unit = 2.0**-24

    def ball(x: list[float]) -> object:
        return exact(np.asarray(x), FORMATS["float16"])

    x, divisor, y_bar = ball([0.000125885009765625]), ball([0.5]), ball([-0.000244140625])
    given = Inputs(False, (x, divisor), {}, y_bar, (None, None), FORMATS["float16"])
    [x_bar] = MLX_FORMULAS["a product by the square of the divisor"](given)[1]
    assert within(4 * unit, x_bar, (0,), 1.0)
    assert not within(5 * unit, x_bar, (0,), 1.0)
    assert not within(-2 * unit, x_bar, (0,), 1.0)
