"""Jacobians whose rows are pulled back together: the same numbers as by single walks, and what falls back to those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import jacobians
from refgrad.op import REGISTRY
from refgrad.tracing.many_cotangents import many_pulled_back
from refgrad.tracing.reverse import Tape
from tests.jacobian_ways import both_ways, same

ELEMENTWISE = sorted(name for name, op in REGISTRY.items() if op.elementwise and op.signature.differentiable)
X, W = np.linspace(-1.0, 2.0, 6), np.linspace(3.0, -1.0, 24).reshape(4, 6)


def both(monkeypatch: pytest.MonkeyPatch, f: Callable[..., Any], *xs: Any) -> tuple[Any, Any, int]:
    """The Jacobians of f by rows at once and by single walks, and how many of the former there were."""
    return both_ways(monkeypatch, "_at_once", rg.jacrev, f, *xs)


def test_every_elementwise_op_gives_the_rows_of_single_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, used = np.random.default_rng(0), 0
    assert len(ELEMENTWISE) > 50
    for name in ELEMENTWISE:
        op = REGISTRY[name]
        for _ in range(2):
            xs, params = op.domain.sample(rng, 1 if op.signature.variadic else len(op.signature.operands))
            some = [np.asarray(x) for x in xs if np.asarray(x).dtype.kind == "f"]

            def f(*given: Any, op=op, xs=xs, params=params) -> Any:
                left = iter(given)
                return op(*[next(left) if np.asarray(x).dtype.kind == "f" else x for x in xs], **params)

            with np.errstate(all="ignore"):
                once, single, count = both(monkeypatch, f, *some)
            used += count
            assert same(once, single), name
    assert used > len(ELEMENTWISE) / 2


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "a product with a vector": lambda x: np.tanh(W @ x),
    "a product of matrices": lambda x: np.tanh(x.reshape(2, 3)) @ W[:3],
    "broadcasting": lambda x: x[:, None] * x,
    "an axis": lambda x: np.cumsum(x.reshape(2, 3), axis=0) * np.sum(x),
    "an element": lambda x: x[1] * x[::2],
    "a power": lambda x: (x * x) ** 2 + 1.0,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_the_rows_of_single_walks(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    once, single, count = both(monkeypatch, PROGRAMS[name], X.astype(dtype))
    assert count == 1
    assert same(once, single)


def test_rows_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobians, "MOST_NUMBERS", 15)
    once, single, count = both(monkeypatch, np.sin, X)
    assert count == 1
    assert same(once, single)


def test_what_leaves_the_range_is_walked_singly(monkeypatch: pytest.MonkeyPatch) -> None:
    once, single, count = both(monkeypatch, lambda x: 1 / (1 + np.exp(-x)), np.array([-700.0, 1.0]))
    assert count == 0
    assert once[0][0, 0] > 0  # as the second walk in long double finds
    assert same(once, single)


def test_rules_of_users_and_nested_transformations_are_walked_singly(monkeypatch: pytest.MonkeyPatch) -> None:
    @rg.custom_vjp
    def f(x: Any) -> Any:
        return np.sin(x)

    f.defvjp(lambda x: (np.sin(x), np.cos(x)), lambda kept, y_bar: (y_bar * kept,))
    assert both(monkeypatch, f, X)[2] == 0
    assert np.array_equal(rg.jacfwd(rg.jacrev(np.sin))(X), rg.jacfwd(rg.jacfwd(np.sin))(X))


def test_an_input_that_does_not_matter_has_none() -> None:
    tape = Tape(1)
    x, other = tape.input(X), tape.input(X)
    y = x * 2.0
    assert many_pulled_back(tape, y._index, np.eye(6), [other._index]) == [None]
