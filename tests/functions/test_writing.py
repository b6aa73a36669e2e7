"""NumPy's functions that write into their first argument, where that is traced: value and derivatives of the plain program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.numeric import differences

Array = Any
X = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6], [0.2, 1.5, 0.9]])
V = np.array([[0.3, 0.8, -0.5], [1.1, -0.2, 0.6], [-0.7, 0.1, 0.4]])
W = np.arange(1.0, 10.0).reshape(3, 3)
MASK = X > 0.5

CALLS: dict[str, Callable[[Array, Array], Any]] = {
    "copyto": lambda y, x: np.copyto(y, x[0]), "copyto where": lambda y, x: np.copyto(y, x.T, where=MASK),
    "copyto number": lambda y, x: np.copyto(y[1:], 2.0),
    "put": lambda y, x: np.put(y, [0, -1, 4], x[1]), "put few": lambda y, x: np.put(y, [1, 2, 3], x[0, :2]),
    "put wrap": lambda y, x: np.put(y, [10, -10], x[0, :2], mode="wrap"),
    "put clip": lambda y, x: np.put(y, [10, -10], x[0, :2], mode="clip"), "put none": lambda y, x: np.put(y, [], x[0]),
    "put twice": lambda y, x: np.put(y, [3, 3], x[0, :2]),
    "place": lambda y, x: np.place(y, MASK, x[0, :2]), "putmask": lambda y, x: np.putmask(y, MASK, x[0, :2]),
    "putmask of a view": lambda y, x: np.putmask(y.T, MASK, x),
    "fill_diagonal": lambda y, x: np.fill_diagonal(y, x[0]), "fill_diagonal number": lambda y, x: np.fill_diagonal(y[:2], x[0, 0]),
    "fill_diagonal few": lambda y, x: np.fill_diagonal(y, x[0, :2]),
    "fill_diagonal tall": lambda y, x: np.fill_diagonal(y[:, :1], x[0, 0]),
    "fill_diagonal wrapped": lambda y, x: np.fill_diagonal(y[:, :1], x[0, 0], wrap=True),
    "put_along_axis": lambda y, x: np.put_along_axis(y, np.array([[1, 0, 2]]), x[:1], 0),
    "put_along_axis, last": lambda y, x: np.put_along_axis(y, np.array([[1], [0], [2]]), x[:, :1] * 2, -1),
    "put_along_axis, one for all columns": lambda y, x: np.put_along_axis(y, np.array([[1]]), x[:1], 0),
    "put_along_axis, some for all rows": lambda y, x: np.put_along_axis(y, np.array([[2, 0]]), x[:, :2], 1),
    "put_along_axis, flat": lambda y, x: np.put_along_axis(y, np.array([1, 5]), x[0, :2], None),
    "a mask of traced numbers": lambda y, x: np.place(y, x > 0.5, x[0, :2]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_is_written_has_its_derivative(name: str) -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        view = y[0]
        assert CALLS[name](y, x) is None
        return np.sum(y**2 * W) + np.sum(view**3)

    def plain(x: Array) -> Array:
        return f(np.array(x))

    value, gradient = rg.value_and_grad(f)(X)
    assert value == f(X)
    expected, _ = differences(plain, (X,), (V,))
    assert np.allclose(np.sum(gradient * V), expected, rtol=1e-7)
    assert np.allclose(rg.jvp(f, (X,), (V,))[1], expected, rtol=1e-7)


@pytest.mark.parametrize("function", [np.copyto, lambda a, v: np.putmask(a, MASK, v)])
def test_a_plain_array_cannot_hold_what_is_traced(function: Callable[[Array, Array], Any]) -> None:
    def f(x: Array) -> Array:
        a = np.zeros((3, 3))
        function(a, x)
        return np.sum(a)

    with pytest.raises(TracingError, match=r"np\.\w+ would write to a plain array.*np.zeros\(n, like=x\)"):
        rg.grad(f)(X)


@pytest.mark.parametrize(
    "call", [lambda y: np.fill_diagonal(y[0], 1.0), lambda y: np.place(y, MASK[0], 1.0), lambda y: np.put(y, [99], 1.0),
             lambda y: np.put_along_axis(y, np.array([0]), 1.0, 0), lambda y: np.fill_diagonal(y[None], 1.0)]
)  # fmt: skip
def test_what_numpy_refuses_is_refused(call: Callable[[Array], Any]) -> None:
    with pytest.raises((ValueError, IndexError)):
        call(X.copy())
    with pytest.raises((ValueError, IndexError)):
        rg.grad(lambda x: call(x * 1.0) or np.sum(x))(X)


def test_putmask_without_values_writes_nothing() -> None:
    def f(x: Any) -> Any:
        a = x * 1
        np.putmask(a, a > 0, x[:0])
        return np.sum(a * a)

    x = np.array([0.5, -1.0, 2.0])
    value, slope = rg.value_and_grad(f)(x)
    assert value == f(x)
    assert np.array_equal(slope, 2 * x)
