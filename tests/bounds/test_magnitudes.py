"""Radii in float64 against radii in long double: large arrays against the same elements in small ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds import magnitudes
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from refgrad.tracing.ball import Ball, parts

Array = Any
LONG = np.longdouble
FMT = FORMATS["float64"]
pytestmark = pytest.mark.skipif(
    np.finfo(LONG).nmant == 52, reason="long double is no wider than float64 here"
)

ONE = [
    name
    for name, op in REGISTRY.items()
    if op.domain.sampler is None
    and len(op.signature.operands) == 1
    and not op.signature.variadic
    and not op.signature.defaults
]
TWO = ["add", "subtract", "multiply", "divide", "fan_in", "power", "hypot", "maximum", "arctan2"]
# A value in long double at x + e is off by as much as rounding of x + e moves it: x f'(x), at most |x f(x)| or this.
CONDITION = {"log": 1.0, "sigmoid_complement": 1.0}
PIECE = 150  # elements: fewer than what float64 pays for
N = 4 * PIECE


def operand(rng: np.random.Generator, name: str, position: int) -> tuple[Array, Array]:
    """Values over the op's domain, ordinary, huge, tiny and zero, and radii: none, small and large."""
    x = np.asarray(REGISTRY[name].domain.interval(position).draw(rng, (N,)), LONG)
    scale = np.where(rng.random(N) < 0.3, LONG(10) ** rng.integers(-330, 300, N), 1)
    inside = REGISTRY[name].domain.interval(position).contains
    x = np.array([a * s if inside(a * s) else a for a, s in zip(x, scale, strict=True)])
    share = np.where(rng.random(N) < 0.3, 0.0, LONG(10) ** rng.integers(-20, 1, N))
    exact = share == 0
    x = np.where(exact, x.astype(float), x)  # an element without a radius is a number of the format
    e = np.abs(x) * share + np.where(exact, 0, np.abs(x - x.astype(float)))
    return x, e.astype(float) if rng.random() < 0.8 else e


def ball(x: Array, e: Array) -> Ball:
    return Ball(x, e, FMT)


@pytest.mark.parametrize("name", ONE + TWO)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore")
def test_radii_of_large_arrays_are_those_of_small_ones(name: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *name.encode()])
    op, drawn = REGISTRY[name], [operand(rng, name, k) for k in range(1 + (name in TWO))]
    with np.errstate(all="ignore"):
        whole = op(*[ball(x, e) for x, e in drawn])
        value, radius = parts(whole)
        for k in range(0, N, PIECE):
            here = slice(k, k + PIECE)
            few, exact = parts(op(*[ball(x[here], e[here]) for x, e in drawn]))
            assert np.array_equal(value[here], few, equal_nan=True)
            large = radius[here].astype(LONG)
            assert np.array_equal(np.isnan(large), np.isnan(exact))
            finite = np.isfinite(large)
            size = np.clip(np.abs(drawn[0][0][here]), 1, 800)
            noise = 2.0**-61 * (size * np.abs(few) + CONDITION.get(name, 0))
            assert np.all((exact <= large * (1 + LONG(2) ** -45) + noise)[finite])
            usual = exact < 1e-3 * np.abs(few)  # where most of the digits stand, neither way is wasteful
            assert np.all((large <= exact * 1.01 + noise + 8 * FMT.eta)[usual])
            assert np.array_equal(large[usual] == 0, exact[usual] == 0)


def test_a_size_that_float64_cannot_hold_stays_in_long_double() -> None:
    x = np.ones(magnitudes.LARGE, LONG)
    assert magnitudes.size(x, x).dtype == np.float64
    for odd in (LONG("1e400"), LONG("1e-310"), LONG("1e-400"), LONG("nan"), LONG("inf")):
        x[3] = odd
        assert magnitudes.size(x, x).dtype == LONG
        assert magnitudes.size(x[3:4].reshape(()), x).dtype == LONG
    x[3] = 0
    assert magnitudes.size(x, x).dtype == np.float64
    assert magnitudes.size(x[3:4].reshape(()), x).dtype == np.float64


def test_what_products_of_radii_lose_to_underflow_is_in_the_radius() -> None:
    # |x| e is 0.4 of the smallest subnormal number, and 0 in float64.
    x = np.full(magnitudes.LARGE, 2.0**-537, LONG)
    e = (0.4 * x).astype(float)
    _, large = parts(ball(x, e) * ball(x, e))
    _, exact = parts(ball(x[:1], e[:1]) * ball(x[:1], e[:1]))
    assert np.all(large.astype(LONG) >= exact)


def test_a_radius_is_never_rounded_down() -> None:
    e = np.abs(np.random.default_rng(1).standard_normal(magnitudes.LARGE).astype(LONG)) / 3
    e[5] = 0
    near = magnitudes.radius(e)
    assert near.dtype == np.float64
    assert np.all(near >= e)
    assert near[5] == 0
    assert np.all(near <= e * (1 + 2.0**-50))
    for odd in (LONG("1e400"), LONG("1e-310"), LONG("nan"), LONG("inf")):
        e[6] = odd
        assert magnitudes.radius(e) is e


def test_a_sum_of_terms_that_leaves_float64_stays_in_long_double() -> None:
    x = np.full(magnitudes.LARGE, 1e307, LONG)
    assert magnitudes.size(x, x).dtype == np.float64
    assert magnitudes.terms(x).dtype == LONG
