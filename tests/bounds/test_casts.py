"""A cast that rounds the value: what it promises holds for every number within the radius of the operand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refgrad.bounds.casts import cast
from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.bounds.rounding import rounded
from refgrad.tracing.ball import exact, parts

NARROWER = [(d, t) for d in computed_on("cpu") for t in FORMATS if not FORMATS[t].holds(FORMATS[d])]


@pytest.mark.parametrize(("dtype", "target"), NARROWER)
def test_the_cast_of_a_number_within_the_radius_is_inside(dtype: str, target: str) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(0)
    x = rounded(rng.standard_normal(200), fmt).astype(fmt.wide)
    e = np.abs(x) * np.ldexp(1.0, -rng.integers(2, 30, x.size))
    value, radius = cast(fmt, FORMATS[target], x, e)
    for share in (-1, -0.3, 0, 0.7, 1):
        assert np.all(np.abs(rounded(rounded(x + share * e, FORMATS[target]), fmt) - value) <= radius)


def test_of_an_exact_operand_the_cast_is_the_nearest_number() -> None:
    x = np.array([1 / 3, 1e5, -0.1])
    with np.errstate(over="ignore", invalid="ignore"):
        value, radius = cast(FORMATS["float64"], FORMATS["float16"], x, None)
        assert np.array_equal(value, x.astype(np.float16).astype(float))
    assert radius is None


@pytest.mark.parametrize(("below", "rounds"), [(0, False), (11, False), (12, True), (53, True)])
def test_a_format_says_whether_a_cast_rounds_the_value_or_widens_the_bound(below: int, rounds: bool) -> None:
    fmt, x = replace(FORMATS["float64"], casts_below=below), np.array([1 / 3, -0.1])
    value, radius = parts(exact(x, fmt).astype(np.float16))
    assert np.array_equal(value, x.astype(np.float16)) == rounds
    assert np.any(radius) != rounds
    assert np.array_equal(parts(exact(x, fmt).astype(np.float64))[0], x)
