"""Sets of numbers: NumPy's elements in NumPy's order, with the derivative of the element that was taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
A = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
V = np.array([0.5, 0.7, 2.5])


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises
        return type(error)


CALLS: dict[str, Callable[..., Any]] = {
    "union1d": np.union1d,
    "setxor1d": np.setxor1d,
    "setdiff1d": np.setdiff1d,
    "intersect1d": np.intersect1d,
    "intersect1d indices": lambda a, b: np.intersect1d(a, b, return_indices=True),
    "unique_all": lambda a, b: np.unique_all(a),
    "unique_counts": lambda a, b: np.unique_counts(a),
    "unique_inverse": lambda a, b: np.unique_inverse(a),
    "unique_values": lambda a, b: np.unique_values(a),
    "unique axis": lambda a, b: np.unique(a, axis=0),
    **{
        f"trim_zeros {trim}": (lambda a, b, trim=trim: np.trim_zeros(np.ravel(a), trim))
        for trim in ("fb", "f", "B", "x")
    },
    "trim_zeros list": lambda a, b: np.trim_zeros(np.nan_to_num(np.ravel(a))[1:-1]),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("unique", [False, True])
def test_values_order_and_errors_are_numpys(name: str, unique: bool) -> None:
    rng, f = np.random.default_rng(len(name)), CALLS[name]
    compared = 0
    for _ in range(40):
        a = np.round(
            rng.standard_normal(tuple(rng.integers(0, 4, rng.integers(1, 3)).tolist())),
            int(rng.integers(0, 2)),
        )
        b = np.round(rng.standard_normal(rng.integers(0, 7))).astype(
            [np.float64, np.float32][rng.integers(2)]
        )
        if a.size and rng.random() < 0.2:
            a.flat[0] = np.nan
        if unique:
            a, b = np.unique(a), np.unique(b)
        due = outcome(lambda a=a, b=b: f(a, b))
        got = outcome(lambda a=a, b=b: rg.vjp(f, a, b)[0])
        if isinstance(due, type):
            assert got is due
            continue
        assert isinstance(got, type(due)) or not isinstance(due, tuple)
        for x, y in zip(got, due, strict=True) if isinstance(due, tuple) else [(got, due)]:
            compared += 1
            assert np.asarray(x).dtype == np.asarray(y).dtype
            assert np.array_equal(x, y, equal_nan=True)
    assert compared or name == "trim_zeros x"


@pytest.mark.parametrize("name", ["union1d", "setxor1d", "setdiff1d", "unique_values", "trim_zeros f"])
def test_derivatives(name: str) -> None:
    def f(a: Array, v: Array) -> Array:
        return CALLS[name](a, 4 * v)

    values_and_derivatives(f, [A, V])
    in_any_nesting(lambda a, v: f(a * a, v), [A, V])


def test_a_trimmed_array_is_a_view() -> None:
    def f(x: Array) -> Array:
        y = np.concatenate([np.zeros(1), x, np.zeros(2)])
        inner = np.trim_zeros(y)
        inner[0] = x[1] * x[2]
        return np.sum(y * y)

    x = np.array([1.0, 2.0, 3.0])
    assert rg.grad(f)(x).tolist() == [0.0, 2 * 6 * 3 + 4.0, 2 * 6 * 2 + 6.0]


def test_common_elements_are_those_of_the_first_array() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 1.0])
    a_bar, b_bar = rg.vjp(np.intersect1d, a, b)[1](np.array([5.0, 7.0]))
    assert a_bar.tolist() == [5.0, 0.0, 7.0]
    assert b_bar.tolist() == [0.0, 0.0]
