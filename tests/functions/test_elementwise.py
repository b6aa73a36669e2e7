"""Elementwise functions of NumPy that are compositions of ops: called as NumPy calls them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, TracingError
from refgrad.numeric import differences
from refgrad.tracing.ball import exact, parts
from tests.ops.elementwise_draws import (
    FLOAT64,
    units,
)


def test_clip_takes_bounds_as_numpy_does():
    x = np.array([-1.0, 0.5, 3.0])
    calls = [
        lambda z: np.clip(z, 0, 1), lambda z: z.clip(0, 1), lambda z: np.clip(z, None, 1), lambda z: np.clip(z, 0, None),
        lambda z: np.clip(z, a_min=0, a_max=1),
    ]  # fmt: skip
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        calls += [
            lambda z: np.clip(z, min=0, max=1),
            lambda z: np.clip(z, max=1),
            lambda z: np.clip(z, None, None),
        ]
    for call in calls:
        y, y_dot = rg.jvp(call, (x,), (np.ones(3),))
        assert np.array_equal(y, call(x))
        assert np.array_equal(y_dot, y == x)


@pytest.mark.parametrize(
    "function",
    [
        np.nan_to_num, lambda x: np.nan_to_num(x, nan=2.0, posinf=5.0), lambda x: np.round(x, 1), lambda x: x.round(),
        lambda x: np.select([x > 1, x > 0], [x * 2, x * 3], 7.0), lambda x: np.fmod(x, 0.7), lambda x: np.float_power(x, 3),
        lambda x: np.ldexp(x, 3), np.conjugate, np.real, np.fabs, lambda x: np.trunc(x) * x,
        np.radians, np.degrees, lambda x: np.round(x, -1), lambda x: np.where(np.isposinf(x), 0.0, x),
        lambda x: np.where((x > 0) & ~(x > 2) | np.isneginf(x), x, x * x),
    ],
)  # fmt: skip
def test_compositions_have_numpy_s_values_and_the_right_slope(function):
    x = np.array([1.31, 0.42, 2.53, 4.87])
    y, y_dot = rg.jvp(function, (x,), (np.ones(4),))
    assert np.array_equal(y, function(x))
    expected, error = differences(function, (x,), (np.ones(4),))
    room = 4 * error + 16 * FLOAT64.u * (1 + np.abs(expected))
    assert np.all(np.abs(y_dot - expected) <= room)
    ball = function(exact(x, FLOAT64))
    assert np.all(np.abs(parts(ball)[0] - y) <= parts(ball)[1] + units(y))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_ldexp_by_any_power(dtype: type) -> None:
    limits = np.finfo(dtype)
    x = np.array([0.0, 1.0, -1.5, limits.smallest_subnormal, limits.max, np.inf], dtype)
    reach = limits.maxexp - limits.minexp + limits.nmant
    with np.errstate(all="ignore"):
        for n in (
            0,
            np.int8(127),
            np.full(6, -128, np.int8),
            -2,
            900,
            -900,
            reach,
            -reach,
            limits.maxexp,
            3 * reach,
            2**30,
            -(2**30),
        ):
            y, y_dot = rg.jvp(lambda x, n=n: np.ldexp(x, n), (x,), (x,))
            assert np.array_equal(y, np.ldexp(x, n)), n
            assert np.array_equal(y_dot, y), n
        with pytest.raises(TypeError):
            rg.vjp(lambda x: np.ldexp(x, 1.5), x)


def test_nan_to_num_replaces_with_constants():
    x = np.array([np.nan, np.inf, 1.0, -np.inf])
    y, y_dot = rg.jvp(np.nan_to_num, (x,), (np.ones(4),))
    assert np.array_equal(y, np.nan_to_num(x))
    assert np.array_equal(y_dot, [0, 0, 1, 0])


def test_conditions_of_numbers_are_refused():
    ball = exact(np.arange(3), FLOAT64)
    with pytest.raises(NoRuleError, match="boolean"):
        np.bitwise_and(ball, 1)


def test_an_exponent_of_ldexp_has_no_derivative() -> None:
    with pytest.raises(TracingError, match=r"Write x1 \* np\.exp2\(x2\)"):
        rg.grad(lambda n: np.ldexp(1.5, n))(2.0)


def test_ufuncs_of_numbers_give_numbers() -> None:
    for x in (1.7, np.float32(-0.3), np.array(2.5)):
        for f in (lambda x: np.modf(x)[0], lambda x: np.modf(x)[1], lambda x: np.nextafter(x, 3.0)):
            assert type(rg.vjp(f, x)[0]) is type(f(x))


def test_i0_of_a_number_is_an_array_without_axes() -> None:
    """So ``y *= 2`` writes to it, and another name of it shows that."""

    def f(x: Any) -> Any:
        y = np.i0(x)
        other = y
        y *= x
        return other

    value, slope = rg.value_and_grad(f)(0.5)
    assert type(value) is type(f(0.5)) is np.ndarray
    assert value == f(0.5) == 0.5 * np.i0(0.5)
    assert slope == np.i0(0.5) + 0.5 * rg.special.modified_bessel_i1(0.5)
