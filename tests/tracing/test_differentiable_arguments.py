"""The table of arguments: it has a line for each function, names arguments that exist, and is what a call meets."""

from __future__ import annotations

import inspect
import operator
from typing import Any, NamedTuple

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, TracingError
from refgrad.op import Traced
from refgrad.tracing.differentiable_arguments import TABLE, guard_of, holds_traced, of_values, plain
from refgrad.tracing.dispatch import FUNCTIONS, GUARDS

Array = Any
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])


NEW = {"astype", "unstack", "cumulative_sum", "cumulative_prod"}  # since NumPy 2.1


def test_each_composition_has_a_line() -> None:
    without = [f.__name__ for f in FUNCTIONS if not isinstance(f, np.ufunc) and f not in GUARDS]
    assert len(GUARDS) > 150
    assert not without


def test_lines_name_arguments_that_exist() -> None:
    strangers = []
    for function, guard in GUARDS.items():
        composition = FUNCTIONS[function]
        try:
            found = set(inspect.signature(composition).parameters)
        except ValueError:  # written in C, and older than NumPy 2.4
            continue
        if guard.name == "np.clip":
            found |= {"min", "max"}  # its names since NumPy 2.1
        strangers += [f"{guard.name}: {p}" for p in guard.rules | guard.values if p not in found]
        assert guard.rules | guard.values, guard.name
        assert not guard.rules & guard.values, guard.name
    assert not strangers


def test_what_the_table_lists_is_registered() -> None:
    found = {name: operator.attrgetter(name)(np) for name in TABLE if name not in NEW or hasattr(np, name)}
    assert not [name for name, function in found.items() if function not in GUARDS]
    assert GUARDS[np.transpose].name == "np.transpose"  # and not by the name of its alias
    assert set(of_values()) <= set(FUNCTIONS)


REFUSED = {
    "by name": (lambda x: np.quantile(x, 0.5, axis=x[0, 0]), "np.quantile: argument axis"),
    "in a tuple": (lambda x: np.histogram(x, 3, density=(x[0, 0],)), "argument density is a tuple that holds a traced array"),
    "an axis": (lambda x: np.median(x, x[0, 0]), "np.median: argument axis .* Pass plain numbers"),
    "an order": (lambda x: np.linalg.norm(x, x[0, 0]), "np.linalg.norm: argument ord .* has a derivative in p"),
    "out": (lambda x: np.quantile(x, 0.5, 0, x[0].astype(np.float32)), r"np.quantile\(out=x\): the result has dtype float64"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_traced_array_without_a_rule_is_refused_by_name(name: str) -> None:
    f, message = REFUSED[name]
    with pytest.raises(NoRuleError, match=message):
        rg.grad(lambda x: np.sum(f(x)))(X)


def test_conditions_and_indices_become_plain() -> None:
    seen: list[Any] = []

    def f(x: Array) -> Array:
        seen.extend(
            [
                np.argsort(x),
                np.searchsorted(np.arange(3.0), x),
                np.compress(x[:, 0] > 0, x, 0),
                np.isclose(x, x[0]),
            ]
        )
        return np.sum(x)

    rg.grad(f)(X)
    assert [isinstance(s, Traced) for s in seen] == [False, False, True, False]


def test_a_mask_has_to_be_boolean() -> None:
    for f in (
        lambda x: np.var(x, where=x),
        lambda x: np.nanmean(x, where=x),
        lambda x: np.all(x, where=x),
        lambda x: np.add(x, 1, where=x),
    ):
        with pytest.raises(TracingError, match=r"where.*comparison"):
            rg.grad(lambda x, f=f: np.sum(f(x)))(X)


class Pair(NamedTuple):
    a: Any
    b: Any


def test_sequences_are_made_plain_as_they_were() -> None:
    def f(x: Array) -> Array:
        for given in (x, [x, 1], (x, [2, x]), Pair(x, 3)):
            assert holds_traced(given)
            found = plain(given)
            assert type(found) is (np.ndarray if given is x else type(given))
            assert not holds_traced(found)
        assert holds_traced({"k": [x]})
        assert not holds_traced([X, 1.0, "x", {"k": 2}])
        return np.sum(x)

    rg.grad(f)(X)


def test_a_function_outside_the_table_has_no_guard() -> None:
    assert guard_of(len, lambda x: x) is None


def test_named_arguments_are_handed_on_to_a_programs_function() -> None:
    f = rg.grad(lambda x: np.sum(np.apply_along_axis(lambda row, scale: row * scale, 1, x, scale=x[0, 0])))
    expected = np.full(X.shape, X[0, 0])
    expected[0, 0] += np.sum(X)
    assert np.allclose(f(X), expected)
