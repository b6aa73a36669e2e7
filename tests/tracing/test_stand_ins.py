"""Stand-ins of NumPy's functions: traced arrays in lists and in arguments of which NumPy does not ask for protocols."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, TracingError
from refgrad.numeric import differences
from refgrad.op import BY_FUNCTION
from refgrad.tracing import stand_ins
from refgrad.tracing.dispatch import FUNCTIONS

Array = Any
A = np.array([[0.7, 1.3, 0.4], [0.2, -0.6, 1.1]])
CALLS: dict[str, Callable[[Array], Any]] = {
    "max, initial": lambda t: np.max(A, initial=5 * t, axis=0),
    "sum, initial": lambda t: np.sum(A, initial=t),
    "nansum, initial": lambda t: np.nansum(A, axis=1, initial=t),
    "std, ddof": lambda t: np.std(A, ddof=t),
    "nanvar, ddof": lambda t: np.nanvar(A, ddof=t, axis=1),
    "clip, positional": lambda t: np.clip(A, 0.1, t),
    "nan_to_num": lambda t: np.nan_to_num(np.array([np.nan, 1.0]), nan=t),
    "pad": lambda t: np.pad(A, 1, constant_values=t),
    "select": lambda t: np.select([A > 0.5], [A], t),
    "full_like": lambda t: np.full_like(A, t),
    "unwrap": lambda t: np.unwrap(5 * A, period=t),
    "piecewise": lambda t: np.piecewise(A, [A > 0.5], [t, lambda a: a * t]),
    "abs of a list, starred": lambda t: np.abs(*[[t, -t]]),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_without_a_protocol(name: str) -> None:
    f = CALLS[name]
    due = f(0.9)
    y, pullback = rg.vjp(f, 0.9)
    value, slope = rg.jvp(f, (0.9,), (1.0,))
    assert np.array_equal(y, due)
    assert np.array_equal(value, due)
    expected, error = differences(f, (np.float64(0.9),), (np.float64(1.0),), step=2.0**-8)
    assert np.all(np.abs(slope - expected) <= 4 * error + 2**12 * np.finfo(float).eps)
    y_bar = np.cos(1.0 + np.arange(due.size)).reshape(due.shape)
    assert np.isclose(pullback(y_bar)[0], np.sum(y_bar * slope), rtol=1e-12, atol=1e-12)


class Point(NamedTuple):
    """A record as programs keep their state in."""

    x: Any
    y: Any


class Quantity:
    """A class of the user's with a conversion of its own."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray([self.number, 2.0], dtype)


HELD: dict[str, Callable[[Array], Any]] = {
    "array of a named tuple": lambda t: np.array(Point(t, 2 * t)) ** 2,
    "sum of a named tuple": lambda t: np.sum(Point(t, A)[0] * np.asarray(Point(t, 1.0))),
    "norm of a named tuple": lambda t: np.linalg.norm(Point(t, 2.0)),
    "stack of named tuples": lambda t: np.stack([Point(t, 1.0), Point(2.0, t)]) ** 3,
    "asarray of an object": lambda t: np.asarray(Quantity(t)) ** 2,
    "array of an object, with a dtype": lambda t: np.array(Quantity(t), np.float64, ndmin=2) ** 2,
}


@pytest.mark.parametrize("name", HELD)
def test_objects_that_hold_a_traced_number(name: str) -> None:
    f = HELD[name]
    y, slope = rg.jvp(f, (0.9,), (1.0,))
    assert np.array_equal(y, f(0.9))
    expected, error = differences(f, (np.float64(0.9),), (np.float64(1.0),), step=2.0**-8)
    assert np.all(np.abs(slope - expected) <= 4 * error + 2**12 * np.finfo(float).eps)
    assert np.isclose(
        np.sum(slope), rg.grad(lambda t: np.sum(f(t)))(0.9), rtol=2**12 * np.finfo(float).eps, atol=0
    )


def test_another_function_of_such_an_object_is_refused() -> None:
    with pytest.raises(TracingError, match="handed a traced array to code that does not know it"):
        rg.grad(lambda t: np.sum(Quantity(t)))(0.9)
    with pytest.raises(ValueError, match="inhomogeneous"):
        rg.grad(lambda t: np.sum(np.array([[1.0], [t, 2.0]])))(0.9)


def test_what_has_no_rule_is_named() -> None:
    with pytest.raises(NoRuleError, match=r"np.linalg.norm: argument ord"):
        rg.grad(lambda p: np.linalg.norm(A[0], ord=p))(3.0)


def test_functions_of_sequences_exist() -> None:
    known = {*FUNCTIONS, *BY_FUNCTION}
    assert known >= stand_ins.OF_SEQUENCES
    assert not {f for f in known if isinstance(f, np.ufunc)} & stand_ins.OF_SEQUENCES


def test_functions_that_stand_for_others_are_no_functions_of_the_protocols() -> None:
    of_objects = {  # a np.poly1d asks for no protocol
        np.polyval, np.polyadd, np.polysub, np.polymul, np.polydiv, np.polyder, np.polyint,
        np.array2string, np.array_repr, np.array_str,  # which make texts that no number is to be read out of
    }  # fmt: skip
    assert {*FUNCTIONS, *BY_FUNCTION} & stand_ins.UNDISPATCHED.keys() == of_objects
    assert stand_ins.functions()[id(np.arange)][1] is stand_ins.UNDISPATCHED[np.arange]


@pytest.mark.parametrize("kind", [list, tuple, collections.deque, collections.UserList])
def test_sequences_of_every_kind_become_arrays(kind: Any) -> None:
    def f(x: Any) -> Any:
        window = kind([x[0], x[1] * x[2], 2.0])
        filled = np.zeros(3, like=x)
        filled[:] = window
        return (
            np.mean(window) * np.dot(window, x)
            + np.sum(np.array(kind([window, filled])) @ x)
            + np.sum(x * window)
        )

    x, v = np.array([0.7, -1.2, 0.4]), np.array([0.3, 0.5, -0.8])
    value, gradient = rg.value_and_grad(f)(x)
    assert value == f(x)
    expected, error = differences(f, (x,), (v,))
    assert abs(gradient @ v - expected) <= 10 * error + 1e-12
    assert abs(rg.jvp(f, (x,), (v,))[1] - expected) <= 10 * error + 1e-12
