"""Elementwise ops over Balls: the radius contains what the operands' radii allow, on both sides of a kink or a condition."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad.tracing.ball import Ball, exact, parts
from tests.ops.elementwise_draws import FLOAT64, OPS, SEEDS, WIDE, by_name, drawn, noise, units


@pytest.mark.parametrize("op", OPS, ids=by_name)
@pytest.mark.parametrize("size", [1e-9, 1e-2, 1.0, 10.0])
def test_radius_contains_the_values_around(op, size):
    for seed in SEEDS:
        rng, f, xs = drawn(op, seed)
        es = [size * rng.uniform(0, 1, x.shape) * rng.integers(0, 2) for x in xs]
        ball = f(*[Ball(x.astype(WIDE), e.astype(WIDE), FLOAT64) for x, e in zip(xs, es, strict=True)])
        value, radius = parts(ball)
        with np.errstate(all="ignore"):
            y = f(*around(rng, xs, es, value.ndim))
        if y.dtype == bool:
            assert np.all((y == value) | radius.astype(bool)), seed
        else:
            gap = np.where(np.isinf(radius), 0.0, np.abs(y - value) - radius)
            within = (gap <= units(y) + noise(0.0) * 2.0**-12) | np.isnan(y)
            assert np.all(within), (seed, y[~within], value, radius)


def around(rng, xs, es, deep):
    """Points within the radii: combinations of corners, and others inside, along an axis before the ``deep`` axes of the value."""
    sides = [
        [rng.uniform(-1, 1, x.shape) if kind > 3 else (-1) ** (kind >> k) for k, x in enumerate(xs)]
        for kind in range(12)
    ]
    for x, e, at in zip(xs, es, zip(*sides, strict=True), strict=True):
        points = np.array([x.astype(WIDE) + e * s for s in at])
        yield points.reshape(len(sides), *[1] * (deep - x.ndim), *x.shape)


@pytest.mark.parametrize(
    ("function", "at", "low", "high"),
    [
        (rg.nn.relu, 0.0, 0.0, 1.0),
        (np.abs, 0.0, -1.0, 1.0),
        (lambda x: np.maximum(x, 2.0), 2.0, 0.0, 1.0),
        (lambda x: np.clip(x, 0.0, 1.0), 1.0, 0.0, 1.0),
        (lambda x: rg.nn.leaky_relu(x, 0.125), 0.0, 0.125, 1.0),
        (lambda x: rg.nn.elu(x, 2.0), 0.0, 1.0, 2.0),
        (lambda x: np.fmin(x, 0.0), 0.0, 0.0, 1.0),
    ],
)
def test_a_tie_gives_the_hull_of_both_sides(function, at, low, high):
    value, radius = parts(rg.grad(function)(exact(at, FLOAT64)))
    assert value - radius <= low
    assert value + radius >= high
    assert radius <= (high - low) * 0.5 + 8 * FLOAT64.u


def test_an_unselected_branch_contributes_nothing_even_if_infinite():
    for function in (rg.nn.relu, lambda x: np.maximum(x, 0.0), lambda x: np.clip(x, 0.0, 1.0)):
        with np.errstate(all="ignore"):
            assert rg.grad(lambda x, function=function: np.sqrt(function(x)))(-1.0) == 0
    assert rg.grad(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0))(0.0) == 0


def test_an_uncertain_condition_gives_the_hull_of_both_branches():
    x = Ball(np.array([1e-20, 1.0], WIDE), np.array([1e-15, 1e-15], WIDE), FLOAT64)
    value, radius = parts(np.where(x > 0, 1.0, -1.0))
    assert np.array_equal(value, [0.0, 1.0])
    assert np.array_equal(radius, [1.0, 0.0])
    for both in (
        np.logical_and(x > 0, x < 2),
        (x > 0) & (x < 2),
        ~((x <= 0) | (x >= 2)),
        (x > 0) ^ (x > 3),
        np.array([True, True]) & (x > 0),
    ):
        assert np.array_equal(parts(both)[1].astype(bool), [True, False])
    assert not np.any(np.logical_and(x > 0, x > 2))  # certain, whatever x > 0 says
