"""The fast path of reverse mode: which applications take it, and that it computes what the general way computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.op import BY_FUNCTION, REGISTRY, apply, new_level
from refgrad.tracing.entry import Entry
from refgrad.tracing.fast_path import REDUCTIONS
from refgrad.tracing.reverse import FAST, Tape, Var, walk
from refgrad.tracing.tape_rows import RESHAPING, elementwise_part

A, B = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])


@pytest.mark.parametrize("function", [np.add, np.multiply, np.exp, np.sqrt, np.negative, np.divide])
def test_common_functions_write_compact_entries(function: np.ufunc) -> None:
    tape = Tape(new_level())
    function(*[tape.input(x) for x in (A, B)[: function.nin]])
    assert function in FAST
    assert type(tape[-1]) is tuple


GENERAL: dict[str, Callable[[Any, Any], Any]] = {
    "a constant that broadcasts": lambda a, b: a * B[:, None],
    "a product with a vector": lambda a, b: a @ np.ones((3, 2)),
    "a power with a variable": lambda a, b: a**b,
    "a mean over an axis": lambda a, b: np.mean(a, axis=0),
    "mixed dtypes": lambda a, b: a + b.astype(np.float32),
    "a rule that asks for a parameter": lambda a, b: np.sum(a * 2.0, axis=0),
}


@pytest.mark.parametrize("name", GENERAL)
def test_other_applications_write_general_entries(name: str) -> None:
    tape = Tape(new_level())
    GENERAL[name](tape.input(A), tape.input(B))
    assert type(tape[-1]) is Entry


# Functions of the variables a and b and their values.
OPERANDS: dict[str, Callable[[Any, Any, Any, Any], tuple[Any, Any]]] = {
    "two variables": lambda a, b, x1, x2: (a, b),
    "a variable and a constant": lambda a, b, x1, x2: (a, x2),
    "a constant and a variable": lambda a, b, x1, x2: (x1, b),
    "a variable twice": lambda a, b, x1, x2: (a, a),
}
FORMS = [
    (function, form)
    for function in sorted(FAST.keys() - {np.matmul}, key=lambda f: str(f.__name__))
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


C, D = np.linspace(-1, 2, 6).reshape(2, 3), np.linspace(3, -1, 12).reshape(3, 4)
# op, parameters, call, values of its operands, of which those in the last column are constants
RESHAPED: dict[str, tuple[str, dict[str, Any], Callable[..., Any], tuple[Any, ...], tuple[int, ...]]] = {
    "a row and a matrix": ("add", {}, lambda a, b: a + b, (C, A), ()),
    "a column and a row": ("multiply", {}, lambda a, b: a * b, (C[:, :1], A), ()),
    "a 0-d array and a matrix": ("divide", {}, lambda a, b: a / b, (np.array(2.0), D), ()),
    "two axes at once": ("subtract", {}, lambda a, b: a - b, (C, np.ones((4, 1, 3))), ()),
    "two matrices": ("matmul", {}, lambda a, b: a @ b, (C, D), ()),
    "by the function": ("matmul", {}, np.matmul, (C, D), ()),
    "a matrix and a constant": ("matmul", {}, lambda a, b: a @ b, (C, D), (1,)),
    "a constant and a matrix": ("matmul", {}, lambda a, b: a @ b, (C, D), (0,)),
    "a sum": ("sum", REGISTRY["sum"].signature.defaults, np.sum, (C,), ()),
    "a mean": ("mean", REGISTRY["mean"].signature.defaults, np.mean, (C,), ()),
    "the sum of a 0-d array": ("sum", REGISTRY["sum"].signature.defaults, np.sum, (np.array(2.0),), ()),
    "a power": ("power", {}, lambda a, n: a**n, (C, 3), (1,)),
    "a real power": ("power", {}, lambda a, n: a**n, (D, 0.5), (1,)),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("name", RESHAPED)
def test_what_changes_the_shape_gives_the_cotangents_of_the_general_way(name: str, dtype: str) -> None:
    op, params, call, values, constants = RESHAPED[name]
    values = tuple(x.astype(dtype) if isinstance(x, np.ndarray) else x for x in values)

    def gradients(call: Callable[..., Any]) -> tuple[type, list[Any]]:
        tape = Tape(new_level())
        operands = [x if k in constants else tape.input(x) for k, x in enumerate(values)]
        y = call(*operands)
        y_bar = np.linspace(0.5, 1.5, y.size).reshape(y.shape).astype(dtype)
        return type(tape[-1]), walk(tape, [(y._index, y_bar)], [x._index for x in operands if type(x) is Var])

    with np.errstate(invalid="ignore"):  # a real power of a negative number
        kind, fast = gradients(call)
        assert kind is tuple
        kind, general = gradients(lambda *operands: apply(REGISTRY[op], operands, params))
    assert kind is Entry
    assert len(fast) == len(values) - len(constants)
    for x_bar, expected in zip(fast, general, strict=True):
        assert x_bar.dtype == expected.dtype == dtype
        assert np.array_equal(x_bar, expected, equal_nan=True)


def test_what_changes_the_shape_is_no_part_that_is_walked_by_rows() -> None:
    # The entries of a tape over plain arrays, walked back with Balls: rows of a product are no product of rows.
    assert len(RESHAPING) > 4
    for call in (*REDUCTIONS, lambda a: a @ D, lambda a: a * a[:1]):
        tape = Tape(new_level())
        y = call(tape.input(C))
        assert elementwise_part(tape, {y._index}, y.shape) is None
        assert type(tape[y._index]) is tuple


def test_a_matrix_is_kept_as_it_was() -> None:
    factor = D.copy()

    def f(x: Any) -> Any:
        y = x @ factor
        factor[:] = 0.0
        return np.sum(y)

    assert np.array_equal(rg.grad(f)(C), np.ones((2, 4)) @ D.T)


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
