"""What a rule may return and what it may read: everything else is refused with words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError, DtypeError, NoRuleError, TracingError

Array = Any
X = np.array([0.3, -0.7, 1.1])


def with_backward(bwd: Any, fwd: Any = None, f: Any = None, **options: Any) -> Any:
    made = rg.custom_vjp(f or (lambda a, b: a * b), **options)
    made.__dict__["name"] = "f"
    made.defvjp(fwd or (lambda *args: (made.f(*args), args)), bwd)
    return made


def with_rule(rule: Any, **options: Any) -> Any:
    made = rg.custom_jvp(lambda a, b: a * b, **options)
    made.__dict__["name"] = "f"
    made.defjvp(rule)
    return made


def backward(f: Any) -> Any:
    return rg.vjp(f, X, X)[1](X)


def forward(f: Any) -> Any:
    return rg.jvp(f, (X, X), (X, X))


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no rule": (lambda: backward(rg.custom_vjp(lambda a, b: a)), NoRuleError, r"no rule yet.*\.defvjp\(fwd, bwd\)"),
    "no tangent rule": (lambda: forward(rg.custom_jvp(lambda a, b: a)), NoRuleError, r"\.defjvp\(rule\)"),
    "no rule, plain arrays": (lambda: rg.custom_jvp(np.sin)(X), NoRuleError, "sin has no rule yet"),
    "no function": (lambda: rg.custom_vjp(3), ArgumentError, "a function of NumPy arrays is expected"),
    "no function for the rule": (lambda: with_backward(None), ArgumentError, "defvjp of f, bwd"),
    "one cotangent": (
        lambda: backward(with_backward(lambda r, g: (g,))), ArgumentError, "bwd returned a tuple of 1; a tuple of 2",
    ),
    "a bare cotangent": (
        lambda: backward(with_backward(lambda r, g: g)), ArgumentError, r"an array of shape \(3,\); a tuple of 2",
    ),
    "cotangents for all": (
        lambda: rg.grad(lambda a: np.sum(with_backward(lambda b, r, g: (g, g), nondiff_argnums=1)(a, X)))(X),
        ArgumentError, "a tuple of 1 is expected.*not for those in nondiff_argnums",
    ),
    "shape": (
        lambda: backward(with_backward(lambda r, g: (g, np.sum(g)))),
        ArgumentError, r"cotangent of argument 1 from bwd has shape \(\)",
    ),
    "structure": (
        lambda: backward(with_backward(lambda r, g: (g, [g]))), ArgumentError, r"\[shape \(3,\)\] for argument 1",
    ),
    "words": (
        lambda: backward(with_backward(lambda r, g: (g, np.array(["a", "b", "c"])))), DtypeError, "cotangent of argument 1",
    ),
    "no residuals": (
        lambda: backward(with_backward(lambda r, g: (g, g), fwd=lambda a, b: a * b)),
        ArgumentError, r"fwd returned an array of shape \(3,\); a pair is expected: return \(y, residuals\)",
    ),
    "no value": (
        lambda: backward(with_backward(lambda r, g: (g, g), fwd=lambda a, b: (None, a))), DtypeError, "the value that fwd returned",
    ),
    "not linear": (
        lambda: forward(with_backward(lambda r, g: (np.clip(g, 0, 1), g))),
        ArgumentError, "the bwd of f in its cotangents is not linear",
    ),
    "no tangent": (lambda: forward(with_rule(lambda p, t: p[0])), ArgumentError, r"return \(y, y_dot\)"),
    "shape of the tangent": (
        lambda: forward(with_rule(lambda p, t: (p[0], np.sum(t[0])))),
        ArgumentError, r"the tangent that the rule returned has shape \(\)",
    ),
    "structure of the tangent": (
        lambda: forward(with_rule(lambda p, t: (p[0], [t[0]]))), ArgumentError, "a tangent of structure",
    ),
    "not linear in tangents": (
        lambda: backward(with_rule(lambda p, t: (p[0], t[0] * t[1]))),
        ArgumentError, "the rule of f in its tangents is not linear",
    ),
    "nondiff": (
        lambda: backward(with_backward(lambda b, r, g: (g,), nondiff_argnums=1)),
        TracingError, "argument 1 is being differentiated, but nondiff_argnums",
    ),
    "nondiff out of range": (
        lambda: with_backward(lambda r, g: (g, g), nondiff_argnums=2)(X, X), ArgumentError, "names argument 2, but f has 2",
    ),
    "by name alone": (
        lambda: with_backward(lambda r, g: (g,), f=lambda a, *, b: a * b)(X, b=X), ArgumentError, r"takes \['b'\] by name alone",
    ),
    "a ufunc by name": (lambda: with_backward(lambda r, g: (g,), f=np.exp)(x=X), ArgumentError, r"called with \['x'\] by name"),
    "a graph": (
        lambda: rg.Graph.record(with_backward(lambda r, g: (g, g)), X, X), NoRuleError, "A graph is made of ops",
    ),
    "applied to tangents": (
        lambda: backward(with_rule(lambda p, t: (p[0], with_rule(lambda p, t: (p[0], t[0]))(t[0], t[1])))),
        NoRuleError, "a rule may not apply",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_named(name: str) -> None:
    run, error, message = WRONG[name]
    with pytest.raises(error, match=f"(?s){message}"):
        run()


CLOSURES: dict[str, Callable[[Any], Any]] = {
    "the function": lambda w: _total(rg.custom_vjp(lambda a: a * w), X),
    "fwd": lambda w: _total(rg.custom_vjp(lambda a: a), w, fwd=lambda a: (a * w, None)),
    "a residual": lambda w: _total(rg.custom_vjp(lambda a: a), w, fwd=lambda a: (a, w)),
    "bwd": lambda w: _total(rg.custom_vjp(lambda a: a), w, bwd=lambda r, g: (g * w,)),
}


def _total(f: Any, x: Array, fwd: Any = None, bwd: Any = None) -> Any:
    f.defvjp(fwd or (lambda a: (a, None)), bwd or (lambda r, g: (g,)))
    return np.sum(f(x * 1.0))


@pytest.mark.parametrize("name", CLOSURES)
def test_a_traced_array_from_outside_is_refused(name: str) -> None:
    with pytest.raises(TracingError, match=r"a closure.*Pass the array as an argument"):
        rg.grad(CLOSURES[name])(np.array(2.0))


def test_a_tangent_rule_that_reads_a_traced_array_from_outside_is_refused() -> None:
    def f(w: Array) -> Array:
        g = rg.custom_jvp(lambda a: a)
        g.defjvp(lambda p, t: (p[0], t[0] * w))
        return np.sum(g(w * 1.0))

    for run in (lambda: rg.grad(f)(np.array(2.0)), lambda: rg.jvp(f, (np.array(2.0),), (np.array(1.0),))):
        with pytest.raises(TracingError, match="a closure"):
            run()


def test_an_outer_level_may_be_read_from_outside() -> None:
    """What encloses a derivative differentiates the rule itself, so nothing is lost."""

    def f(w: Array) -> Array:
        g = rg.custom_vjp(lambda a: a * w)
        g.defvjp(lambda a: (a * w, None), lambda _, y_bar: (y_bar * w**3,))
        return rg.grad(g)(1.5)

    assert rg.grad(f)(2.0) == 12
    assert rg.jvp(f, (2.0,), (1.0,))[1] == 12


@pytest.mark.parametrize(
    "f",
    [lambda x: x, lambda x: x[::-1], lambda x: np.reshape(x, (1, 3))],
    ids=["itself", "a view", "another view"],
)
def test_in_place_operators_on_a_result_that_shares_memory(f: Any) -> None:
    g = rg.custom_vjp(f)
    g.defvjp(lambda x: (f(x), None), lambda _, y_bar: (np.reshape(y_bar, (3,)),))

    def written(x: Array) -> Array:
        z = x * 1.0
        y = g(z)
        y += 1.0
        return np.sum(y * np.sum(z))

    for run in (lambda: rg.grad(written)(X), lambda: rg.jvp(rg.grad(written), (X,), (X,))):
        with pytest.raises(TracingError, match="shares memory"):
            run()


def test_in_place_operators_on_a_result_of_its_own() -> None:
    g = rg.custom_vjp(lambda x: x * 2)
    g.defvjp(lambda x: (x * 2, None), lambda _, y_bar: (2 * y_bar,))

    def written(x: Array) -> Array:
        y = g(x)
        y *= 3
        return np.sum(y)

    assert np.array_equal(rg.grad(written)(X), np.full(3, 6.0))


def test_a_pullback_inside_another_transformation() -> None:
    f = rg.custom_vjp(lambda x: x**2)
    f.defvjp(lambda x: (x**2, x), lambda x, y_bar: (2 * x * y_bar,))
    _, pullback = rg.vjp(f, 3.0)
    assert rg.grad(lambda c: pullback(c)[0])(1.0) == 6
    assert rg.jvp(lambda c: pullback(c)[0], (1.0,), (1.0,))[1] == 6
