"""Formulas that MXNet computes by float32 numbers, and others of its kernels."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.mxnet_formulas import MXNET_FORMULAS
from refgrad.testing.deviations.recorded_formula import VALUE, Inputs, within
from refgrad.tracing.ball import exact

FMT = FORMATS["float64"]


def asked(*xs: object, y_bar: object = None, params: object = None, fmt: object = FMT) -> Inputs:
    """A node of these operands."""
    operands = tuple(exact(np.asarray(x, float), fmt) for x in xs)
    arriving = None if y_bar is None else exact(np.asarray(y_bar, float), fmt)
    return Inputs(False, operands, params or {}, arriving, (None,) * len(xs), fmt)


@pytest.mark.parametrize(
    ("name", "x", "params", "got", "right"),
    [
        ("leaky_relu in float32", -0.1, {"slope": 0.01}, np.float32(-0.1) * np.float32(0.01), -0.0010005),
        (
            "elu by an alpha in float32",
            -1.0,
            {"alpha": 0.3},
            np.expm1(-1) * float(np.float32(0.3)),
            np.expm1(-1) * 0.3,
        ),
        ("softplus up to 20", 21.0, {}, 21.0, np.log1p(np.exp(21.0))),
        ("degrees by a factor in float32", 2.0, {}, 114.591552734375, np.degrees(2.0)),
        ("radians by a factor in float32", 2.0, {}, 0.03490658476948738, np.radians(2.0)),
    ],
)
def test_a_value_by_float32_numbers_is_known_and_the_right_one_is_not(
    name: str, x: float, params: object, got: float, right: float
) -> None:
    [ball] = MXNET_FORMULAS[name](asked([x], params=params))[VALUE]
    assert within(float(got), ball, (0,), 1.0)
    assert not within(float(right), ball, (0,), 1.0)


def test_the_sign_of_the_value_decides_on_the_slope_of_leaky_relu() -> None:
    [ball] = MXNET_FORMULAS["leaky_relu in float32"](
        asked([-2.0, 2.0], y_bar=[1.0, 1.0], params={"slope": -0.5})
    )[0]
    assert [within(1.0, ball, (k,), 1.0) for k in (0, 1)] == [True, True]
    [ball] = MXNET_FORMULAS["leaky_relu in float32"](asked([-2.0], y_bar=[1.0], params={"slope": 0.5}))[0]
    assert not within(1.0, ball, (0,), 1.0)


def test_zeros_are_padded_and_no_other_number() -> None:
    params = {"pad_width": 1, "constant_values": 1.5}
    [ball] = MXNET_FORMULAS["pad by zeros"](asked([2.0], params=params))[VALUE]
    assert [within(0.0, ball, (k,), 1.0) for k in range(3)] == [True, False, True]
    assert not within(1.5, ball, (0,), 1.0)


def test_what_underflow_rounds_in_a_ratio_or_a_slope_is_magnified() -> None:
    single, least = FORMATS["float32"], FORMATS["float32"].least
    params = {"ord": 1.5, "axis": None, "keepdims": False}
    [ball] = MXNET_FORMULAS["norm by ratios"](asked([2.0, least], y_bar=1.0, params=params, fmt=single))[0]
    assert within(0.0, ball, (1,), 1.0)
    assert not within(0.5, ball, (0,), 1.0)
    found = MXNET_FORMULAS["arctan2 by its slopes"](asked([least], [1.3606], y_bar=[1.5], fmt=single))
    assert within(-2 * least, found[1][0], (0,), 1.0)
    assert not within(-3 * least, found[1][0], (0,), 1.0)
