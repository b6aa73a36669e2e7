"""custom_vjp and custom_jvp: the rule decides, in both modes, of every order, over trees and over Balls."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import bounds
from refgrad.tracing.ball import exact, parts

Array = Any
X = np.array([0.3, -0.7, 1.1])
V = np.array([1.0, -2.0, 0.5])
FMT = bounds.FORMATS["float64"]


def by_vjp() -> Callable[..., Any]:
    f = rg.custom_vjp(np.sin)
    f.defvjp(lambda x: (np.sin(x), np.cos(x)), lambda c, y_bar: (3 * y_bar * c,))
    return f


def by_jvp() -> Callable[..., Any]:
    f = rg.custom_jvp(np.sin)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (x_dot,) = primals, tangents
        return np.sin(x), 3 * np.cos(x) * x_dot

    return f


BOTH = pytest.mark.parametrize("make", [by_vjp, by_jvp])


@BOTH
def test_the_rule_decides_in_both_modes(make: Any) -> None:
    f = make()
    assert np.array_equal(f(X), np.sin(X))
    y, pullback = rg.vjp(f, X)
    assert np.array_equal(y, np.sin(X))
    assert np.allclose(pullback(V)[0], 3 * np.cos(X) * V, rtol=1e-15)
    y, y_dot = rg.jvp(f, (X,), (V,))
    assert np.array_equal(y, np.sin(X))
    assert np.allclose(y_dot, 3 * np.cos(X) * V, rtol=1e-15)
    assert np.allclose(rg.grad(lambda x: np.sum(f(2 * x) ** 2))(X), 12 * np.sin(2 * X) * np.cos(2 * X))


@BOTH
def test_every_order_in_every_nesting(make: Any) -> None:
    f = make()
    for outer, inner in itertools.product((rg.jacfwd, rg.jacrev), repeat=2):
        # The rule 3 cos is differentiated by what encloses it, as any code is.
        assert np.allclose(outer(inner(f))(np.array(0.4)), -3 * np.sin(0.4), rtol=1e-14)
        assert np.allclose(rg.grad(outer(inner(f)))(0.4), -3 * np.cos(0.4), rtol=1e-14)


@BOTH
def test_the_rule_may_call_its_own_function(make: Any) -> None:
    f = rg.custom_jvp(np.exp)
    f.defjvp(lambda primals, tangents: (f(primals[0]), f(primals[0]) * tangents[0]))
    assert np.allclose(rg.grad(rg.grad(rg.grad(f)))(0.5), np.exp(0.5))


@BOTH
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_over_balls_the_rule_carries_its_own_rounding(make: Any, mode: str) -> None:
    f = make()

    def derivative(x: Array, v: Array) -> Array:
        return rg.jvp(f, (x,), (v,))[1] if mode == "forward" else rg.vjp(f, x)[1](v)[0]

    value, radius = parts(derivative(exact(X, FMT), exact(V, FMT)))
    assert np.all(radius > 0)
    assert np.all(np.abs(derivative(X, V) - value) <= radius)
    assert np.all(radius < 1e-14)


def test_trees_of_arguments_and_results() -> None:
    @rg.custom_vjp
    def f(params: Any, xs: Any) -> Any:
        return {"sum": params["w"] * xs[0] + params["b"], "more": [xs[1] * 2]}

    def bwd(residuals: Any, y_bar: Any) -> Any:
        params, xs = residuals
        s, (m,) = y_bar["sum"], y_bar["more"]
        # dicts are matched by key
        return {"b": np.sum(s), "w": np.sum(s * xs[0])}, [s * params["w"], 2 * m]

    f.defvjp(lambda params, xs: (f(params, xs), (params, xs)), bwd)
    g = rg.custom_jvp(f.f)

    @g.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (p, xs), (p_dot, xs_dot) = primals, tangents
        y_dot = {"more": [2 * xs_dot[1]], "sum": p_dot["w"] * xs[0] + p["w"] * xs_dot[0] + p_dot["b"]}
        return g(p, xs), y_dot

    args = ({"w": np.array(1.5), "b": np.array(0.5)}, [X, V])
    dots = ({"w": np.array(-1.0), "b": np.array(2.0)}, [V, X])
    y_bar = {"sum": V, "more": [X]}
    for h in (f, g):
        y, y_dot = rg.jvp(h, args, dots)
        due, due_dot = rg.jvp(f.f, args, dots)
        assert np.allclose(y["sum"], due["sum"])
        assert np.allclose(y_dot["sum"], due_dot["sum"])
        assert np.allclose(y_dot["more"][0], due_dot["more"][0])
        found, wanted = rg.vjp(h, *args)[1](y_bar), rg.vjp(f.f, *args)[1](y_bar)
        assert np.allclose(found[0]["w"], wanted[0]["w"])
        assert np.allclose(found[0]["b"], wanted[0]["b"])
        assert all(np.allclose(a, b) for a, b in zip(found[1], wanted[1], strict=True))


def test_a_backward_with_several_results_runs_once_for_all_of_them() -> None:
    """Where bwd is not linear, as with clipping, what it gives for the sum is not the sum of what it gives."""
    calls = []
    f = rg.custom_vjp(lambda x: (x, 2 * x))

    def bwd(_: Any, y_bar: Any) -> Any:
        calls.append(y_bar)
        return (np.clip(y_bar[0] + 2 * y_bar[1], -1, 1),)

    f.defvjp(lambda x: (f.f(x), None), bwd)
    _, pullback = rg.vjp(f, X)
    assert np.array_equal(pullback((np.full(3, 0.75), np.full(3, 0.25)))[0], np.ones(3))
    assert len(calls) == 1
    # One result unused: its cotangent is zeros.
    assert np.array_equal(rg.grad(lambda x: np.sum(f(x)[1]) / 4)(X), np.full(3, 0.5))
    assert np.array_equal(calls[1][0], np.zeros(3))


def test_integers_and_other_things_have_no_derivative() -> None:
    seen: list[Any] = []
    f = rg.custom_vjp(lambda x, index, word: (x[index], index + 1))

    def bwd(residuals: Any, y_bar: Any) -> Any:
        seen.append(y_bar[1])
        return rg.vjp(lambda x: x[residuals], X)[1](y_bar[0])[0], None, "ignored"

    f.defvjp(lambda x, index, word: (f.f(x, index, word), index), bwd)
    g = rg.custom_jvp(f.f)

    @g.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        x_dot, index_dot, word_dot = tangents
        seen.append((index_dot, word_dot))
        return g.f(*primals), (x_dot[primals[1]], index_dot)

    index = np.array([2, 0])
    for h in (f, g):
        y, y_dot = rg.jvp(lambda x: h(x, index, "word"), (X,), (V,))  # noqa: B023 - called at once
        assert np.array_equal(y[1], [3, 1])
        assert np.array_equal(y_dot[0], V[index])
        assert np.array_equal(y_dot[1], [0, 0])
        assert np.array_equal(rg.grad(lambda x: np.sum(h(x, index, "word")[0]))(X), [1, 0, 1])  # noqa: B023
    assert np.array_equal(seen[0], np.zeros(2))
    assert np.array_equal(seen[-1][0], np.zeros(2))
    assert seen[-1][1] is None


def test_arguments_without_a_derivative_come_first() -> None:
    @functools.partial(rg.custom_vjp, nondiff_argnums=(1, 2))
    def scaled(x: Array, factor: float, shift: float = 0.0) -> Array:
        return x * factor + shift

    scaled.defvjp(
        lambda x, factor, shift: (scaled(x, factor, shift), None),
        lambda factor, shift, _, y_bar: (-factor * y_bar,),
    )
    other = rg.custom_jvp(scaled.f, nondiff_argnums=1)

    @other.defjvp
    def rule(factor: float, primals: Any, tangents: Any) -> Any:
        return other(primals[0], factor, primals[1]), -factor * tangents[0] + tangents[1]

    for f in (scaled, other):
        assert np.array_equal(rg.grad(lambda x: np.sum(f(x, factor=3.0)))(X), np.full(3, -3.0))  # noqa: B023 - called at once
        assert np.array_equal(rg.jvp(lambda x: f(x, 3.0), (X,), (V,))[1], -3 * V)  # noqa: B023
    assert rg.grad(lambda s: np.sum(other(X, 3.0, s)))(0.5) == 3


def test_none_and_an_argument_that_is_not_differentiated() -> None:
    f = rg.custom_vjp(lambda a, b: a * b)
    f.defvjp(lambda a, b: (a * b, (a, b)), lambda r, y_bar: (None, y_bar * r[0]))
    assert np.array_equal(rg.grad(lambda a: np.sum(f(a, V)))(X), np.zeros(3))
    assert np.array_equal(rg.grad(lambda b: np.sum(f(X, b)))(V), X)
    assert np.array_equal(rg.jvp(f, (X, V), (V, V))[1], X * V)


def test_straight_through_and_reversal() -> None:
    through = rg.custom_vjp(np.round)
    through.defvjp(lambda x: (np.round(x), None), lambda _, y_bar: (y_bar,))
    assert np.array_equal(rg.vjp(through, X)[1](V)[0], V)
    assert np.array_equal(rg.jvp(through, (X,), (V,))[1], V)
    reverse = rg.custom_jvp(lambda x: x)
    reverse.defjvp(lambda primals, tangents: (primals[0], -0.5 * tangents[0]))
    assert np.array_equal(rg.vjp(reverse, X)[1](V)[0], -0.5 * V)


def test_float32_stays_float32() -> None:
    f = rg.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (f.f(x), None), lambda _, y_bar: (y_bar.astype(np.float64) * 2,))
    x = X.astype(np.float32)
    assert rg.vjp(f, x)[1](x)[0].dtype == np.float32
    assert rg.jvp(f, (x,), (x,))[1].dtype == np.float32


def test_the_backward_sees_the_context_of_the_call() -> None:
    scale = ContextVar("scale", default=1.0)
    f = rg.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, y_bar: (y_bar * scale.get(),))
    scale.set(7.0)
    assert rg.grad(f)(2.0) == 7


@pytest.mark.filterwarnings("error")
def test_rules_give_no_floating_point_warnings() -> None:
    f = rg.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, x), lambda x, y_bar: (y_bar / (x - x),))
    assert rg.grad(f)(2.0) == np.inf
    g = rg.custom_jvp(lambda x: x)
    g.defjvp(lambda primals, tangents: (primals[0], tangents[0] / (primals[0] - primals[0])))
    assert rg.jvp(g, (2.0,), (1.0,))[1] == np.inf
    assert rg.grad(g)(2.0) == np.inf


def test_names_and_documentation_are_the_functions_own() -> None:
    @rg.custom_vjp
    def f(x: Array) -> Array:
        """What f does."""
        return x

    assert f.__name__ == "f"
    assert f.__doc__ == "What f does."
    assert repr(f) == "<custom_vjp f>"


@BOTH
def test_the_adjoint_identity_with_two_active_arguments(make: Any) -> None:
    f = make()

    def both(a: Array, b: Array) -> Array:
        return f(a * b) + f(b)[::-1]

    y_dot = rg.jvp(both, (X, V), (V, X))[1]
    a_bar, b_bar = rg.vjp(both, X, V)[1](X)
    assert np.isclose(np.sum(X * y_dot), np.sum(a_bar * V) + np.sum(b_bar * X), rtol=1e-13)
