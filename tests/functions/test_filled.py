"""New arrays like a traced one hold traced numbers, and have a derivative of zero themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import Ball, exact

Array = Any
X = np.array([0.7, -1.3, 2.1])
LIKE: dict[str, Callable[[Array], Array]] = {
    "zeros": np.zeros_like, "ones": np.ones_like, "empty": np.empty_like, "full": lambda x: np.full_like(x, 2.0),
    "shape": lambda x: np.zeros_like(x, shape=(3,)), "dtype": lambda x: np.ones_like(x, dtype=np.float64),
    "full of traced": lambda x: np.full_like(x, x[1]),
}  # fmt: skip


def filled(x: Array, like: Callable[[Array], Array]) -> Array:
    y = like(x)
    for k in range(3):
        y[k] = np.sin(x[k]) * x[k - 1]
    return np.sum(y**2)


@pytest.mark.parametrize("name", LIKE)
def test_it_can_be_filled_with_traced_numbers(name: str) -> None:
    f = lambda x: filled(x, LIKE[name])  # noqa: E731
    due = rg.grad(lambda x: np.sum((np.sin(x) * np.roll(x, 1)) ** 2))
    value, gradient = rg.value_and_grad(f)(X)
    assert value == f(X)
    assert np.allclose(gradient, due(X), rtol=1e-14)
    assert np.allclose(rg.jvp(f, (X,), (X,))[1], due(X) @ X, rtol=1e-14)
    assert np.allclose(rg.hessian(f)(X), rg.jacfwd(due)(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["zeros", "ones", "full"])
def test_its_own_derivative_is_zero(name: str) -> None:
    f = lambda x: np.sum(LIKE[name](x) * x)  # noqa: E731
    assert np.array_equal(rg.grad(f)(X), LIKE[name](X))
    assert np.array_equal(rg.grad(lambda x: np.sum(LIKE[name](x)))(X), np.zeros(3))
    assert np.array_equal(rg.grad(rg.Graph.record(f, X))(X), LIKE[name](X))


def test_integers_and_booleans_stay_plain() -> None:
    seen = []
    rg.grad(lambda x: seen.extend([np.zeros_like(x, dtype=int), np.ones_like(x, bool)]) or np.sum(x))(X)
    assert [type(y) for y in seen] == [np.ndarray] * 2


def test_bounds_of_what_is_filled() -> None:
    y = np.zeros_like(exact(X.astype(np.float32), FORMATS["float32"]))
    assert type(y) is Ball
    assert y.radius is None
