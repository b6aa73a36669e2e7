"""Partitions, unique elements, triangles and insertion: NumPy's own order and dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import exact


@pytest.mark.parametrize("seed", range(40))
def test_partition_has_numpys_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 70))
    x = rng.standard_normal((2, n))
    if seed % 3 == 1:
        x = np.round(x, 1)  # ties
    if seed % 4 == 2:
        x[rng.random((2, n)) < 0.2] = np.nan
    kth = [int(k) for k in rng.integers(0, n, 1 + seed % 2)]
    w = rng.standard_normal((2, n))
    for axis in (-1, None, 0):
        where = [k % 2 for k in kth] if axis == 0 else kth
        value, pullback = rg.vjp(lambda a, axis=axis, where=where: np.partition(a, where, axis), x)
        due = np.partition(x, where, axis)
        assert np.array_equal(value, due, equal_nan=True)
        y_bar = w.reshape(due.shape)
        x_bar = pullback(y_bar)[0]
        # Each cotangent goes to an element of the value that it belongs to.
        finite = np.where(np.isnan(x), 0.0, x)
        assert np.isclose(np.sum(x_bar * finite), np.sum(y_bar * np.where(np.isnan(due), 0.0, due)))
        assert np.allclose(np.sort(x_bar, None), np.sort(y_bar, None))


def test_the_bound_of_a_partition_covers_every_order() -> None:
    ball = np.partition(exact(np.array([3.0, 1.0, 2.0]), FORMATS["float32"]), 1)
    assert np.array_equal(ball.value, np.partition([3.0, 1.0, 2.0], 1))


def test_unique_without_sorting_has_numpys_order() -> None:
    x = np.array([3.0, 1.0, 3.0, -2.0, 7.0, 1.0])
    options = {"sorted": False} if np.lib.NumpyVersion(np.__version__) >= "2.3.0" else {}
    value, pullback = rg.vjp(lambda a: np.unique(a, **options), x)
    assert np.array_equal(value, np.unique(x, **options))
    x_bar = pullback(np.arange(1.0, 5.0))[0]
    assert np.sum(x_bar * x) == np.sum(np.arange(1.0, 5.0) * value)


def test_triangles_of_a_vector_are_matrices() -> None:
    x = np.array([1.0, 2.0, 3.0])
    for f in (np.tril, np.triu, lambda a: np.tril(a, -1), lambda a: np.triu(a, 1)):
        value, pullback = rg.vjp(f, x)
        assert np.array_equal(value, f(x))
        assert np.array_equal(pullback(np.ones((3, 3)))[0], np.sum(f(np.ones(3)), axis=0))


def test_insert_keeps_the_dtype_of_the_array() -> None:
    x = np.ones(3, np.float32)
    for values in (0.5, np.float64(0.5), [0.5, 0.25], 2):
        for place in (1, [1, 2]):
            value, _ = rg.vjp(lambda a, values=values, place=place: np.insert(a, place, values), x)
            due = np.insert(x, place, values)
            assert value.dtype == due.dtype == np.float32
            assert np.array_equal(value, due)
    assert np.array_equal(rg.grad(lambda v: np.sum(np.insert(x, 1, v) * np.arange(4.0)))(np.array(0.5)), 1.0)


def test_complex_numbers_are_sorted_with_their_derivatives() -> None:
    """By real parts, and by imaginary parts among equal ones, along any axis."""
    z = np.array([[1 + 2j, 1 - 1j, 0.5], [3j, -2j, 1j]])
    z_dot = np.arange(6.0).reshape(2, 3) + 1j
    for axis in (0, 1, None):
        y, y_dot = rg.jvp(lambda z, axis=axis: np.sort(z, axis), (z,), (z_dot,))
        order = np.argsort(z, axis)
        assert np.array_equal(y, np.sort(z, axis))
        assert np.array_equal(
            y_dot, np.take_along_axis(z_dot if axis is not None else z_dot.ravel(), order, axis or 0)
        )
    weights = np.array([1.0, 10.0, 100.0])
    gradient = rg.grad(lambda z: np.sum(np.real(np.sort(z)) * weights))(z)
    assert np.array_equal(gradient.real, [[100.0, 10.0, 1.0], [100.0, 1.0, 10.0]])

    def in_place(z: Any) -> Any:
        y = z * 1
        y.sort()
        return y

    assert np.array_equal(rg.jvp(in_place, (z,), (z_dot,))[1], np.take_along_axis(z_dot, np.argsort(z), -1))


def test_booleans_are_numbers_of_places_in_take() -> None:
    x, chosen, w = np.array([0.5, -1.0, 2.0]), np.array([True, False, True]), np.array([1.0, 2.0, 4.0])
    for f in (
        lambda x: np.take(x, list(chosen)),
        lambda x: x.take(chosen),
        lambda x: np.take(x, chosen, mode="clip"),
    ):
        value, pullback = rg.vjp(f, x)
        assert np.array_equal(value, f(x))
        assert np.array_equal(pullback(w)[0], [2.0, 5.0, 0.0])


def test_a_mask_says_before_which_elements_to_insert() -> None:
    x, mask = np.array([0.5, -1.0, 2.0]), np.array([True, False, True])
    for f in (lambda x: np.insert(x, mask, x[0]), lambda x: np.insert(x, mask, x[1:])):
        value, pullback = rg.vjp(f, x)
        assert np.array_equal(value, f(x))
        assert np.sum(pullback(np.ones(5))[0]) == 5.0


@pytest.mark.parametrize("indices", [np.array([True, False, True]), np.array([1.0, 0.0])])
def test_places_along_an_axis_are_integers(indices: Any) -> None:
    x = np.array([0.5, -1.0, 2.0])
    for f in (
        lambda x: np.take_along_axis(x, indices, 0),
        lambda x: np.put_along_axis(x * 1, indices, 1.0, 0),
        lambda x: np.put_along_axis(x * 1, indices, 1.0, None),
    ):
        with pytest.raises(IndexError, match="must be an integer array"):
            f(x)
        with pytest.raises(IndexError, match="must be an integer array"):
            rg.vjp(f, x)


@pytest.mark.parametrize("k", [np.uint8(1), np.uint64(2), np.int8(-1), np.uint8(0)], ids=repr)
def test_whole_numbers_of_every_dtype_are_numbers(k: Any) -> None:
    x, v = np.arange(1.0, 13.0).reshape(3, 4) ** 1.3, np.arange(12.0).reshape(3, 4) % 5 - 2
    for f in (
        lambda x: np.diag(x, k), lambda x: np.diag(x[0], k), lambda x: np.diagonal(x, k), lambda x: x.diagonal(k), lambda x: np.trace(x, k),
        lambda x: np.roll(x, k), lambda x: np.roll(x, k, 1), lambda x: np.roll(x, np.array([k, k]), (0, 1)),
        lambda x: np.resize(x, np.array([3, 2])), lambda x: np.lib.stride_tricks.sliding_window_view(x, k % 2 + 1, axis=1),
    ):  # fmt: skip
        value, tangent = rg.jvp(f, (x,), (v,))
        assert np.array_equal(value, f(x))
        assert np.array_equal(tangent, f(v))  # it is linear
        w = np.arange(1.0, np.size(value) + 1).reshape(np.shape(value))
        # Adjoint, in whole numbers: nothing is rounded.
        assert np.sum(rg.vjp(f, x)[1](w)[0] * v) == np.sum(w * tangent)
