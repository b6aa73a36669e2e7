"""has_aux: what f returns second is handed on, plain and without a derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError
from refgrad.op import Traced
from refgrad.tree import flatten

X = np.array([1.0, 2.0])


def f(x: Any, scale: float = 1.0) -> Any:
    y = np.sum(x**2) * scale
    return y, {"rows": [x * 3, "text"], "number": y, "count": x.size, "none": None, "plain": np.arange(2)}


def _value_and_grad(x: Any) -> tuple[Any, Any]:
    (value, aux), gradient = rg.value_and_grad(f, has_aux=True)(x)
    return (value, gradient), aux


def _vjp(x: Any) -> tuple[Any, Any]:
    y, pullback, aux = rg.vjp(f, x, has_aux=True)
    return (y, pullback(1.0)[0]), aux


def _jvp(x: Any) -> tuple[Any, Any]:
    y, y_dot, aux = rg.jvp(f, (x,), (x,), has_aux=True)
    return (y, y_dot), aux


def _linearize(x: Any) -> tuple[Any, Any]:
    y, pushforward, aux = rg.linearize(f, x, has_aux=True)
    return (y, pushforward(x)), aux


def value(x: Any) -> Any:
    """f without aux."""
    return f(x)[0]


TRANSFORMED: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "grad": rg.grad(f, has_aux=True),
    "value_and_grad": _value_and_grad,
    "vjp": _vjp,
    "jvp": _jvp,
    "jacrev": rg.jacrev(f, has_aux=True),
    "jacfwd": rg.jacfwd(f, has_aux=True),
    "hessian": rg.hessian(f, has_aux=True),
    "linearize": _linearize,
}
WITHOUT: dict[str, Callable[[Any], Any]] = {
    "grad": rg.grad(value),
    "value_and_grad": rg.value_and_grad(value),
    "vjp": lambda x: (value(x), rg.vjp(value, x)[1](1.0)[0]),
    "jvp": lambda x: rg.jvp(value, (x,), (x,)),
    "jacrev": rg.jacrev(value),
    "jacfwd": rg.jacfwd(value),
    "hessian": rg.hessian(value),
    "linearize": lambda x: (value(x), rg.linearize(value, x)[1](x)),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_the_derivative_is_that_of_the_first_and_aux_is_plain(name: str) -> None:
    found, aux = TRANSFORMED[name](X)
    due = WITHOUT[name](X)
    for a, b in zip(flatten(found)[0], flatten(due)[0], strict=True):
        assert np.array_equal(a, b)
    expected = f(X)[1]
    assert list(aux) == list(expected)
    assert not any(isinstance(x, Traced) for x in flatten(aux)[0])
    assert np.array_equal(aux["rows"][0], 3 * X)
    assert type(aux["number"]) is np.float64
    assert (aux["rows"][1], aux["number"], aux["count"], aux["none"]) == ("text", 5.0, 2, None)
    assert np.array_equal(aux["plain"], [0, 1])


@pytest.mark.parametrize("name", TRANSFORMED)
def test_an_outer_transformation_differentiates_aux(name: str) -> None:
    def outer(x: Any) -> Any:
        return np.sum(TRANSFORMED[name](x)[1]["rows"][0] ** 2)

    assert np.array_equal(rg.grad(outer)(X), 18 * X)
    assert np.array_equal(rg.jacfwd(outer)(X), 18 * X)


@pytest.mark.parametrize("size", [2, 2**17])
def test_aux_is_an_array_of_its_own(size: int) -> None:
    x = np.ones(size)
    _, aux = rg.grad(lambda x: (np.sum(x), x), has_aux=True)(x)
    aux += 1.0
    assert np.all(x == 1.0)


def test_argnums_and_keywords_go_on() -> None:
    def g(a: Any, b: Any, power: int = 1) -> Any:
        return np.sum(a * b**power), power

    for call in (
        rg.grad(g, (0, 1), has_aux=True),
        lambda *xs, **k: rg.value_and_grad(g, (0, 1), has_aux=True)(*xs, **k)[::-1],
    ):
        (a_bar, b_bar), aux = call(X, 2 * X, power=3)
        assert np.array_equal(a_bar, (2 * X) ** 3)
        assert np.array_equal(b_bar, 3 * X * (2 * X) ** 2)
        assert aux in (3, (np.sum(X * (2 * X) ** 3), 3))


def test_a_function_that_returns_no_pair_is_named() -> None:
    for g in (np.sum, lambda x: (np.sum(x),), lambda x: [np.sum(x), 1], lambda x: None):
        for call in (
            rg.grad(g, has_aux=True),
            rg.jacfwd(g, has_aux=True),
            lambda x, g=g: rg.vjp(g, x, has_aux=True),
        ):
            with pytest.raises(
                ArgumentError, match=r"with has_aux=True f returns a pair \(value, aux\), got"
            ):
                call(X)
