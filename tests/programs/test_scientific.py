"""Scientific programs with buffers and lists: value, both modes and second order against differences of the plain program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.numeric import differences
from tests.programs.scientific import PROGRAMS

Array = Any
STEP = 2.0**-9  # short enough to stay on one branch of every program


def _directions(xs: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple([np.cos(1.0 + 2.0 * np.arange(x.size) + k).reshape(x.shape) for k, x in enumerate(xs)])


def _within(found: Array, expected: Array, error: Array) -> None:
    scale = np.max(np.abs(expected), initial=1.0)
    assert np.shape(found) == np.shape(expected)
    assert np.all(np.abs(found - expected) <= 4 * error + 2**14 * np.finfo(float).eps * scale)


@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_first_derivatives(name: str) -> None:
    f, xs = PROGRAMS[name]
    plain, tangents = f(*[x.copy() for x in xs]), _directions(xs)
    y, y_dot = rg.jvp(f, xs, tangents)
    value, pullback = rg.vjp(f, *xs)
    for got in (y, value):
        assert (type(got), got.dtype, got.shape) == (type(plain), plain.dtype, plain.shape)
        assert np.array_equal(got, plain)
    slope, error = differences(f, xs, tangents, step=STEP)
    assert np.max(error) < 1e-9
    _within(y_dot, slope, error)
    y_bar = np.sin(1.0 + np.arange(plain.size)).reshape(plain.shape)
    sent = sum(np.sum(x_bar * x_dot) for x_bar, x_dot in zip(pullback(y_bar), tangents, strict=True))
    _within(sent, np.sum(y_bar * slope), np.sum(np.abs(y_bar) * error))
    assert np.array_equal(rg.linearize(f, *xs)[0], plain)
    _within(rg.linearize(f, *xs)[1](*tangents), slope, error)


@pytest.mark.parametrize("name", PROGRAMS)
def test_second_derivatives_in_all_orders_of_the_modes(name: str) -> None:
    f, xs = PROGRAMS[name]
    tangents, places = _directions(xs), tuple(range(len(xs)))
    plain = f(*[x.copy() for x in xs])
    weights = np.sin(1.0 + np.arange(plain.size)).reshape(plain.shape)

    def number(*xs: Array) -> Array:
        return np.sum(weights * f(*xs) ** 2)

    def slope(*xs: Array) -> Array:
        return rg.jvp(number, xs, tangents)[1]

    def joined(parts: Any) -> Array:
        return np.concatenate([np.ravel(x) for x in parts])

    expected, error = differences(lambda *xs: joined(rg.grad(number, places)(*xs)), xs, tangents, step=STEP)
    assert np.max(error) < 1e-8
    _within(joined(rg.jvp(rg.grad(number, places), xs, tangents)[1]), expected, error)
    _within(joined(rg.grad(slope, places)(*xs)), expected, error)
    _within(joined(rg.vjp(rg.grad(number, places), *xs)[1](tangents)), expected, error)
    twice = rg.jvp(slope, xs, tangents)[1]
    _within(twice, np.sum(joined(tangents) * expected), np.sum(np.abs(joined(tangents)) * error))
