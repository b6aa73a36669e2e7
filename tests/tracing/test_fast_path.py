"""The fast path of reverse mode: which applications take it, and that it computes what the general way computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.op import BY_FUNCTION, apply, new_level
from refgrad.tracing.entry import Entry
from refgrad.tracing.reverse import FAST, Tape, walk

A, B = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])


@pytest.mark.parametrize("function", [np.add, np.multiply, np.exp, np.sqrt, np.negative, np.divide])
def test_common_functions_write_compact_entries(function: np.ufunc) -> None:
    tape = Tape(new_level())
    function(*[tape.input(x) for x in (A, B)[: function.nin]])
    assert function in FAST
    assert type(tape[-1]) is tuple


GENERAL: dict[str, Callable[[Any, Any], Any]] = {
    "broadcasting": lambda a, b: a * b[:, None],
    "mixed dtypes": lambda a, b: a + b.astype(np.float32),
    "a rule that asks for a parameter": lambda a, b: np.sum(a * 2.0, axis=0),
}


@pytest.mark.parametrize("name", GENERAL)
def test_other_applications_write_general_entries(name: str) -> None:
    tape = Tape(new_level())
    GENERAL[name](tape.input(A), tape.input(B))
    assert type(tape[-1]) is Entry


OPERANDS: dict[
    str, Callable[[Any, Any, Any, Any], tuple[Any, Any]]
] = {  # of the variables a and b and their values
    "two variables": lambda a, b, x1, x2: (a, b),
    "a variable and a constant": lambda a, b, x1, x2: (a, x2),
    "a constant and a variable": lambda a, b, x1, x2: (x1, b),
    "a variable twice": lambda a, b, x1, x2: (a, a),
}
FORMS = [
    (function, form)
    for function in sorted(FAST, key=lambda f: str(f.__name__))
    for form in (OPERANDS if BY_FUNCTION[function].forward.nin == 2 else ["a variable twice"])
]


@pytest.mark.parametrize(("function", "form"), FORMS)
def test_the_fast_path_gives_the_cotangents_of_the_general_way(function: np.ufunc, form: str) -> None:
    op = BY_FUNCTION[function]
    xs, _ = op.domain.sample(np.random.default_rng(7), function.nin)
    x1, x2 = (np.resize(np.asarray(x, float), 3) for x in (xs[0], xs[-1]))

    def gradients(call: Callable[..., Any]) -> tuple[type, list[Any]]:
        tape = Tape(new_level())
        a, b = tape.input(x1), tape.input(x2)
        y = call(*OPERANDS[form](a, b, x1, x2)[: function.nin])
        return type(tape[-1]), walk(tape, [(y._index, np.linspace(0.5, 1.5, 3))], [a._index, b._index])

    with np.errstate(all="ignore"):  # samples of some domains hold poles
        kind, fast = gradients(function)
        assert kind is tuple
        kind, general = gradients(lambda *operands: apply(op, operands, {}))
        assert kind is Entry
    for x_bar, expected in zip(fast, general, strict=True):
        assert (x_bar is None) == (expected is None)
        assert x_bar is None or np.array_equal(x_bar, expected, equal_nan=True)


def test_operators_are_those_of_the_functions() -> None:
    for f in (lambda a: -a, lambda a: a + B, lambda a: B - a, lambda a: a * B, lambda a: B / a):
        tape = Tape(new_level())
        f(tape.input(A))
        assert type(tape[-1]) is tuple


def test_a_linear_argument_may_be_negated() -> None:
    # The argument of a function that is transposed is a Var of another class, which has no value.
    @rg.custom_vjp
    def f(x: Any) -> Any:
        return np.cos(x)

    f.defvjp(lambda x: (np.cos(x), np.sin(x)), lambda sine, y_bar: (-y_bar * sine,))
    _, y_dot = rg.jvp(f, (A,), (B,))
    assert np.array_equal(y_dot, -B * np.sin(A))


def test_a_constant_is_kept_as_it_was() -> None:
    factor = B.copy()

    def f(x: Any) -> Any:
        y = x * factor
        factor[:] = 0.0
        return np.sum(y)

    assert np.array_equal(rg.grad(f)(A), B)


def test_another_thread_is_refused() -> None:
    def f(x: Any) -> Any:
        with ThreadPoolExecutor() as pool:
            return np.sum(pool.submit(lambda: x * x).result())

    with pytest.raises(TracingError, match="used in another thread"):
        rg.grad(f)(A)
