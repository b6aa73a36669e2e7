"""Forward mode over Balls at ties: a tangent lies between those of the candidates, however the shares are dealt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from refgrad.tracing.ball import Ball, exact, parts

Array = Any
FMT = FORMATS["float64"]
PICKING = ("maximum", "minimum", "fmax", "fmin", "clip", "max", "min")


def span(f: Callable[..., Any], xs: list[Any], x_dots: list[Any]) -> tuple[Array, Array]:
    """The ends of the tangent's Ball."""
    balls = [tuple(exact(np.asarray(x, float), FMT) for x in arrays) for arrays in (xs, x_dots)]
    value, radius = parts(rg.jvp(f, *balls)[1])
    return value - radius, value + radius


def test_these_ops_pick() -> None:
    assert {name for name, op in REGISTRY.items() if op.picks} == set(PICKING)


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_between_two(f: Any) -> None:
    low, high = span(f, [[2.0, 3.0, 5.0], [2.0, 3.0, 4.0]], [[1.0, 7.0, 1.0], [-3.0, 7.0, 2.0]])
    one = 1.0 if f in (np.maximum, np.fmax) else 2.0
    assert np.allclose([low, high], [[-3, 7, one], [1, 7, one]], rtol=1e-15)
    assert high[0] - low[0] > 4  # the sum of two shares rounds
    assert high[1] - low[1] < 1e-14


@pytest.mark.parametrize("axis", [None, 0, (0, 2), -1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("f", [np.max, np.min])
def test_between_several(f: Any, axis: Any, keepdims: bool) -> None:
    rng = np.random.default_rng(0)
    x, x_dot = rng.integers(0, 2, (3, 4, 2)).astype(float), rng.standard_normal((3, 4, 2))

    def g(x: Array) -> Array:
        return f(x, axis=axis, keepdims=keepdims)

    low, high = span(g, [x], [x_dot])
    tied = x == f(x, axis=axis, keepdims=True)
    least = np.where(tied, x_dot, np.inf).min(axis=axis, keepdims=keepdims)
    most = np.where(tied, x_dot, -np.inf).max(axis=axis, keepdims=keepdims)
    assert np.allclose(low, least, rtol=1e-13)
    assert np.allclose(high, most, rtol=1e-13)
    assert np.all((low <= least) & (most <= high))


def test_what_is_masked_out_is_no_candidate_and_the_initial_value_is_one() -> None:
    x, x_dot, where = [[2.0, 2.0, 2.0]], [[1.0, 5.0, 9.0]], np.array([True, True, False])
    low, high = span(lambda x: np.max(x, initial=0.0, where=where), x, x_dot)
    assert np.allclose([low, high], [1, 5])
    low, high = span(lambda x: np.max(x, initial=2.0), x, x_dot)
    assert np.allclose([low, high], [0, 9])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty_arrays(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    assert span(lambda x: np.maximum(x, x), [x], [x])[0].shape == shape
    assert span(lambda x: np.max(x, axis=0, initial=1.0), [x], [x])[0].shape == shape[1:]
    assert span(lambda x: np.max(x, axis=1, keepdims=True, initial=1.0), [x], [x])[0].shape == (shape[0], 1)
    assert np.allclose(span(lambda x: np.max(x, initial=1.0), [x], [x]), 0)
    assert span(lambda x: np.clip(x, 0.0, x), [x], [x])[0].shape == shape


def test_a_constant_does_not_move() -> None:
    low, high = span(lambda x: np.maximum(x, 0.0), [[0.0, 1.0]], [[3.0, 3.0]])
    assert np.allclose([low, high], [[0, 3], [3, 3]])
    low, high = span(lambda x: np.clip(x, 0.0, x), [[0.0, 2.0]], [[-3.0, 1.5]])
    assert np.allclose([low, high], [[-3, 1.5], [0, 1.5]])


def test_a_constant_that_the_format_cannot_hold_is_a_candidate_too() -> None:
    fmt = FORMATS["float32"]
    x = np.array([np.float32(0.1)], float)
    value, radius = parts(
        rg.jvp(lambda x: np.maximum(x, 0.1), (exact(x, fmt),), (exact(np.ones(1), fmt),))[1]
    )
    assert value - radius <= 0
    assert value + radius >= 1


def test_candidates_within_rounding_are_tied() -> None:
    x, y = Ball(np.array([1.0]), np.array([1e-3]), FMT), Ball(np.array([1.001]), np.array([1e-3]), FMT)
    value, radius = parts(rg.jvp(np.maximum, (x, y), (exact([5.0], FMT), exact([7.0], FMT)))[1])
    assert (value - radius, value + radius) == (pytest.approx(5), pytest.approx(7))


def test_values_are_read_without_choice() -> None:
    import dataclasses

    sharp = dataclasses.replace(FMT, kinks=False)
    x = exact(np.array([2.0]), sharp)
    value, radius = parts(rg.jvp(np.maximum, (x, x * 1), (exact([1.0], sharp), exact([3.0], sharp)))[1])
    assert (value, radius) == (2, pytest.approx(0, abs=1e-14))
