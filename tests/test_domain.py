"""Where ops are defined: what lies inside an interval, and what is drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.domain import (
    BROADCASTING,
    KINKED,
    NONZERO,
    POSITIVE,
    REAL,
    SHAPES,
    Domain,
    Interval,
    between,
    sampled,
)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (Interval(), [-1e300, 0.0, 7.0], None),
        (Interval(low=0.0), [0.05, 1e9], [0.04, 3.0]),
        (Interval(high=1.0), [-1e9, 0.95], [0.96]),
        (Interval(-1.0, 1.0), [-0.95, 0.95], [-0.96]),
        (Interval(hole=2.0), [1.94, 2.06, 9.0], [2.04]),
        (Interval(-1.0, 1.0, margin=0.5), [-0.5, 0.5], [0.51]),
    ],
)
def test_an_interval_holds_what_keeps_its_distance_from_ends_and_hole(interval, inside, outside) -> None:
    assert interval.contains(inside)
    assert outside is None or not interval.contains(outside)
    assert interval.contains(np.zeros((0, 3)))  # no element lies outside


@pytest.mark.parametrize(
    "interval",
    [
        Interval(), Interval(low=0.0), Interval(low=5.0), Interval(high=-5.0), Interval(-1.0, 1.0), Interval(hole=0.0),
        Interval(-1.0, 1.0, 0.0),
    ],
)  # fmt: skip
def test_draws_lie_inside_and_spread_over_the_interval(interval: Interval) -> None:
    x = interval.draw(np.random.default_rng(0), (1000,))
    assert x.shape == (1000,)
    assert interval.contains(x)
    assert np.ptp(x) > 1.5  # not crowded at one place
    assert np.abs(x - np.clip(0, interval.low, interval.high)).max() <= 3


def test_the_last_interval_stands_for_all_further_operands() -> None:
    domain = Domain((Interval(low=0.0), Interval(high=0.0)))
    assert domain.interval(0).low == 0
    assert domain.interval(1) is domain.interval(7)
    assert domain.contains((1.0, -1.0, -2.0))
    assert not domain.contains((1.0, -1.0, 2.0))


def test_every_shape_is_drawn_and_shapes_broadcast() -> None:
    rng = np.random.default_rng(0)
    one = {REAL.sample(rng)[0][0].shape for _ in range(300)}
    assert one == set(SHAPES)
    pairs = [REAL.sample(rng, 2) for _ in range(300)]
    assert {tuple(x.shape for x in xs) for xs, _ in pairs} == set(BROADCASTING)
    assert all(params == {} for _, params in pairs)
    for xs, _ in pairs:
        np.broadcast_shapes(*[x.shape for x in xs])


def test_a_sampler_draws_in_the_place_of_intervals() -> None:
    domain = sampled(lambda rng: ((rng.standard_normal(2),), {"axis": 1}), smooth=False)
    xs, params = domain.sample(np.random.default_rng(0), arity=5)
    assert (len(xs), params, domain.smooth) == (1, {"axis": 1}, False)
    assert domain.intervals == REAL.intervals


def test_the_named_domains_are_what_their_names_say() -> None:
    assert not POSITIVE.contains((-1.0,))
    assert not NONZERO.contains((0.0,))
    assert (KINKED.smooth, NONZERO.smooth) == (False, True)
    assert KINKED.intervals == NONZERO.intervals
    assert between(-1, 1).intervals == (Interval(-1, 1),)
