"""Draws for ops on whole arrays: every rank, axis form and size comes up, and what is promised of the values holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refgrad.op import REGISTRY
from refgrad.ops import samplers

RNG_SEEDS = range(400)


def test_shapes_of_every_rank_with_empty_ones_now_and_then() -> None:
    shapes = [samplers.shape(np.random.default_rng(k)) for k in RNG_SEEDS]
    assert {len(s) for s in shapes} == {0, 1, 2, 3}
    empty = sum(0 in s for s in shapes) / len(shapes)
    assert 0 < empty < 0.2
    assert all(n in samplers.SIZES for s in shapes for n in s)


def test_a_stack_holds_a_single_matrix_some_or_none() -> None:
    stacks = [samplers.stack(np.random.default_rng(k)) for k in RNG_SEEDS]
    assert {len(s) for s in stacks} == {0, 1, 2}
    assert {math.prod(s) for s in stacks} == {0, 1, 2}


def test_distinct_values_have_gaps() -> None:
    for k in range(20):
        x = np.sort(samplers.distinct(np.random.default_rng(k), (4, 5)).ravel())
        assert np.diff(x).min() > 0.15


def test_an_axis_is_none_a_number_of_either_sign_or_a_tuple() -> None:
    axes = [samplers.axis(np.random.default_rng(k), 3) for k in RNG_SEEDS]
    assert {type(a) for a in axes} == {type(None), int, tuple}
    assert {a for a in axes if type(a) is int} == set(range(-3, 3))
    for a in axes:
        if type(a) is tuple:
            assert len({v % 3 for v in a}) == len(a) > 0
    assert {type(samplers.axis(np.random.default_rng(k), 3, several=False)) for k in RNG_SEEDS} == {
        type(None),
        int,
    }
    assert all(samplers.axis(np.random.default_rng(k), 0) is None for k in range(20))


def test_a_masked_reduction_always_says_where_it_starts() -> None:
    drawn = [samplers.masked_reduction(np.random.default_rng(k), 0.0) for k in RNG_SEEDS]
    assert any("where" in p for _, p in drawn)
    assert all("initial" in p for _, p in drawn if "where" in p)
    assert any("initial" in p and "where" not in p for _, p in drawn)
    for (x,), params in drawn:
        np.sum(x, **params)


@pytest.mark.parametrize("name", [op.name for op in REGISTRY.values() if op.domain.sampler is not None])
def test_every_sampler_draws_what_its_op_accepts_and_meets_every_parameter(name: str) -> None:
    op = REGISTRY[name]
    seen = set()
    for k in range(60):
        operands, params = op.domain.sample(np.random.default_rng(k), len(op.signature.operands))
        y = op.forward(*operands, **{**op.signature.defaults, **params})
        assert np.asarray(y).dtype.kind in "fb"
        seen |= {
            (key, repr(np.shape(v)) if isinstance(v, np.ndarray) else repr(v)) for key, v in params.items()
        }
    missing = set(op.signature.defaults) - {key for key, _ in seen}
    assert not missing
