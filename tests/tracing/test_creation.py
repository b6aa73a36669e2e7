"""np.zeros(n, like=x) and NumPy's other functions with ``like``: arrays of the transformation of x, which hold traced numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.op import Traced
from refgrad.tracing.creation import LIKE

Array = Any
X = np.array([0.5, 1.5, 2.5])
MADE: dict[str, Callable[[Array], Array]] = {
    "zeros": lambda x: np.zeros(3, like=x),
    "zeros, float32": lambda x: np.zeros((3,), np.float32, like=x),
    "ones": lambda x: np.ones((3,), like=x),
    "empty": lambda x: np.empty(3, like=x) * 0,
    "full": lambda x: np.full(3, 2.0, like=x),
    "full of a traced number": lambda x: np.full(3, x[1], like=x),
    "full of a list": lambda x: np.full((2, 3), [x[0], 1, x[2]], like=x),
    "eye": lambda x: np.eye(3, like=x),
    "identity": lambda x: np.identity(3, like=x),
    "arange": lambda x: np.arange(3.0, like=x),
    "tri": lambda x: np.tri(3, like=x),
    "array": lambda x: np.array([1.0, 2.0, 3.0], like=x),
    "array of traced numbers": lambda x: np.array([1.0, x[0], x[1]], like=x),
    "asarray": lambda x: np.asarray([1.0, 2, 3], like=x),
    "asanyarray": lambda x: np.asanyarray([1.0, 2, 3], like=x),
    "ascontiguousarray": lambda x: np.ascontiguousarray([1.0, 2, 3], like=x),
    "asfortranarray": lambda x: np.asfortranarray([[1.0, 2, 3]], like=x),
    "fromfunction": lambda x: np.fromfunction(lambda i: i + 0.5, (3,), like=x),
    "fromiter": lambda x: np.fromiter([1, 2, 3], float, like=x),
    "frombuffer": lambda x: np.frombuffer(np.ones(3).tobytes(), like=x).copy(),
    "require": lambda x: np.require([1.0, 2, 3], like=x),
    "fromstring": lambda x: np.fromstring("1 2 3", sep=" ", like=x),
}


def test_every_function_has_a_case() -> None:
    assert {f.__name__ for f in LIKE} <= {name.partition(" ")[0].rstrip(",") for name in MADE}


@pytest.mark.parametrize("name", MADE)
def test_an_array_like_a_traced_one_holds_traced_numbers(name: str) -> None:
    def f(x: Array) -> Array:
        y = MADE[name](x)
        start = y.copy()
        y[..., 0] = x[1]
        y[..., 1] += x[0] * x[2]
        y *= x
        return y + start

    due = f(X)
    for order in (rg.jacfwd, rg.jacrev):
        assert order(f)(X).shape == (*due.shape, 3)
    value, slope = rg.jvp(f, (X,), (np.ones(3),))
    assert (value.dtype, value.shape) == (due.dtype, due.shape)
    assert np.array_equal(value, due)
    h = 2.0**-10
    assert np.allclose(slope, (f(X + h) - f(X - h)) / (2 * h), rtol=1e-4)
    assert np.allclose(rg.jacrev(f)(X) @ np.ones(3), slope, rtol=1e-6)


def test_integers_stay_plain() -> None:
    def f(x: Array) -> Array:
        assert not isinstance(np.zeros(3, int, like=x), Traced)
        assert not isinstance(np.arange(3, like=x), Traced)
        return np.sum(x)

    rg.grad(f)(X)


def test_a_number_is_no_array_to_be_like() -> None:
    with pytest.raises(TypeError, match="`like` argument must be an array-like"):
        np.zeros(3, like=np.float64(1.0))  # type: ignore[call-overload]
    with pytest.raises(
        TypeError, match=r"`like` argument must be an array-like.*np.zeros_like\(x, shape=shape\)"
    ):
        rg.grad(lambda x: np.sum(np.zeros(3, like=x)))(1.0)

    def f(x: Array) -> Array:
        y = np.zeros_like(x, shape=(3,))
        y[1] = x * x
        return y[1] * x

    assert rg.grad(f)(2.0) == 12.0


def test_a_buffer_belongs_to_the_transformation_of_its_array() -> None:
    def outer(x: Array) -> Array:
        def inner(y: Array) -> Array:
            buffer = np.zeros(3, like=y)
            buffer[:] = x * y
            return np.sum(buffer**2)

        return np.sum(rg.grad(inner)(x) * x)

    assert np.allclose(rg.grad(outer)(X), 8 * X**3)
