"""Cotangents on the way back: brought to the shape of their operand, and added up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refgrad as rg
from refgrad.bounds.evaluation import Repeated
from refgrad.bounds.formats import Format, format_of
from refgrad.bounds.profiles import CPU
from refgrad.bounds.rounding import rounded
from refgrad.op import new_level
from refgrad.tracing.ball import exact, parts
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


def _one_after_another(x: Array, fmt: Format) -> Array:
    """The sum over the first axis, rounded to the format after each addition."""
    total = np.zeros(x.shape[1:])
    for row in x:
        total = rounded(total + row, fmt)
    return total


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "program",
    [lambda b: b + np.zeros((40, 50)), lambda b: np.broadcast_to(b, (40, 50))],
    ids=["a bias", "broadcast_to"],
)
def test_the_gradient_of_a_broadcast_operand_is_added_up_in_the_format_that_a_profile_says(
    name: str, program: Any
) -> None:
    plain = format_of(name)
    storing = format_of(name, profile=replace(CPU, storing_broadcasts=frozenset({name})))
    y_bar = rounded(np.random.default_rng(5).standard_normal((40, 50)), plain)
    error = np.abs(_one_after_another(y_bar, plain) - np.sum(y_bar, axis=0))

    def radius(f: Any, x: Array, y_bar: Array, fmt: Format) -> Array:
        _, pullback = rg.vjp(f, exact(x, fmt))
        return parts(pullback(exact(y_bar, fmt))[0])[1]

    assert np.all(error <= radius(program, np.zeros(50), y_bar, storing))
    assert np.any(error > radius(program, np.zeros(50), y_bar, plain))
    # A sum that the program asks for is not one of these.
    total = [parts(np.sum(exact(y_bar, fmt), axis=0))[1] for fmt in (plain, storing)]
    assert np.array_equal(*total)


def test_the_axes_of_a_broadcast_operand_are_not_those_of_a_sum() -> None:
    """Results are remembered by the parameters of an op."""
    assert Repeated((0, 1)) == Repeated((0, 1)) != (0, 1)
    assert {Repeated((0,)): "gradient", (0,): "sum"}[(0,)] == "sum"
