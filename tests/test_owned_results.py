"""What transformations hand out is nobody else's, and what they take the caller may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from tests.outcomes import arrays_in

Array = Any
X = np.array([0.5, -1.5, 2.0])


def custom(fwd: Callable[..., Any], bwd: Callable[..., Any]) -> Any:
    f = rg.custom_vjp(lambda x: fwd(x)[0])
    f.defvjp(fwd, bwd)
    return f


# --- arguments, cotangents, results --------------------------------------------------------------------------------------


def test_the_caller_may_write_to_arguments_values_and_cotangents() -> None:
    x, w = X.copy(), X.copy()
    y, pullback = rg.vjp(lambda x, w: (np.exp(x) * w, w), x, w)
    expected = (np.exp(X) * X, np.exp(X) + 1)
    x[:], w[:], y[0][:], y[1][:] = 7.0, 8.0, 9.0, 10.0
    y_bar = np.ones(3)
    first = pullback((y_bar, y_bar))
    assert np.array_equal(first[0], expected[0])
    assert np.array_equal(first[1], expected[1])
    y_bar *= 2
    second = pullback((y_bar, np.ones(3)))
    assert np.array_equal(second[0], 2 * expected[0])
    assert np.array_equal(first[0], expected[0])


@pytest.mark.parametrize("n", [3, 90_000])
def test_the_caller_may_write_to_an_argument_before_the_pullback(n: int) -> None:
    x = np.linspace(0.5, 1.5, n)
    y, pullback = rg.vjp(lambda x: np.sum(x * x), x)
    x *= 0.5
    assert np.array_equal(pullback(1.0)[0], 2 * np.linspace(0.5, 1.5, n))
    assert y > 0


def test_f_may_write_to_the_array_that_its_tangent_was_given_in() -> None:
    v = np.ones(3)

    def f(x: Array) -> Array:
        y = x * x
        v[:] = 7.0
        return y + x

    assert np.array_equal(rg.jvp(f, (X,), (v,))[1], 2 * X + 1)


def test_the_value_may_be_a_list_that_grows() -> None:
    results: list[Array] = []

    def f(x: Array) -> list[Array]:
        results.append(x * x)
        return results

    _, pullback = rg.vjp(f, X)
    results.append(X)
    assert np.array_equal(pullback([np.ones(3)])[0], 2 * X)


SHARED: dict[str, Callable[..., Any]] = {
    "two gradients": lambda x, c: rg.grad(lambda a, b: np.sum(a + b), (0, 1))(x, x),
    "a cotangent": lambda x, c: [rg.vjp(lambda a: a + 0.0, x)[1](c), rg.vjp(lambda a: a, x)[1](c)],
    "a tangent": lambda x, c: [rg.jvp(lambda a: a, (x,), (c,)), rg.jvp(lambda a: (a, a), (x,), (c,))],
    "the argument twice": lambda x, c: rg.vjp(lambda a: (a, a), x)[0],
    "a broadcast": lambda x, c: rg.jvp(lambda a: np.broadcast_to(a, (2, 3)) + 0.0, (x,), (x,)),
    "a constant": lambda x, c: [rg.vjp(lambda a: c, x)[0], rg.jvp(lambda a: (c, a * 2), (x,), (x,))],
    "a view": lambda x, c: rg.vjp(lambda a: (a[:2], a.reshape(3, 1), a.T), x)[0],
    "jacobians": lambda x, c: [rg.jacfwd(lambda a: a)(x), rg.jacrev(lambda a: a[None])(x), rg.jacfwd(lambda a: a[None])(x)],
    "second derivatives": lambda x, c: [rg.hessian(lambda a: np.sum(a * c))(x), rg.hvp(lambda a: np.sum(a * a), (x,), (c,))],
    "a gradient of an argument": lambda x, c: rg.value_and_grad(lambda a: a[0])(x),
    "a graph": lambda x, c: _of_graph(rg.Graph.record(lambda a: (a, a.reshape(3, 1), a * c), x), x, c),
}  # fmt: skip


def _of_graph(graph: rg.Graph, x: Array, c: Array) -> Any:
    values = graph.forward(x)
    return [values, graph(x), graph.backward(c, c.reshape(3, 1), c)]


@pytest.mark.parametrize("name", SHARED)
def test_results_are_arrays_of_their_own(name: str) -> None:
    x, c = X.copy(), np.ones(3)
    results = arrays_in(SHARED[name](x, c))
    assert results
    for j, result in enumerate(results):
        assert result.flags.writeable
        assert result.flags.owndata
        assert not any(np.shares_memory(result, other) for other in [x, c, *results[:j]])


def test_traced_results_are_objects_of_their_own() -> None:
    def f(x: Array) -> Array:
        (a, b), (c, d) = rg.jvp(lambda z: (z, z), (x,), (x,))
        a *= 3.0
        c *= 5.0
        return np.sum(a + b + c + d + x)

    assert np.array_equal(rg.grad(f)(X), np.full(3, 11.0))


@pytest.mark.parametrize("n", [3, 90_000])
def test_an_argument_that_f_changes_by_another_name_is_refused(n: int) -> None:
    for change in (
        lambda a: a.__imul__(0.5),
        lambda a: a.__setitem__(n // 2, 0.25),
        lambda a: a.sort(),
        np.negative,
    ):
        x = np.random.default_rng(0).permutation(n) + 1.0

        def f(z: Array) -> Array:
            change(x) if change is not np.negative else np.negative(x, out=x)  # noqa: B023
            return np.sum(z * z)

        for run in (lambda: rg.grad(f)(x), lambda: rg.vjp(f, x), lambda: rg.jvp(f, (x,), (x,))):  # noqa: B023
            x[:] = np.random.default_rng(0).permutation(n) + 1.0
            with pytest.raises(
                TracingError, match="argument 0 was changed while f ran, through another name"
            ):
                run()


# --- functions with derivatives of their own -----------------------------------------------------------------------------


def test_residuals_are_kept_as_they_were() -> None:
    work = np.zeros(3)

    def fwd(x: Array) -> Any:
        work[:] = 2 * x
        return x * x, {"slope": work}

    f = custom(fwd, lambda r, y_bar: (r["slope"] * y_bar,))
    assert np.array_equal(rg.grad(lambda x: np.sum(f(x) + 0 * f(x + 1.0)))(X), 2 * X)


def test_a_backward_may_write_to_what_it_gets_and_return_a_buffer() -> None:
    work = np.zeros(3)

    def bwd(r: Array, y_bar: Array) -> Any:
        y_bar *= 3.0
        r *= 2.0
        work[:] = y_bar * r
        return (work,)

    f = custom(lambda x: (x * x, x), bwd)
    _, pullback = rg.vjp(lambda x: np.sum(f(x) + f(2.0 * x) + x), X)
    for _ in range(2):
        assert np.array_equal(pullback(1.0)[0], 6 * X + 2 * 6 * 2 * X + 1)


def test_a_backward_may_return_one_buffer_at_each_call() -> None:
    work = np.zeros(3)

    def bwd(r: Array, y_bar: Array) -> Any:
        work[:] = 2 * r * y_bar
        return (work,)

    f = custom(lambda x: (x * x, x), bwd)
    assert np.array_equal(rg.grad(lambda x: np.sum(f(x) + 10 * f(x)))(X), 22 * X)


def test_a_rule_that_writes_to_its_argument_is_refused() -> None:
    def fwd(x: Array) -> Any:
        x *= 2.0
        return x, None

    f = custom(fwd, lambda r, y_bar: (y_bar,))
    for run in (rg.grad, lambda g: lambda x: rg.jvp(g, (x,), (x,)), lambda g: rg.jacrev(rg.grad(g))):
        with pytest.raises(TracingError, match="fwd wrote to an array that it was given"):
            run(lambda x: np.sum(f(x)))(X)


def test_a_tangent_rule_may_write_to_tangents() -> None:
    f = rg.custom_jvp(lambda x: x * x)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (x_dot,) = primals, tangents
        x_dot = x_dot * 1.0
        y_dot = 2 * x * x_dot
        tangents[0].__imul__(0.0)
        return x * x, y_dot

    y_dot = rg.jvp(lambda x: f(x) + x, (X,), (np.ones(3),))[1]
    assert np.array_equal(y_dot, 2 * X + 1)


# --- graphs --------------------------------------------------------------------------------------------------------------


def test_a_graph_keeps_constants_and_parameters_as_they_were() -> None:
    w, index = np.ones(3), np.array([2, 0])

    def f(x: Array) -> Array:
        y = np.sum(x * w) + np.sum(x[index] ** 2)
        w[:], index[:] = 5.0, 1
        return y

    graph = rg.Graph.record(f, X)
    x = X.copy()
    assert graph.forward(x) == np.sum(X) + X[2] ** 2 + X[0] ** 2
    x[:] = 0.0
    assert np.array_equal(graph.backward()["x"], [1 + 2 * X[0], 1.0, 1 + 2 * X[2]])
    graph = rg.Graph()
    graph.output(graph.constant(w))
    result = graph()
    result[:] = 0.0
    w[:] = 1.0
    assert np.array_equal(graph(), np.full(3, 5.0))


def test_a_graph_keeps_what_the_last_forward_and_backward_came_to() -> None:
    graph = rg.Graph.record(lambda a, b: np.sum(a * a + a + b), X, X)
    a, b = X.copy(), X.copy()
    graph.forward(a, b)
    a[:], b[:] = 0.0, 0.0
    first = graph.backward()
    assert np.array_equal(first["a"], 2 * X + 1)
    first["a"][:], first["b"][:] = 0.0, 0.0
    assert graph.cotangents is not None
    assert np.array_equal(graph.cotangents[0], 2 * X + 1)
    assert np.array_equal(graph.cotangents[1], np.ones(3))
