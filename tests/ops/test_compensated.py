"""Sums and products in two parts, constants in two parts, and float64 inside for narrower formats."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest

from refgrad.ops.compensated import PI, constant, in_float64, times_exp, two_product, two_sum

RNG = np.random.default_rng(0)
PAIRS = RNG.standard_normal((2, 500)) * 10.0 ** RNG.integers(-20, 20, (2, 500))


def fractions(x: np.ndarray) -> list[Fraction]:
    return [Fraction(*v.as_integer_ratio()) for v in x]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_sum_and_what_its_rounding_leaves_out_are_exact(dtype) -> None:
    a, b = PAIRS.astype(dtype)
    s, rest = two_sum(a, b)
    assert np.array_equal(s, a + b)
    assert [x + y for x, y in zip(*map(fractions, (a, b)), strict=True)] == [
        x + y for x, y in zip(*map(fractions, (s, rest)), strict=True)
    ]
    assert np.any(rest != 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_and_what_its_rounding_leaves_out_are_exact(dtype) -> None:
    a, b = RNG.standard_normal((2, 500)).astype(dtype)
    p, rest = two_product(a, b)
    assert np.array_equal(p, a * b)
    assert [x * y for x, y in zip(*map(fractions, (a, b)), strict=True)] == [
        x + y for x, y in zip(*map(fractions, (p, rest)), strict=True)
    ]
    assert np.any(rest != 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_constant_has_twice_the_digits_in_two_parts(dtype) -> None:
    high, low = constant(PI, np.dtype(dtype))
    assert high == dtype(PI)
    assert abs(low) <= np.spacing(high)
    left = abs(Fraction(PI) - Fraction(*high.as_integer_ratio()) - Fraction(*low.as_integer_ratio()))
    eps = float(np.finfo(dtype).eps)
    assert 0 < left < Fraction(eps) * Fraction(max(eps, 2.0**-52))  # the second part is a float64 at most


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_narrow_formats_are_computed_in_float64_and_rounded_once(dtype) -> None:
    seen = []

    @in_float64
    def f(x, y, power=1):
        seen.append(x.dtype)
        return x**power - y

    x = np.array([1.0009765625], dtype)
    y = f(x, dtype(1), power=2)
    assert y.dtype == dtype
    assert seen == [np.result_type(dtype, np.float64)]
    assert y[0] == dtype(1.0009765625**2 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(f(np.full(1, np.finfo(dtype).max), dtype(1), power=2))[0]  # and warns nobody


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_exponential_below_the_range_is_multiplied_by_its_factor_before_it_is_rounded(dtype) -> None:
    limits = np.finfo(dtype)
    x = np.array([np.log(float(limits.tiny)) - 5, -1.0, 0.0], dtype)
    factor = np.array([1e6, 2.0, 3.0], dtype)
    found = times_exp(factor, x).astype(np.longdouble)
    due = factor.astype(np.longdouble) * np.exp(x.astype(np.longdouble))
    assert np.all(np.abs(found / due - 1) <= (2 if dtype == np.float64 else 64) * limits.eps)
