"""stop_gradient: the identity with the derivative zero, at every level, over trees, Balls and graphs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import refgrad as rg
from refgrad import bounds
from refgrad.errors import DtypeError
from refgrad.tracing.ball import Ball, parts

X = np.array([0.3, -0.7, 1.1])


def test_the_derivative_is_zero_and_the_value_is_not() -> None:
    assert rg.grad(lambda x: x * rg.stop_gradient(x))(3.0) == 3
    y, y_dot = rg.jvp(lambda x: rg.stop_gradient(x) ** 2 + x, (X,), (np.ones(3),))
    assert np.array_equal(y, X**2 + X)
    assert np.array_equal(y_dot, np.ones(3))
    assert np.array_equal(rg.vjp(rg.stop_gradient, X)[1](X)[0], np.zeros(3))


def test_what_is_stopped_stays_so_in_every_nesting() -> None:
    def f(x: np.ndarray) -> np.ndarray:
        return x**2 * rg.stop_gradient(x**3)

    for outer, inner in itertools.product((rg.jacfwd, rg.jacrev), repeat=2):
        assert np.isclose(inner(f)(np.array(2.0)), 2 * 2.0**4)
        # The first derivative is 2 x stopped(x^3), and what is stopped stays so.
        assert np.isclose(outer(inner(f))(np.array(2.0)), 2 * 2.0**3)


def test_trees_and_plain_arrays() -> None:
    def f(x: np.ndarray) -> np.ndarray:
        stopped = rg.stop_gradient({"a": (x, [2 * x]), "b": None, "c": "word", "d": 7})
        assert stopped["b"] is None
        assert stopped["c"] == "word"
        assert stopped["d"] == 7
        return np.sum(x * (stopped["a"][0] + stopped["a"][1][0]))

    assert np.array_equal(rg.grad(f)(X), 3 * X)
    assert rg.stop_gradient(X) is X
    assert rg.stop_gradient((1.5, [2])) == (1.5, [2])


def test_the_radius_moves_along() -> None:
    fmt = bounds.FORMATS["float64"]
    value, radius = parts(rg.stop_gradient(Ball(X.astype(fmt.wide), np.array([0.5, 0.0, 0.25]), fmt)))
    assert np.array_equal(value, X)
    assert np.array_equal(radius, [0.5, 0.0, 0.25])
    y = rg.grad(lambda x: np.sum(x * rg.stop_gradient(np.exp(x))))(Ball(X.astype(fmt.wide), None, fmt))
    value, radius = parts(y)
    assert np.all(np.abs(np.exp(X) - value) <= radius)
    assert np.all(radius > 0)


def test_writing_into_what_was_stopped_reaches_nothing_else() -> None:
    x = X.copy()

    def f(x: np.ndarray) -> np.ndarray:
        y = rg.stop_gradient(x)
        y[0] = 100.0
        return np.sum(x**2)

    assert np.array_equal(rg.grad(f)(x), 2 * X)
    assert np.array_equal(x, X)


def test_a_graph_keeps_it() -> None:
    graph = rg.Graph.record(lambda x: x * rg.stop_gradient(x), X)
    graph.forward(X)
    assert np.array_equal(graph.backward(np.ones(3))["x"], X)
    again = rg.Graph.from_json(graph.to_json())
    again.forward(X)
    assert np.array_equal(again.backward(np.ones(3))["x"], X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_dtypes_stay(dtype: type) -> None:
    assert rg.vjp(rg.stop_gradient, X.astype(dtype))[0].dtype == dtype


def test_what_may_hold_traced_arrays_unseen_is_refused() -> None:
    for x, name in (
        (iter([X]), "x is a list_iterator"),
        ([X, object()], r"x\[1\] is an object"),
        ({"a": {X.sum()}}, r"x\['a'\] is a set"),
    ):
        with pytest.raises(
            DtypeError, match=rf"stop_gradient: {name}; arrays, or containers of arrays, are expected"
        ):
            rg.stop_gradient(x)
    kept = ["text", 3, np.sin, None, {"a": {1, 2}}]
    assert rg.stop_gradient(kept) == kept
