"""Cotangents on the way back: brought to the shape of their operand, and added up."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refgrad.op import new_level
from refgrad.tracing.cotangents import accumulate, unbroadcast
from refgrad.tracing.reverse import Tape

Array = Any


@st.composite
def shapes_that_broadcast(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape and one that it broadcasts to."""
    full = tuple(draw(st.lists(st.integers(0, 3), max_size=4)))
    narrow = tuple(1 if draw(st.booleans()) else n for n in full)
    return narrow[draw(st.integers(0, len(full))) :], full


@given(shapes_that_broadcast())
def test_unbroadcast_is_the_transpose_of_broadcasting(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    narrow, full = shapes
    rng = np.random.default_rng(0)
    x, y_bar = rng.integers(-9, 9, narrow).astype(float), rng.integers(-9, 9, full).astype(float)
    x_bar = unbroadcast(y_bar, narrow)
    assert x_bar.shape == narrow
    assert np.sum(x_bar * x) == np.sum(y_bar * np.broadcast_to(x, full))  # integers: no rounding


def test_a_cotangent_left_narrow_by_its_rule_is_widened_first() -> None:
    assert np.array_equal(unbroadcast(np.array(2.0), (3,)), [2.0, 2.0, 2.0])
    assert np.array_equal(unbroadcast(np.ones((1, 3)), (2, 1)), [[3.0], [3.0]])


def test_accumulate_gathers_traced_cotangents_for_one_sum() -> None:
    tape = Tape(new_level())
    x, y, z = (tape.input(np.array(v)) for v in (1.0, 2.0, 3.0))
    bars: list[Any] = [None, 5.0]
    for x_bar in (x, y, z):
        accumulate(bars, 0, x_bar)
    accumulate(bars, 1, 7.0)
    assert bars == [[x, y, z], 12.0]
