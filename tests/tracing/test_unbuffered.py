"""The method ``at`` of ufuncs on traced arrays: NumPy's values, bit for bit, and the derivative of every occurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, TracingError
from refgrad.numeric import differences

Array = Any
X = np.array([0.7, 1.3, 2.1, 0.4])
MANY = np.array([0, 2, 0, 0, 3, 2])
V = np.array([0.1, 0.25, 0.7, 1e-3, 0.9, 1.1])
INDICES: dict[str, tuple[Any, Any]] = {
    "repeated": (MANY, V),
    "a list": ([1, 1], V[:2]),
    "negative": ([-1, 3, -1], V[:3]),
    "a mask": (np.array([True, False, True, True]), V[:3]),
    "a slice": (slice(1, None), V[:3]),
    "a number": (2, V[0]),
    "one value": (MANY, V[0]),
    "no index": (np.array([], int), V[:0]),
    "two axes of indices": (np.array([[0, 1], [1, 1]]), V[:4].reshape(2, 2)),
}
UFUNCS = (
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    np.maximum,
    np.minimum,
    np.power,
    np.logaddexp,
    np.hypot,
    np.fmax,
)


def judge(f: Callable[[Array], Array], x: Array = X) -> None:
    due = f(x.copy())
    tangent = np.cos(1.0 + np.arange(x.size)).reshape(x.shape)
    value, slope = rg.jvp(f, (x,), (tangent,))
    y, pullback = rg.vjp(f, x)
    for got in (value, y):
        assert got.dtype == due.dtype
        assert np.array_equal(got, due)
    expected, error = differences(f, (x,), (tangent,), step=2.0**-9)
    assert np.all(np.abs(slope - expected) <= 4 * error + 1e-13)
    y_bar = np.sin(2.0 + np.arange(due.size)).reshape(due.shape)
    assert np.isclose(np.sum(pullback(y_bar)[0] * tangent), np.sum(y_bar * slope), rtol=1e-12)
    second = rg.hessian(lambda x: np.sum(f(x) ** 2))(x)
    assert np.allclose(second, rg.jacrev(rg.jacfwd(lambda x: np.sum(f(x) ** 2)))(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ufunc", UFUNCS)
@pytest.mark.parametrize("name", INDICES)
def test_of_two_operands(name: str, ufunc: np.ufunc) -> None:
    index, v = INDICES[name]

    def f(x: Array) -> Array:
        a = x * 1.0
        ufunc.at(a, index, v * x[1] + 0.5)
        return a * x[0]

    judge(f)


@pytest.mark.parametrize("ufunc", [np.negative, np.sin, np.exp, np.square])
def test_of_one_operand(ufunc: np.ufunc) -> None:
    def f(x: Array) -> Array:
        a = x * 0.5
        ufunc.at(a, [0, 2, 0])
        return a

    judge(f)


def test_in_a_view_a_matrix_and_a_number() -> None:
    def f(x: Array) -> Array:
        a = np.zeros((2, 4), x.dtype, like=x)
        b, c = a.T, a[0]
        np.add.at(b, (MANY[:4], np.array([0, 1, 0, 0])), x)
        np.multiply.at(c, [1, 1], x[:2])
        zero = x[3][...]
        np.add.at(zero, (), x[0])
        np.maximum.at(zero, ..., 0.0)
        return a * zero + b.T

    judge(f)


@pytest.mark.parametrize("ufunc", UFUNCS)
def test_of_a_list_of_numbers(ufunc: np.ufunc) -> None:
    def f(x: Array) -> Array:
        a = x * 1.0
        ufunc.at(a, [0, 1, 0], [x[1], 0.5, x[2] * x[2]])
        return a

    judge(f)


def test_a_plain_value_and_another_dtype() -> None:
    def f(x: Array) -> Array:
        a = x.astype(np.float32)
        np.add.at(a, MANY, V)
        np.add.at(a, [0], 0.1)
        return a

    due = f(X.copy())
    assert np.array_equal(rg.jvp(f, (X,), (X,))[0], due)
    assert np.array_equal(rg.grad(lambda x: np.sum(f(x)))(X), np.ones(4))


def test_errors_are_numpys() -> None:
    for call in (
        lambda a: np.add.at(a, [0, 9], 1.0),
        lambda a: np.add.at(a, [0, 1], np.ones(3)),
        lambda a: np.add.at(a, [0]),
        lambda a: np.divmod.at(a, [0], 1.0),
        lambda a: np.add.at(a[0], (), 1.0),
        lambda a: np.sin.at(a, [0], 1.0),
    ):
        with pytest.raises((ValueError, IndexError, TypeError)) as theirs:
            call(X.copy())
        with pytest.raises(type(theirs.value)):
            rg.grad(lambda x: (a := x * 1.0, call(a), np.sum(a))[-1])(X)  # noqa: B023


@pytest.mark.parametrize("ufunc", UFUNCS)
def test_values_that_broadcast_have_numpys_result_or_are_refused(ufunc: np.ufunc) -> None:
    def f(x: Array) -> Array:
        a = x * 1.0
        ufunc.at(a, np.array([[0, 1], [1, 1]]), V[:2] * x[1])
        return a

    right = True
    for behind in (50.0, -50.0):
        found, due, values = X.copy(), X.copy(), np.array([1.5, 2.5, behind, behind])
        ufunc.at(found, [[0, 1], [1, 1]], values[:2])
        ufunc.at(due, [[0, 1], [1, 1]], np.broadcast_to(values[:2], (2, 2)))
        right = right and np.array_equal(found, due, equal_nan=True)
    if right:
        judge(f)
    else:
        with pytest.raises(NoRuleError, match=r"Write np.broadcast_to\(values, index.shape\)"):
            rg.jvp(f, (X,), (X,))

    def rows(x: Array) -> Array:
        a = np.ones((2, 3), x.dtype, like=x)
        ufunc.at(a, [0, 1, 0], x[:3] + 0.2)
        ufunc.at(a, (slice(None), [0, 0]), x[:2])
        return a

    judge(rows)


def test_a_plain_array_is_refused_with_what_to_write() -> None:
    with pytest.raises(TracingError, match=r"np.add.at would write to a plain array.*np.zeros\(n, like=x\)"):
        rg.grad(lambda x: np.add.at(np.zeros(4), MANY[:4], x))(X)
