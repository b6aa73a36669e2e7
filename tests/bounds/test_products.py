"""Rules for sums of products, against exact sums by fractions and against products with short operands."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgrad import bounds
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS, format_of
from refgrad.bounds.rounding import rounded

Array = Any
SINGLE = FORMATS["float32"]
INFINITE = np.array([[np.inf]])


def radius_of(fmt: Any, a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore"):
        y = np.matmul(a, b)
    return bounds.bilinear(Evaluation(fmt, np.matmul, y, (a, b), (None, None), {}), terms=a.shape[-1])


@pytest.mark.parametrize("terms", [1, 2, 9, 40])
@given(seed=st.integers(0, 2**20))
def test_a_float32_product_in_any_order_is_inside(terms: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(terms).astype(np.float32) for _ in range(2))
    exact = sum((Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True)), Fraction(0))
    radius = float(radius_of(SINGLE, a[None].astype(float), b[:, None].astype(float))[0, 0])
    for order in (np.arange(terms), np.arange(terms)[::-1], rng.permutation(terms)):
        total = np.float32(0)
        for k in order:
            total = np.float32(total + np.float32(a[k] * b[k]))
        # The rule is for the rounding of the run; that of its own float64 is accounted for by reference_slack.
        assert abs(Fraction(float(total)) - exact) <= Fraction(radius * bounds.reference_slack(SINGLE))


def test_the_radius_grows_with_the_terms_and_not_beyond_them() -> None:
    for terms in (1, 4, 64):
        ones = np.ones((1, terms))
        radius = float(radius_of(SINGLE, ones, ones.T)[0, 0])
        assert radius == terms * SINGLE.u * terms + terms * SINGLE.eta


def test_short_operands_widen_a_product_by_their_unit_roundoffs() -> None:
    tf32 = format_of("tf32", "cuda")
    cut = FORMATS["float16"].bits  # 11 bits, as many as short operands keep
    assert tf32.u_operand == 2.0 ** (1 - cut)
    assert bounds.shortened(SINGLE, 8) == 0.0
    assert bounds.shortened(tf32, 8) == (1 + tf32.u_operand) ** 2 - 1 + 8 * tf32.u_acc
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(1, 2, (4, 4)) for _ in range(2))
    a, b = rounded(a, SINGLE), rounded(b, SINGLE)
    off = np.abs(rounded(a, FORMATS["float16"]) @ rounded(b, FORMATS["float16"]) - a @ b)
    assert np.all(off <= radius_of(tf32, a, b))
    assert np.any(off > radius_of(SINGLE, a, b))


def test_shortening_takes_digits_of_a_fixed_size_from_subnormal_operands() -> None:
    tf32 = format_of("tf32", "cuda")
    unit = tf32.u_operand * tf32.least_normal  # subnormal numbers of a shortened format are multiples of it
    rng = np.random.default_rng(0)
    a, b = rounded(rng.uniform(0, 1, (4, 4)) * tf32.least_normal, SINGLE), np.ones((4, 1))
    off = np.abs(np.floor(a / unit) * unit @ b - a @ b)  # truncated; exact in float64
    assert np.all(off <= radius_of(tf32, a, b))
    relative_alone = (bounds.shortened(tf32, 4) + 4 * tf32.u_acc) * (a @ b) + 4 * tf32.eta
    assert np.any(off > relative_alone)


def test_products_of_bfloat16_may_flush_what_is_subnormal() -> None:
    fmt = format_of("bfloat16")
    rng = np.random.default_rng(0)
    a, b = (rounded(rng.standard_normal(s) * 2.0**e, fmt) for s, e in (((4, 8), -63), ((8, 4), -64)))
    a[0] *= 2.0**-64  # subnormal operands

    def flushed(x: Any) -> Any:
        return np.where(np.abs(x) < fmt.least_normal, 0.0, x)

    total = np.zeros((4, 4))
    for k in range(8):
        total = flushed(total + flushed(np.outer(flushed(a)[:, k], flushed(b)[k])))
    off = np.abs(total - a @ b)
    assert np.all(off <= radius_of(fmt, a, b))
    assert np.any(off > radius_of(replace(fmt, flushed=0.0), a, b))


def test_infinity_times_zero_is_not_defined() -> None:
    assert np.isnan(radius_of(SINGLE, INFINITE, np.zeros((1, 1))))
    assert not np.isnan(radius_of(SINGLE, INFINITE, np.ones((1, 1))))


def test_a_sum_whose_partial_sums_overflow_in_some_order_has_no_bound() -> None:
    a, ones = np.array([[3e38, 3e38, -3e38]]), np.ones((3, 1))
    assert np.isinf(radius_of(SINGLE, a, ones))
    assert np.isfinite(radius_of(SINGLE, a / 4, ones))
