"""Jacobians whose columns are pushed together: the numbers of single runs, how often a function runs, and what has to be run singly."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import jacobians
from refgrad.errors import TracingError
from refgrad.op import REGISTRY
from tests.jacobian_ways import both_ways, same

DIFFERENTIABLE = sorted(name for name, op in REGISTRY.items() if op.signature.differentiable)
X, W = np.linspace(-1.0, 2.0, 6), np.linspace(3.0, -1.0, 24).reshape(4, 6)


def both(
    monkeypatch: pytest.MonkeyPatch,
    f: Callable[..., Any],
    *xs: Any,
    transform: Callable[..., Any] = rg.jacfwd,
) -> tuple[Any, Any, int]:
    """The Jacobians of f by many tangents and by single ones, and how many there were by many."""
    return both_ways(monkeypatch, "_columns_together", transform, f, *xs)


def calls(f: Callable[..., Any]) -> tuple[Callable[..., Any], list[None]]:
    """f, and a list that grows with each of its runs."""
    runs: list[None] = []

    def counted(*xs: Any) -> Any:
        runs.append(None)
        return f(*xs)

    return counted, runs


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_op_gives_the_columns_of_single_runs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rng, op = np.random.default_rng(0), REGISTRY[name]
    for _ in range(2):
        xs, params = op.domain.sample(rng, 2 if op.signature.variadic else len(op.signature.operands))
        some = [np.asarray(x) for x in xs if np.asarray(x).dtype.kind == "f"]

        def f(*given: Any, op=op, xs=xs, params=params) -> Any:
            left = iter(given)
            return op(*[next(left) if np.asarray(x).dtype.kind == "f" else x for x in xs], **params)

        with np.errstate(all="ignore"):
            once, single, used = both(monkeypatch, f, *some)
        assert used or sum(x.size for x in some) < 2
        assert same(once, single), name


@pytest.mark.parametrize(
    "name", [name for name in DIFFERENTIABLE if REGISTRY[name].broadcasts and REGISTRY[name].elementwise]
)
def test_operands_that_are_broadcast(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    op, rng = REGISTRY[name], np.random.default_rng(1)
    xs, params = op.domain.sample(rng, len(op.signature.operands))
    for k in range(len(xs)):
        if np.asarray(xs[k]).dtype.kind != "f":
            continue
        for narrow in (np.ravel(xs[k])[0], np.ravel(xs[k])[:1]):
            # Each operand has one number, so that they stay in the domain together.
            some = [np.full((2, 3), np.ravel(x)[0], np.asarray(x).dtype) for x in xs]
            some[k] = np.asarray(narrow, np.asarray(xs[k]).dtype)
            moving = [j for j, x in enumerate(some) if x.dtype.kind == "f"]

            def f(*given: Any, some=some, moving=moving) -> Any:
                return op(
                    *[given[moving.index(j)] if j in moving else x for j, x in enumerate(some)], **params
                )

            with np.errstate(all="ignore"):
                once, single, used = both(monkeypatch, f, *[some[j] for j in moving])
            assert used
            assert same(once, single)


def written(x: Any) -> Any:
    y = x.copy()
    y[2:] *= y[:-2]
    part = y[1:4]
    part += x[0]
    y[x > 0.5] = x[0]
    return y


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "a product with a vector": lambda x: np.tanh(W @ x),
    "a product of matrices": lambda x: np.tanh(x.reshape(2, 3)) @ W[:3],
    "broadcasting": lambda x: x[:, None] * x + x[0],
    "broadcasting in a choice": lambda x: np.where(W > 0, x, x[:4, None]) * np.maximum(x, x[0]),
    "an axis": lambda x: np.cumsum(x.reshape(2, 3), axis=0) * np.sum(x),
    "an element": lambda x: x[1] * x[::2],
    "a power": lambda x: (x * x) ** 2 + 1.0,
    "a number": lambda x: np.sum(np.sin(x) ** 2),
    "writing": written,
    "several results": lambda x: {"a": x[:2] * x[2], "b": (np.prod(x), np.arange(3), 1.5)},
    "complex results": lambda x: np.exp(1j * x) * x[0],
    "the argument itself": lambda x: x,
    "a constant": lambda x: np.ones(3),
    "a factorisation": lambda x: np.linalg.solve(np.eye(2) * 3.0 + x[:4].reshape(2, 2), x[4:]),
    "a sort": lambda x: np.sort(np.sin(5 * x)),
    "another gradient inside": lambda x: rg.grad(lambda z: np.sum(z**3) * x[0])(x),
    "another tangent inside": lambda x: rg.jvp(np.sin, (x,), (x * x,))[1],
    "another Jacobian inside": lambda x: rg.jacfwd(lambda z: z * x)(x),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_the_columns_of_single_runs(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    once, single, used = both(monkeypatch, PROGRAMS[name], X.astype(dtype))
    assert used
    assert same(once, single)


def test_a_hessian_takes_all_columns_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    f, runs = calls(lambda x: np.sum(np.tanh(W @ x) ** 2) / np.linalg.norm(x))
    once = rg.hessian(f)(X)
    assert len(runs) == 1
    assert same(once, both(monkeypatch, f, X, transform=rg.hessian)[1][0][0])


def test_a_function_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    f, runs = calls(lambda x, w: x * w)
    rg.jacfwd(f, (0, 1))(X, X)
    assert len(runs) == 1
    monkeypatch.setattr(jacobians, "MOST_NUMBERS", 12 * 6)
    rg.jacfwd(f, (0, 1))(X, X)  # six directions of twelve at a time
    assert len(runs) == 3
    assert same(*both(monkeypatch, f, X, X)[:2])


def test_large_arrays_carry_one_tangent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobians, "MOST_NUMBERS", 100)
    f, runs = calls(lambda x: np.sum(np.outer(x, x) ** 2, axis=1))
    once = rg.jacfwd(f)(X)
    assert len(runs) == 1 + X.size
    assert same(once, both(monkeypatch, f, X)[1][0])


@rg.custom_jvp
def doubled(x: Any) -> Any:
    return 2.0 * x


@doubled.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return 2.0 * primals[0], 3.0 * tangents[0]  # wrong, so that it is seen to be used


def test_rules_of_users_get_one_tangent(monkeypatch: pytest.MonkeyPatch) -> None:
    once, single, used = both(monkeypatch, lambda x: np.sin(doubled(x)), X)
    assert not used
    assert same(once, single)
    assert once[0][0, 0] == 3.0 * np.cos(2.0 * X[0])


@pytest.mark.parametrize("caught", [BaseException, Exception])
def test_a_function_that_catches_everything_does_not_take_the_end_of_the_run_for_an_error(
    monkeypatch: pytest.MonkeyPatch, caught: type[BaseException]
) -> None:
    def f(x: Any) -> Any:
        y = x
        with contextlib.suppress(caught):
            y = doubled(x)
        return y * x

    once, single, used = both(monkeypatch, f, X)
    assert not used
    assert same(once, single)
    assert once[0][1, 1] == 3.0 * X[1] + 2.0 * X[1]


def test_numbers_as_arguments_and_one_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    once, single, used = both(monkeypatch, lambda a, b: np.stack([a * b, a - b]), 0.5, np.float32(2.0))
    assert used
    assert same(once, single)
    f, runs = calls(np.sin)
    assert rg.jacfwd(f)(0.5) == np.cos(0.5)
    assert len(runs) == 1


def test_outer_transformations_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def outer(w: Any) -> Any:
        return np.sum(rg.jacfwd(lambda x: np.sin(w * x) @ W.T)(X) ** 2)

    once = rg.grad(outer)(X)
    monkeypatch.setattr(jacobians, "_columns_together", lambda *_: None)
    assert np.array_equal(once, rg.grad(outer)(X))


def test_errors_of_the_function_are_those_of_single_runs() -> None:
    with pytest.raises(ZeroDivisionError):
        rg.jacfwd(lambda x: x * (1 // 0))(X)
    with pytest.raises(TracingError, match="use as an index would lose the derivative of a traced array"):
        rg.jacfwd(lambda x: x * len(range(x[0])))(X)
    shown = list[str]()
    rg.jacfwd(lambda x: shown.append(repr(x[0])) or x)(X)
    assert shown == [f"Dual({X[0]!r})"]
