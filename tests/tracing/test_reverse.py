"""Reverse mode: what the tape keeps, how cotangents are summed, and that neither walking nor freeing recurses."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import bounds, grad, vjp
from refgrad.op import REGISTRY, Op, new_level
from refgrad.tracing.entry import Entry
from refgrad.tracing.reverse import Tape, Var, walk

Array = Any


def tape_of(f: Callable[..., Array], *args: Array) -> tuple[Tape, Var, list[Var]]:
    tape = Tape(new_level())
    inputs = [tape.input(x) for x in args]
    return tape, f(*inputs), inputs


def arrays_kept(tape: Tape) -> list[Array]:
    """All NumPy arrays that entries of the tape hold."""
    saved: list[Any] = []
    for entry in tape:
        if type(entry) is tuple:
            saved.extend(x for part in entry[2::3] for x in part)
        elif isinstance(entry, Entry):
            saved.extend(x for edge in entry.edges for x in edge.saved)
    return [x for x in saved if isinstance(x, np.ndarray)]


A, B = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
KEPT: dict[str, tuple[Callable[[Array, Array], Array], Callable[[Array], list[Array]]]] = {
    "add: nothing": (lambda a, b: a + b, lambda y: []),
    "subtract: nothing": (lambda a, b: a - b, lambda y: []),
    "negative: nothing": (lambda a, b: -a, lambda y: []),
    "sum: nothing": (lambda a, b: np.sum(a), lambda y: []),
    "reshape: nothing": (lambda a, b: a.reshape(3, 1), lambda y: []),
    "multiply: both operands": (lambda a, b: a * b, lambda y: [B, A]),
    "exp: its value": (lambda a, b: np.exp(a), lambda y: [y]),
    "sqrt: its value": (lambda a, b: np.sqrt(a), lambda y: [y]),
    "tanh: its operand": (lambda a, b: np.tanh(a), lambda y: [A]),
    "multiply by a constant: the constant": (lambda a, b: a * B, lambda y: [B]),
    "multiply by a broadcast operand": (lambda a, b: a * b[:, None], lambda y: [B[:, None], A]),
}


@pytest.mark.parametrize("name", KEPT)
def test_the_tape_keeps_what_rules_name_and_nothing_else(name: str) -> None:
    f, expected = KEPT[name]
    tape, y, _ = tape_of(f, A, B)
    kept = arrays_kept(tape)
    wanted = expected(y._value)
    assert len(kept) == len(wanted)
    assert all(np.shares_memory(k, w) or np.array_equal(k, w) for k, w in zip(kept, wanted, strict=True))
    own = (A, y._value) if "constant" in name else (A, B, y._value)
    copied = [k for k in kept if k.shape == (3,) and not any(k is x for x in own)]
    assert len(copied) == ("constant" in name)  # what ops compute is kept and not copied


def test_arrays_that_no_rule_names_are_freed_at_once() -> None:
    released: list[Any] = []

    def f(x: Array) -> Array:
        middle = x + 1.0
        released.append(weakref.ref(middle._value))
        y = np.sum(middle - 3.0)
        del middle
        assert released[0]() is None, "the tape keeps an array that no rule asked for"
        return y

    vjp(f, np.ones(4))
    assert len(released) == 1


def test_ops_without_a_derivative_stay_off_the_tape() -> None:
    tape, y, _ = tape_of(lambda a, b: np.sign(a) + np.floor(b), A, B)
    assert len(tape) == 2
    assert not isinstance(y, Var)


# --- summing back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "divide", "maximum", "power"])
def test_broadcast_operands_get_cotangents_of_their_own_shape(op: str) -> None:
    x1, x2 = np.linspace(1, 2, 6).reshape(2, 1, 3), np.linspace(2.5, 3, 4)[:, None]
    y, pullback = vjp(REGISTRY[op], x1, x2)
    x1_bar, x2_bar = pullback(np.ones_like(y))
    full1, full2 = (np.ascontiguousarray(np.broadcast_to(x, y.shape)) for x in (x1, x2))
    full1_bar, full2_bar = vjp(REGISTRY[op], full1, full2)[1](np.ones_like(y))
    assert x1_bar.shape == x1.shape
    assert x2_bar.shape == x2.shape
    assert np.allclose(x1_bar, full1_bar.sum(1, keepdims=True), rtol=1e-14)
    assert np.allclose(x2_bar, full2_bar.sum(0).sum(1, keepdims=True), rtol=1e-14)


def test_fan_in_sums_every_use() -> None:
    x = np.array([1.0, 2.0])
    assert np.array_equal(grad(lambda x: np.sum(x * x + x + x[::-1] + 3 * x))(x), 2 * x + 5)


def test_an_array_used_twice_by_one_op() -> None:
    assert np.array_equal(grad(lambda x: np.sum(x * x))(A), 2 * A)
    assert np.array_equal(grad(lambda x: np.sum(np.concatenate([x, x, 2 * x])))(A), np.full(3, 4.0))


def test_a_vjp_rule_of_a_wrong_shape_is_an_error_that_names_the_op() -> None:
    broken = Op(
        "broken", lambda x: x + 1, jvp=lambda x_dot: x_dot, vjp=lambda y_bar: y_bar[:1], rounding=bounds.same
    )
    _, pullback = vjp(broken, A)
    with pytest.raises(
        AssertionError,
        match=r"op 'broken': its VJP rule gave a cotangent of shape \(1,\) for an operand of shape \(3,\)",
    ):
        pullback(A)


def test_the_walk_says_none_where_nothing_depends() -> None:
    tape, y, inputs = tape_of(lambda a, b: np.sum(a), A, B)
    assert walk(tape, [(y._index, np.float64(1))], [x._index for x in inputs])[1] is None
    assert np.array_equal(grad(lambda a, b: np.sum(a), argnums=1)(A, B), np.zeros(3))


def test_an_input_made_after_the_output_is_none() -> None:
    tape, y, _ = tape_of(np.sum, A)
    late = tape.input(B)
    assert walk(tape, [(y._index, np.float64(1))], [late._index]) == [None]


# --- long programs, many pullbacks ---------------------------------------------------------------------------------------


def test_a_chain_of_200_000_ops_neither_recurses_nor_hoards() -> None:
    length = 200_000
    limit = sys.getrecursionlimit()

    def chain(x: Array) -> Array:
        for _ in range(length // 2):
            x = x * 1.00001
            x = x + 0.5
        return x

    sys.setrecursionlimit(400)  # well below the length, enough for pytest
    try:
        y, pullback = vjp(chain, np.float64(1.0))
        (x_bar,) = pullback(np.float64(1.0))
        del y, pullback  # freeing the tape must not recurse either
        gc.collect()
    finally:
        sys.setrecursionlimit(limit)
    assert np.isclose(x_bar, 1.00001 ** (length // 2), rtol=length * 2.0**-53)


def test_the_tape_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        kept: list[Any] = []

        def f(x: Array) -> Array:
            y = np.exp(x)
            kept.append(weakref.ref(y._value))
            return np.sum(y * y)

        grad(f)(np.ones(3))
        assert kept[0]() is None, "a cycle of references keeps the tape alive"
    finally:
        gc.enable()


def test_a_pullback_may_be_called_many_times() -> None:
    _y, pullback = vjp(lambda a, b: np.exp(a) * b / (1 + a[::-1]), A, B)
    first = pullback(np.ones(3))
    for k in range(1, 4):
        again = pullback(np.full(3, 2.0**k))
        assert all(np.array_equal(x, 2.0**k * x0) for x, x0 in zip(again, first, strict=True))
    assert np.array_equal(pullback(np.zeros(3))[0], np.zeros(3))


def test_the_cotangent_given_is_not_changed() -> None:
    y_bar = np.ones(3)
    _, pullback = vjp(lambda a: a + a + a, A)
    (a_bar,) = pullback(y_bar)
    a_bar += 5.0
    assert np.array_equal(y_bar, np.ones(3))
    assert np.array_equal(pullback(y_bar)[0], np.full(3, 3.0))


# --- dtypes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_gradients_have_their_arguments_dtype(dtype: Any) -> None:
    x = np.array([0.5, 1.5, 2.5], dtype)
    for f in (
        lambda x: np.sum(2.0 * np.exp(x) / (1 + x)),
        lambda x: np.mean(np.sqrt(x) ** 3),
        lambda x: np.max(x) * x[0],
    ):
        assert f(x).dtype == dtype
        assert grad(f)(x).dtype == dtype


def test_mixed_promotion_casts_back() -> None:
    narrow, wide = np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0])
    y, pullback = vjp(lambda a, b: a * b + b, narrow, wide)
    a_bar, b_bar = pullback(np.ones(2))
    assert y.dtype == np.float64
    assert (a_bar.dtype, b_bar.dtype) == (np.float32, np.float64)
    assert np.array_equal(a_bar, [3.0, 4.0])
    assert np.array_equal(b_bar, [2.0, 3.0])


def test_python_numbers_do_not_widen() -> None:
    x = np.array([1.0, 2.0], np.float32)
    assert grad(lambda x: np.sum(x * 3.0 + 1 - 2 / x))(x).dtype == np.float32
    assert grad(lambda x: x * 3.0)(np.float32(2.0)).dtype == np.float32


def test_a_value_that_is_returned_twice_gets_both_cotangents() -> None:
    def f(x: Array) -> Any:
        y = np.sin(x)
        return y, x, y

    x = np.array([0.5, -1.0])
    (x_bar,) = vjp(f, x)[1]((np.ones(2), np.full(2, 5.0), np.full(2, 2.0)))
    assert np.allclose(x_bar, 3 * np.cos(x) + 5, rtol=1e-15)
