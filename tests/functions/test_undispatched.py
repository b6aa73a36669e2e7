"""Functions of NumPy that ask no argument for a protocol: NumPy's values and errors, the third judge's derivatives in both modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
V = np.array([0.5, -1.5, 2.5])

CALLS: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "arange": (lambda x: np.arange(x[0], 4.0, x[2] / 4), [V]),
    "arange of an end": (lambda x: np.arange(x[2]) * x[0], [V]),
    "arange by name": (lambda x: np.arange(start=x[1], stop=2, step=0.75), [V]),
    "arange of integers": (lambda x: np.arange(x[0], 4, 1, dtype=int) * x[0], [V]),
    "fromiter": (lambda x: np.fromiter((v * v for v in x), float), [V]),
    "fromiter, counted": (lambda x: np.fromiter([x[0], 1, x[2]], float, 2), [V]),
    "kaiser": (lambda x: np.kaiser(5, x[2]), [V]),
    "kaiser of one": (lambda x: np.kaiser(1, x[2]) * x[0], [V]),
    "poly1d": (lambda x: np.poly1d([x[0], 1.0, x[1]])(x[2]), [V]),
    "require": (lambda x: np.require([x[0], x[1]], requirements="C") * x[2], [V]),
    "texts": (lambda x: x * len(np.format_float_positional(x[0]) + np.format_float_scientific(x[1])), [V]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_derivatives(name: str) -> None:
    f, xs = CALLS[name]
    if "iter" not in name and "texts" not in name:
        values_and_derivatives(f, xs)
    in_any_nesting(f, xs)
    value, _ = rg.jvp(f, tuple(xs), tuple(xs))
    assert np.array_equal(value, f(*xs))


@pytest.mark.parametrize("start", [0.1, 1e9, -7.3])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_numbers_of_arange_are_numpys(start: float, dtype: str) -> None:
    start = start if dtype != "float16" else start / 1e8

    def f(x: Array) -> Any:
        return np.arange(x[0], x[0] + 2, x[1], dtype=dtype)

    x = np.array([start, 0.3])
    due = f(x)
    value, slope = rg.jvp(f, (x,), (np.array([1.0, 0.0]),))
    assert value.dtype == slope.dtype == due.dtype
    assert np.array_equal(value, due)
    assert np.allclose(slope, 1.0)


def test_errors() -> None:
    with pytest.raises(NoRuleError, match="number of points"):
        rg.grad(lambda x: np.sum(np.kaiser(x, 2.0)))(5.0)
    for f in (lambda x: np.arange(x, 2.0, 0.0), lambda x: np.fromiter([x], float, 2), lambda x: np.arange()):
        with np.errstate(divide="ignore"), pytest.raises((ValueError, TypeError)) as theirs:
            f(np.float64(1.0))
        with np.errstate(divide="ignore"), pytest.raises(type(theirs.value)) as ours:
            rg.grad(lambda x, f=f: np.sum(f(x)))(1.0)
        assert str(ours.value) == str(theirs.value)


def test_questions_of_math_are_answered() -> None:
    def f(x: Any) -> Any:
        if math.isnan(x[0]) or math.isinf(x[1]) or not math.isfinite(np.sum(x)):
            return 0.0 * x[0] + 7.0
        return x[0] * x[1]

    for x, slope in (
        ([2.0, 3.0], [3.0, 2.0]),
        ([np.nan, 1.0], [0.0, 0.0]),
        ([1.0, np.inf], [0.0, 0.0]),
    ):
        value, gradient = rg.value_and_grad(f)(np.array(x))
        assert np.array_equal(value, f(np.array(x)), equal_nan=True)
        assert np.array_equal(gradient, slope)
    assert np.array_equal(rg.hessian(f)(np.array([2.0, 3.0])), [[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(TypeError):
        rg.grad(lambda x: math.isnan("a") * x)(1.0)
    with pytest.raises(TypeError):
        rg.grad(lambda x: math.isnan(x) * x[0])(np.ones(2))


def test_strides_over_a_traced_array_are_refused_with_what_to_write() -> None:
    def f(x: Any, numbers: Any) -> Any:
        return np.sum(np.lib.stride_tricks.as_strided(numbers, (2, 2), (8, 8)) * x[:2])

    assert np.array_equal(rg.grad(f)(V, np.arange(3.0)), [1.0, 3.0, 0.0])
    with pytest.raises(
        NoRuleError, match=r"as_strided of a traced array of shape \(3,\).*sliding_window_view"
    ):
        rg.grad(f, (0, 1))(V, V)
