"""linearize: the value, and the derivative along any tangent, from one run of the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError, DtypeError, TracingError

Array = Any
X = np.array([0.5, 1.3, 2.2])
V = np.array([0.3, -1.0, 0.7])


@rg.custom_vjp
def own(x: Array) -> Array:
    return x**3


own.defvjp(lambda x: (x**3, x), lambda x, y_bar: (3 * x**2 * y_bar,))


@rg.custom_jvp
def forward(x: Array) -> Array:
    return x**2


@forward.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return primals[0] ** 2, 2 * primals[0] * tangents[0]


PROGRAMS: dict[str, Callable[[Array], Any]] = {
    "elementwise": lambda x: np.sin(x) * x,
    "a sum": lambda x: np.sum(x**2) * x,
    "a scalar": np.prod,
    "a solution": lambda x: np.linalg.solve(np.outer(x, x) + np.eye(3), x),
    "sorted": lambda x: np.max(x) * np.sort(x),
    "a norm": lambda x: np.linalg.norm(x) * np.cumsum(x),
    "a branch": lambda x: np.where(x > 1, x * x, x),
    "an array": lambda x: np.array([x[0] * x[1], np.exp(x[2])]),
    "a determinant": lambda x: np.linalg.det(np.outer(x, x) + np.eye(3)),
    "softmax": rg.nn.softmax,
    "cotangents beyond the range": lambda x: 1 / (1 + np.exp(-x * 300)),
    "variance": lambda x: np.var(x) * x,
    "interpolated": lambda x: np.interp(x, [0, 1, 2, 3], x[[0, 1, 2, 0]]),
    "own backward": own,
    "own forward": forward,
    "a constant": lambda x: np.ones(2),
    "an integer": lambda x: [x * 2, np.argmax(x)],
    "float32": lambda x: x.astype(np.float32) * 2,
    "a gradient": rg.grad(lambda z: np.sum(z**3)),
    "a view": lambda x: x[::-1],
    "itself": lambda x: x,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_pushforward_is_forward_mode(name: str) -> None:
    f = PROGRAMS[name]
    y, push = rg.linearize(f, X)
    value, slope = rg.jvp(f, (X,), (V,))
    roundings = 2**6 * np.finfo(np.float32 if name == "float32" else float).eps
    for got, due in ((y, value), (push(V), slope), (push(2 * V), rg.jvp(f, (X,), (2 * V,))[1])):
        for a, b in zip(
            got if name == "an integer" else [got], due if name == "an integer" else [due], strict=True
        ):
            assert (type(a), a.dtype, a.shape) == (type(b), b.dtype, b.shape)
            assert np.all(np.abs(a - b) <= roundings * np.max(np.abs(b), initial=1.0))


Z = X + 1j * np.array([0.4, -0.9, 0.2])
W = V + 1j * np.array([-0.6, 0.5, 1.1])
COMPLEX: dict[str, tuple[Callable[[Array], Any], Array, Array]] = {
    "a real argument": (lambda x: np.exp(1j * x), X, V),
    "np.fft.rfft": (np.fft.rfft, X, V),
    "np.fft.fft": (np.fft.fft, Z, W),
    "np.exp": (np.exp, Z, W),
    "not analytic": (lambda z: np.conj(z) * z.real, Z, W),
    "np.abs": (np.abs, Z, W),
    "a sum": (lambda z: np.sum(z**2), Z, W),
    "a solution": (lambda z: np.linalg.solve(np.outer(z, z) + np.eye(3), z), Z, W),
    "complex64": (lambda x: (x * 1j).astype(np.complex64), X, V),
    "an integer between": (lambda x: (x * 2, np.argmax(x), x * 1j), X, V),
    "itself": (lambda z: z, Z, W),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_numbers_have_the_derivative_of_forward_mode(name: str) -> None:
    f, at, tangent = COMPLEX[name]
    value, push = rg.linearize(f, at)
    due_value, due = rg.jvp(f, (at,), (tangent,))
    pairs = [(value, due_value), (push(tangent), due)]
    for given, expected in pairs:
        trees = zip(given, expected, strict=True) if isinstance(given, tuple) else [(given, expected)]
        for a, b in trees:
            assert (type(a), a.dtype, a.shape) == (type(b), b.dtype, b.shape)
            eps = np.finfo(np.float32 if name == "complex64" else float).eps
            assert np.all(np.abs(a - b) <= 2**6 * eps * np.max(np.abs(b), initial=1.0))


def test_a_pullback_without_a_transpose_is_refused_with_what_to_call() -> None:
    for f in (np.cumprod, np.multiply.accumulate, lambda x: rg.linalg.matrix_exp(np.outer(x, x))):
        with pytest.raises(
            ArgumentError, match=r"the pullback of f is not linear: .* Call jvp for each tangent"
        ):
            rg.linearize(f, X)


def test_the_function_runs_once() -> None:
    runs: list[int] = []

    def f(x: Array) -> Array:
        runs.append(1)
        return x * x

    _, push = rg.linearize(f, X)
    assert np.array_equal(push(V), 2 * X * V)
    assert np.array_equal(push(X), 2 * X * X)
    assert runs == [1]


def test_arguments_results_and_primals_are_trees() -> None:
    given = {"w": X, "name": "layer", "n": 2}
    y, push = rg.linearize(lambda p, s: {"out": p["w"] ** p["n"] * s, "name": p["name"]}, given, 2.0)
    assert y["name"] == "layer"
    found = push({"w": V, "name": None, "n": 2}, 0.5)
    assert np.allclose(found["out"], 4 * X * V + 0.5 * X**2)
    given["w"] = np.zeros(2)
    assert np.array_equal(push({"w": V, "name": "layer", "n": 0}, 0.0)["out"], 4 * X * V)


def test_what_it_returns_belongs_to_nobody_else() -> None:
    x = X.copy()
    y, push = rg.linearize(lambda x: x, x)
    first = push(V)
    first += 1.0
    y += 1.0
    x[:] = 7.0
    assert np.array_equal(push(V), V)


def test_outer_transformations_differentiate_it() -> None:
    def product(x: Array) -> Array:
        return rg.linearize(lambda z: np.sin(z) * z**2, x)[1](x)

    due = rg.jacrev(lambda x: rg.jvp(lambda z: np.sin(z) * z**2, (x,), (x,))[1])(X)
    for mode in (rg.jacfwd, rg.jacrev):
        assert np.allclose(mode(product)(X), due, rtol=1e-13)

    _, push = rg.linearize(np.exp, X)
    assert np.allclose(rg.jacrev(push)(V), np.diag(np.exp(X)), rtol=1e-15)


def test_misuse_is_named() -> None:
    _, push = rg.linearize(np.sin, X)
    with pytest.raises(ArgumentError, match=r"linearize: the tangent of argument 0 has shape \(2,\)"):
        push(V[:2])
    with pytest.raises(ArgumentError, match="linearize: tangents have the structure"):
        push(V, V)
    with pytest.raises(DtypeError, match="linearize: argument 0 has dtype int64"):
        rg.linearize(np.sin, np.arange(3))
    with pytest.raises(ArgumentError, match="linearize: f is"):
        rg.linearize(X, X)
    kept: list[Any] = []
    rg.grad(lambda x: (kept.append(x), np.sum(x))[1])(X)
    with pytest.raises(TracingError, match="after the function"):
        push(kept[0])
