"""Casts through a format: exact of exact operands, from the lowest to the highest nearest number of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgrad import nn, vjp
from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.bounds.profiles import CPU
from refgrad.bounds.rounding import rounded
from refgrad.errors import DtypeError
from refgrad.tracing.ball import Ball, exact, parts

Array = Any
PAIRS = [(d, t) for d in computed_on("cpu") for t in FORMATS]


@pytest.mark.parametrize(("dtype", "target"), PAIRS)
@given(seed=st.integers(0, 2**20))
def test_what_a_run_may_come_to_is_inside(dtype: str, target: str, seed: int) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(seed)
    x = rounded(rng.standard_normal(16) * np.ldexp(1.0, rng.integers(-12, 12, 16)), fmt)
    e = np.abs(x) * np.ldexp(1.0, -rng.integers(1, 20, 16))
    run = rounded(x + rng.uniform(-1, 1, 16) * e, fmt)
    inside = np.abs(run - x) <= e
    value, radius = parts(nn.cast_through(Ball(x.astype(fmt.wide), e, fmt), target))
    came = rounded(rounded(run, FORMATS[target]), fmt)
    with np.errstate(invalid="ignore"):
        off = ~((np.abs(came - value) <= radius) | (came == value)) & inside
    assert not off.any(), (x[off], e[off], came[off], value[off], radius[off])


@pytest.mark.parametrize(("dtype", "target"), PAIRS)
def test_of_exact_operands_the_cast_is_exact(dtype: str, target: str) -> None:
    fmt = FORMATS[dtype]
    x = rounded(np.random.default_rng(0).uniform(-200, 200, 500), fmt)
    value, radius = parts(nn.cast_through(exact(x, fmt), target))
    due = rounded(rounded(x, FORMATS[target]), fmt)
    np.testing.assert_array_equal(value, due)
    # Near ties the way by float32 decides.
    assert np.count_nonzero(radius) <= (5 if dtype == "float64" else 0)


def test_a_tie_that_the_way_by_float32_decides_is_left_open() -> None:
    tie = 1 + 2.0**-4  # between two numbers of four bits
    x = np.array([tie, tie + 2.0**-40, tie + 2.0**-20, tie * (1 + 2.0**-3)])
    value, radius = parts(nn.cast_through(exact(x, FORMATS["float64"]), "float8_e4m3"))
    np.testing.assert_array_equal(radius > 0, [True, True, False, False])
    for way in (x, x.astype(np.float32).astype(float)):
        assert np.all(np.abs(rounded(way, FORMATS["float8_e4m3"]) - value) <= radius)


def test_a_subnormal_result_may_be_zero_where_the_processor_takes_it_so() -> None:
    """JAX and TensorFlow cast float64 so to float32 and bfloat16; the numbers beside are what they are."""
    keeping, single = FORMATS["float64"], FORMATS["float32"]
    x = np.array([2.0**-140, -(2.0**-127), 2.0**-126, 1.0, -0.0])
    for target in ("float32", "bfloat16"):
        value, radius = parts(nn.cast_through(exact(x, keeping), target))
        assert not radius.any()
        flushing = keeping.under(replace(CPU, flushing=frozenset({"float32", "bfloat16"})))
        again, radius = parts(nn.cast_through(exact(x, flushing), target))
        np.testing.assert_array_equal(again, value)
        np.testing.assert_array_equal(
            radius, np.where(np.abs(value) < single.least_normal, np.abs(value), 0.0)
        )
    assert not parts(nn.cast_through(exact(x, flushing), "float16"))[1].any(), "which keeps its own"
    small = single.under(replace(CPU, flushing=frozenset({"float32", "bfloat16"})))
    value, radius = parts(nn.cast_through(exact(np.array([1.5e-39]), small), "bfloat16"))
    assert value - radius <= 0 < rounded(1.5e-39, FORMATS["bfloat16"]) <= value + radius, (
        "kept or taken as zero"
    )


def test_beyond_the_range_infinity_is_due_where_the_format_has_it() -> None:
    fmt, x = FORMATS["float32"], np.array([500.0, 1e5, np.inf, -np.inf, np.nan, 448.0])
    value, radius = parts(nn.cast_through(exact(x, fmt), "float8_e5m2"))
    np.testing.assert_array_equal(value, [512, np.inf, np.inf, -np.inf, np.nan, 448])
    assert not radius.any()
    value, radius = parts(nn.cast_through(exact(x, fmt), "float8_e4m3"))
    np.testing.assert_array_equal(np.isinf(radius), [True, True, True, True, False, False])
    assert np.isnan(value[4])


def test_the_cotangent_is_cast_as_well() -> None:
    x, y_bar = np.array([1.0, 2.0]), np.array([1.1, 1000.0])
    _, pull = vjp(lambda x: nn.cast_through(x, "float8_e4m3"), x)
    np.testing.assert_array_equal(pull(y_bar)[0], [1.125, 448.0])


def test_a_format_that_is_not_known_is_named() -> None:
    with pytest.raises(DtypeError, match="no format named 'float7'; one of"):
        nn.cast_through(np.ones(2), "float7")
