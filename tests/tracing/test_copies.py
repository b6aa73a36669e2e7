"""What a transformation keeps of the program is as it was when an op used it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
import refgrad.ops  # fills the registry
from refgrad.op import REGISTRY, Op
from refgrad.tracing import copies as keeping
from refgrad.tracing.copies import Copies, as_results, snapshot
from refgrad.tree import flatten
from tests.outcomes import arrays_in

Array = Any
X = np.array([0.5, -1.5, 2.0])
DIFFERENTIABLE = sorted(name for name, op in REGISTRY.items() if op.signature.differentiable)


def scribble(x: Array) -> None:
    """Write other numbers of the same kind."""
    x[...] = ~x if x.dtype.kind == "b" else 0 if x.dtype.kind in "iu" else x + 1.25


def sample(op: Op, seed: int) -> tuple[list[Any], dict[str, Any]]:
    count = 3 if op.signature.variadic else len(op.signature.operands)
    operands, params = op.domain.sample(np.random.default_rng(seed), count)
    return [np.array(x) if isinstance(x, np.ndarray) else x for x in operands], snapshot(params)


def real(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f"


# --- every op ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_the_pullback_of_an_op_uses_operands_and_parameters_as_they_were(name: str) -> None:
    op = REGISTRY[name]
    asked = 0
    for seed in range(6):
        count = len(sample(op, seed)[0])
        for k in range(count):
            operands, params = sample(op, seed)
            if not real(operands[k]):
                continue

            def f(x: Array) -> Array:
                return op(*operands[:k], x, *operands[k + 1 :], **params)  # noqa: B023 - called at once

            y, pullback = rg.vjp(f, operands[k])
            y_bar = np.random.default_rng(seed).standard_normal(np.shape(y))
            (before,) = pullback(y_bar)
            for x in arrays_in([operands, params, y]):
                scribble(x)
            (after,) = pullback(y_bar)
            assert np.array_equal(before, after, equal_nan=True)
            asked += 1
    assert asked >= 6


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_values_tangents_and_cotangents_of_an_op_are_arrays_of_their_own(name: str) -> None:
    op = REGISTRY[name]
    compared = 0
    for seed in range(3):
        operands, params = sample(op, seed)
        xs = [x for x in operands if real(x)]

        def f(*xs: Array) -> Array:
            given = iter(xs)
            return op(*[next(given) if real(x) else x for x in operands], **params)  # noqa: B023

        x_dots = [np.ones_like(x) for x in xs]
        y, pullback = rg.vjp(f, *xs)
        y_bar = np.ones_like(y)
        results = arrays_in([y, pullback(y_bar), pullback(y_bar), rg.jvp(f, tuple(xs), tuple(x_dots))])
        others = arrays_in([operands, params, x_dots, [y_bar]])
        for j, result in enumerate(results):
            assert result.flags.writeable
            assert result.flags.owndata
            assert not any(np.shares_memory(result, x) for x in results[:j] + others)
            compared += 1
    assert compared >= 3


SEVERAL = sorted(
    name
    for name, op in REGISTRY.items()
    if op.signature.variadic or len(op.signature.operands) > 1 or not op.signature.differentiable
)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_value_of_an_op_shares_no_memory_with_a_constant(name: str) -> None:
    # A tape keeps values without copying them, and an operand that is a constant belongs to the program. A value without a derivative is
    # handed to the program, and its operand belongs to the tape.
    op = REGISTRY[name]
    for seed in range(6):
        operands, params = sample(op, seed)
        y = op(*operands, **params)
        for x in arrays_in([operands, params]):
            assert not np.shares_memory(x, y)


# --- arrays that the program uses again ----------------------------------------------------------------------------------


def buffer(x: Array, m: int) -> Array:
    w, y = np.zeros(m), 0.0
    for k in range(3):
        w[:] = k + 1
        y = y + np.sum(x * w)
    return y


def buffer_first(x: Array, m: int) -> Array:
    w, y = np.zeros(m), 0.0
    for k in range(3):
        w[:] = k + 1
        y = y + np.sum(w * x + w / x)
    return y


def schedule(x: Array, m: int) -> Array:
    w, y = np.ones(m), x
    for _ in range(3):
        y = np.sin(y * w)
        w *= 0.5
    return np.sum(y)


def indices(x: Array, m: int) -> Array:
    index, y = np.arange(m), 0.0
    for k in range(3):
        y = y + (k + 1) * np.sum(x[index] ** 2 * np.arange(m))
        index[:] = index[::-1].copy()
        index[0] = 0
    return y


def mask(x: Array, m: int) -> Array:
    where, y = np.zeros(m, bool), 0.0
    for k in range(3):
        where[k] = True
        y = y + np.sum(np.where(where, x * x, x))
    return y


def masked_sum(x: Array, m: int) -> Array:
    where, y = np.zeros(m, bool), 0.0
    for k in range(3):
        where[k] = True
        y = y + np.sum(x * x, where=where)
    return y


def random_numbers(x: Array, m: int) -> Array:
    rng, w, y = np.random.default_rng(0), np.empty(m), 0.0
    for _ in range(3):
        rng.random(out=w)
        y = y + np.sum(x * x * w)
    return y


def through_a_view(x: Array, m: int) -> Array:
    w = np.ones((2, m))
    row, y = w[1], 0.0
    for k in range(3):
        y = y + np.sum(x * w[1] + x * row)
        w[:, k] = k + 2.0
    return y


def matrix(x: Array, m: int) -> Array:
    w, y = np.eye(m), x
    for k in range(3):
        y = np.tanh(w @ y)
        w[0, k] = 0.5
    return np.sum(y)


def of_another_dtype(x: Array, m: int) -> Array:
    w, y = np.ones(m, np.int32), 0.0
    for k in range(3):
        w[:] = k + 1
        y = y + np.sum(x / w)
    return y


def exponents(x: Array, m: int) -> Array:
    w, y = np.full(m, 2.0), 0.0
    for _ in range(3):
        y = y + np.sum((x * x) ** w)
        w += 1
    return y


def lists(x: Array, m: int) -> Array:
    index, y = [0, 1], 0.0
    for k in range(2):
        y = y + np.sum(x[index] ** 2)
        index[0] = k + 1
    return y


def broadcast(x: Array, m: int) -> Array:
    row, y = np.ones(m), 0.0
    wide = np.broadcast_to(row, (700, m))
    for k in range(3):
        y = y + np.sum(np.broadcast_to(x, (700, m)) * wide)
        row[:] = k + 2
    return y


def windows(x: Array, m: int) -> Array:
    w, y = np.arange(m + 4.0), 0.0
    wide = np.lib.stride_tricks.sliding_window_view(w, 5)
    for _ in range(3):
        y = y + np.sum(x[:, None] * wide)
        w += 1
    return y


REUSED = [
    buffer, buffer_first, schedule, indices, mask, masked_sum, random_numbers, through_a_view, matrix, of_another_dtype, exponents,
    lists, broadcast, windows,
]  # fmt: skip


# Copied, compared by bytes and by words, in spare memory where it is a matrix.
@pytest.mark.parametrize("m", [3, 40, 700])
@pytest.mark.parametrize("f", REUSED)
def test_arrays_that_the_program_uses_again(f: Callable[[Array, int], Array], m: int) -> None:
    if m == 700 and f in (broadcast, indices):
        m = 300
    x = np.random.default_rng(m).uniform(0.5, 1.5, m)
    v = np.random.default_rng(m + 1).standard_normal(m)
    gradient = rg.grad(lambda x: f(x, m))(x)
    y, slope = rg.jvp(lambda x: f(x, m), (x,), (v,))
    assert np.array_equal(y, f(x, m))
    assert np.isclose(gradient @ v, slope, rtol=1e-11)
    (again,) = rg.vjp(lambda x: f(x, m), x)[1](1.0)
    assert np.array_equal(again, gradient)
    forward = rg.hvp(lambda x: f(x, m), (x,), (v,))[0]
    assert np.allclose(
        forward, rg.grad(lambda x: rg.grad(lambda x: f(x, m))(x) @ v)(x), rtol=1e-10, atol=1e-12
    )


def test_a_matrix_that_does_not_change_is_kept_once() -> None:
    w, copies = np.random.default_rng(0).standard_normal((40, 40)), Copies()
    first = copies.of(w)
    assert copies.of(w) is first
    w[3, 4] += 1e-9
    second = copies.of(w)
    assert second is not first
    assert np.array_equal(second, w)
    assert not np.array_equal(first, w)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int8, bool])
@pytest.mark.parametrize("n", [3, 100, 3000, 90_000])
def test_a_copy_of_every_dtype_and_size_sees_a_change(dtype: Any, n: int) -> None:
    w, copies = np.zeros(n, dtype), Copies()
    before = copies.of(w)
    w[n // 2] = 1
    assert np.array_equal(copies.of(w), w)
    assert not before.any()


def test_a_copy_of_a_broadcast_array_takes_the_memory_of_what_was_broadcast() -> None:
    wide = np.broadcast_to(np.arange(10.0), (100_000, 10))
    copy = Copies().of(wide)
    assert np.array_equal(copy[::1000], wide[::1000])
    assert copy.strides == wide.strides


def test_a_traced_array_of_an_outer_transformation_is_kept_as_it_was() -> None:
    def f(x: Array) -> Array:
        w = x * 1.0

        def g(z: Array) -> Array:
            y = np.sum(z * w)
            w.__imul__(3.0)  # by another name: w is the outer function's
            return y

        return np.sum(rg.grad(g)(np.ones(3)))

    assert np.array_equal(rg.grad(f)(X), np.ones(3))


# --- the parts -----------------------------------------------------------------------------------------------------------


def test_kept_copies_arrays_in_structures() -> None:
    tree = {"a": [X, (X, 2.0, "text", None)], "b": np.float64(3.0)}
    copy = snapshot(tree)
    assert not any(np.shares_memory(a, X) for a in arrays_in(copy))
    assert all(np.array_equal(a, X) for a in arrays_in(copy))
    assert flatten(copy)[0][2:] == [2.0, "text", 3.0]


def test_as_they_are_copies_constants_alone() -> None:
    op = REGISTRY["multiply"]
    needs = op.signature.vjp[0]
    assert needs is not None
    (found,) = keeping.as_they_are(needs, (X,), (True, True), Copies())
    assert found is X
    (found,) = keeping.as_they_are(needs, (X,), (True, False), Copies())
    assert found is not X


def test_handed_copies_what_somebody_else_holds() -> None:
    x, y = np.ones(3), np.ones(3)
    xs = [x, y, np.ones(3)]
    first = xs[2]
    del y, first
    address = [a.ctypes.data for a in xs]
    results = as_results(xs)
    assert [a.ctypes.data for a in results[1:]] == address[1:]  # nobody else's, so not copied
    assert results[0] is not x
    assert np.array_equal(results[0], x)
    assert xs == []


def test_a_result_with_a_view_elsewhere_is_copied() -> None:
    x = np.ones(3)
    view, xs = x[1:], [x]
    del x
    (result,) = as_results(xs)
    assert not np.shares_memory(result, view)
