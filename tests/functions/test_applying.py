"""Functions of a program's functions: what they are called with, and what becomes of their results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import RefgradError

Array = Any
X = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])


def test_results_of_any_rank_take_the_place_of_the_axis() -> None:
    for axis in (0, 1):
        for f in (np.sum, lambda r: r * r[0], lambda r: r[:, None] * r, lambda r: r[:1], lambda _: 2.0):
            value, _ = rg.vjp(lambda a, f=f, axis=axis: np.apply_along_axis(f, axis, a), X)
            due = np.apply_along_axis(f, axis, X)
            assert value.shape == due.shape
            assert np.allclose(value, due)


def test_pieces_are_written_in_order() -> None:
    def f(a: Array) -> Array:
        return np.piecewise(a, [a > 0, a > 1], [lambda t: t * t, lambda t: t**3, -0.5])

    value, pullback = rg.vjp(f, X)
    assert np.allclose(value, f(X))
    assert np.allclose(pullback(np.ones(X.shape))[0], np.where(X > 1, 3 * X * X, np.where(X > 0, 2 * X, 0.0)))
    with pytest.raises(ValueError, match="function"):
        rg.grad(lambda a: np.sum(np.piecewise(a, [a > 0], [1, 2, 3])))(X)


def test_a_piece_may_be_empty_and_may_be_traced() -> None:
    def f(a: Array) -> Array:
        return np.piecewise(a, [a > 99, a <= 99], [lambda t: 1 / (t - t), a[0, 0]])

    assert np.array_equal(rg.grad(lambda a: np.sum(f(a)))(X), [[6.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_choose_has_numpys_values_and_errors(mode: str) -> None:
    index = np.array([2, 0, 1]) if mode == "raise" else np.array([5, -1, 1])

    def f(a: Array) -> Array:
        return np.choose(index, [a[0], a[1] * 2, 0.5], mode=mode)

    assert np.array_equal(rg.vjp(f, X)[0], f(X))
    with pytest.raises(ValueError, match="invalid entry"):
        rg.grad(lambda a: np.sum(np.choose(index + 9, [a[0], a[1]])))(X)


def test_an_index_that_is_differentiated_is_refused() -> None:
    with pytest.raises((RefgradError, TypeError)):
        rg.grad(lambda a: np.choose(a, [1.0, 2.0]))(np.array(1.0))
