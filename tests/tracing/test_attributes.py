"""Attributes of traced arrays: x.flat reads and writes as NumPy's does, and no name is public that NumPy lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.custom.transpose import Linear
from refgrad.graph import Symbol
from refgrad.tracing import unavailable
from refgrad.tracing.ball import Ball
from refgrad.tracing.forward import Dual
from refgrad.tracing.reverse import Var

X = np.array([[0.57, -1.28, 2.11], [1.53, 0.72, -0.44]])
KEYS: tuple[Any, ...] = (
    0,
    -1,
    np.int64(2),
    slice(1, 5, 2),
    [0, 0, 5],
    np.array([1, 4]),
    np.array([True, False] * 3),
    ...,
    (),
)
WRITES: tuple[tuple[Any, Any], ...] = (
    (0, 2.0),
    (slice(None), 3.0),
    (slice(0, 4), [1.0, 2.0]),
    ([0, 5], [1.0, 2.0, 3.0]),
    (..., 4.0),
)


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize(
    "arrange", [lambda x: x, lambda x: x.T, lambda x: x[:, ::2]], ids=["x", "x.T", "x[:, ::2]"]
)
def test_elements_are_read(key: Any, arrange: Callable[[Any], Any]) -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        y = arrange(x).flat[key]
        seen.append(y)
        return np.sum(y * y)

    try:
        value = f(X)
    except IndexError:
        with pytest.raises(IndexError):
            rg.grad(f)(X)
        return
    traced, gradient = rg.value_and_grad(f)(X)
    assert traced == value
    h = 2.0**-20
    for place in np.ndindex(X.shape):
        unit = np.zeros(X.shape)
        unit[place] = h
        assert np.isclose(gradient[place], (f(X + unit) - f(X - unit)) / (2 * h))
    assert np.shape(seen[0]) == seen[1].shape


@pytest.mark.parametrize(("key", "value"), WRITES, ids=repr)
@pytest.mark.parametrize("arrange", [lambda x: x, lambda x: x.T], ids=["x", "x.T"])
def test_elements_are_written(key: Any, value: Any, arrange: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        arrange(y).flat[key] = value
        return y

    assert np.array_equal(rg.jvp(f, (X,), (X,))[0], f(X))
    untouched = f(X) == X
    assert np.array_equal(rg.grad(lambda x: np.sum(f(x)))(X), untouched)
    assert np.array_equal(rg.jvp(f, (X,), (np.ones_like(X),))[1], untouched)


def test_a_walk_through_all_elements() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for k, e in enumerate(x.T.flat):
            total = total + k * e
        assert len(x.flat) == 6
        x.flat = total * x.flat.copy()[1]
        return np.sum(x)

    order = np.array([[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]])
    expected = 6 * order * X[0, 1]
    expected[0, 1] += 6 * np.sum(order * X)
    assert np.allclose(rg.grad(f)(X), expected)
    assert np.array_equal(rg.grad(lambda x: x.flat[0] * 2)(1.5), 2.0)
    with pytest.raises(rg.errors.TracingError, match="conversion to a plain NumPy array"):
        rg.grad(lambda x: np.asarray(x.flat))(X)
    with pytest.raises(ValueError, match="Error setting single item"):
        rg.grad(lambda x: setattr(x, "flat", []))(X)


# --- names that NumPy does not have -----------------------------------------------------------------------------------------

# A Ball is the innermost level and has no derivative to lose; a Symbol tells the number of its node.
KNOWN = {Ball: {"value", "radius", "fmt"}, Symbol: {"index"}}


@pytest.mark.parametrize("kind", [Var, Dual, Symbol, Linear, Ball], ids=lambda kind: kind.__name__)
def test_a_traced_array_has_no_public_name_that_numpy_lacks(kind: type) -> None:
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert {"shape", "astype", "sum"} <= public
    strangers = public - set(dir(np.ndarray)) - set(dir(np.float64)) - set(unavailable.METHODS)
    assert strangers == KNOWN.get(kind, set())


UNWRAPPING = ["value", "tape", "index", "tangent", "level", "data_", "graph", "primal"]


@pytest.mark.parametrize("name", UNWRAPPING)
def test_code_that_unwraps_arrays_of_other_libraries_meets_the_traced_array(name: str) -> None:
    def f(x: Any) -> Any:
        assert not hasattr(x, name)
        return np.sum(getattr(x, name, x) ** 2)

    x = np.array([1.0, -2.0])
    assert np.array_equal(rg.grad(f)(x), 2 * x)
    assert np.array_equal(rg.jvp(f, (x,), (x,))[1], 2 * np.sum(x * x))
    assert np.array_equal(rg.hessian(f)(x), 2 * np.eye(2))
