"""Quantiles by all of NumPy's methods: values, dtypes and errors of NumPy, derivatives by the elements and by the level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.functions.quantiles import DISCRETE, PLACES
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
NEW = np.lib.NumpyVersion(np.__version__) >= "2.4.0"
METHODS = sorted(DISCRETE | PLACES.keys())
FUNCTIONS = [np.quantile, np.percentile, np.nanquantile, np.nanpercentile]
A = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises
        return type(error)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore")
def test_values_dtypes_and_errors_are_numpys(function: Callable[..., Any], method: str) -> None:
    rng = np.random.default_rng(len(method))
    scale = 100 if "percentile" in function.__name__ else 1
    levels = (
        0.3,
        1,
        0.0,
        1.0,
        np.float32(0.7),
        np.array([0.1, 0.5, 0.99]),
        np.array([[0.2, 1.0], [0, 0.4]]),
        np.array([0, 1]),
        1.5,
    )
    compared = 0
    for q in levels:
        for dtype in (np.float16, np.float32, np.float64, np.longdouble):
            if not NEW and dtype is np.longdouble and scale == 100:
                continue  # there NumPy divides the level in long double, and may choose another element
            for shape in ((5,), (2, 3), (1, 4, 2), (1,)):
                a = rng.standard_normal(shape).astype(dtype)
                a = np.round(a) if rng.random() < 0.3 else a  # ties
                a = np.where(rng.random(shape) < 0.2, np.nan, a).astype(dtype)
                kwargs: dict[str, Any] = {
                    "axis": [None, 0, -1][rng.integers(3)],
                    "keepdims": bool(rng.integers(2)),
                    "method": method,
                }
                if rng.random() < 0.2:
                    kwargs["weights"] = rng.random(shape)  # an error for most methods
                due = outcome(lambda a=a, q=q, kwargs=kwargs: function(a, scale * q, **kwargs))
                got = outcome(
                    lambda a=a, q=q, kwargs=kwargs: rg.vjp(lambda x: function(x, scale * q, **kwargs), a)[0]
                )
                if isinstance(due, type):
                    assert got is due
                else:
                    assert np.asarray(got).dtype == np.asarray(due).dtype
                    # Before NumPy 2.4 the place between two elements is rounded otherwise, and the level to float32.
                    units = 0 if NEW else 4
                    size = np.max(np.abs(a), initial=1, where=~np.isnan(a))
                    size = size if dtype is np.float16 else size.astype(np.float32)
                    gap = np.abs(np.asarray(got) - due) <= units * np.spacing(size)
                    assert np.all(gap | (np.isnan(got) & np.isnan(due)))
                    compared += np.size(due)
    assert compared > 40


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("function", [np.quantile, np.nanquantile], ids=lambda f: f.__name__)
def test_derivatives_by_elements_and_level(function: Callable[..., Any], method: str) -> None:
    q = np.array([0.21, 0.57, 0.93])
    for f in (
        lambda a, q: function(a, q, axis=1, method=method, keepdims=True),
        lambda a, q: function(a, q[1], axis=0, method=method),
    ):
        values_and_derivatives(f, [A, q])
        in_any_nesting(f, [A, q])


@pytest.mark.parametrize("function", [np.quantile, np.nanquantile], ids=lambda f: f.__name__)
def test_weights_choose_an_element(function: Callable[..., Any]) -> None:
    calls = [(np.abs(A), None), (np.abs(A), 1), (np.array([1.0, 0.0, 2.0]), 1), (np.array([0.5, 0.25]), 0)]
    for weights, axis in calls if function is np.quantile else calls[:2]:  # NumPy refuses the others

        def f(a: Array, w: Array, axis: Any = axis) -> Array:
            return function(a, [0.3, 0.8], axis=axis, method="inverted_cdf", weights=w)

        values_and_derivatives(lambda a, f=f, w=weights: f(a, w), [A])
        assert not np.any(rg.grad(lambda w, f=f: np.sum(f(A, w) + 0.0 * np.sum(w)))(weights))


def test_the_ends_have_the_derivative_from_inside() -> None:
    x = np.array([3.0, 1.0, 2.5])
    slope = rg.jvp(lambda q: np.quantile(x, q), (np.array([0.0, 1.0]),), (np.ones(2),))[1]
    assert slope.tolist() == [2 * (2.5 - 1.0), 2 * (3.0 - 2.5)]
    assert rg.grad(lambda q: np.percentile(x, q))(100.0) == 2 * 0.5 / 100
    inf = np.array([1.0, np.inf])
    assert np.array_equal(
        rg.vjp(lambda q: np.quantile(inf, q), np.array(0.5))[0], np.quantile(inf, 0.5), equal_nan=True
    )


def test_tied_elements_share_the_derivative() -> None:
    x_bar = rg.grad(lambda x: np.quantile(x, 0.5, method="lower"))(np.array([2.0, 1.0, 2.0, 9.0]))
    assert np.sum(x_bar) == 1.0
    assert np.all(x_bar[[1, 3]] == 0.0)


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_rows_of_different_lengths() -> None:
    x = np.array(
        [[1.0, np.nan, 2.5, 7.0], [np.nan, -3.0, np.nan, np.nan], [np.nan] * 4, [4.0, 3.0, 2.0, 1.0]]
    )
    for axis in (0, 1, None, (0, 1)):
        for f in (
            np.nanmedian,
            lambda a, axis: np.nanquantile(a, [0.0, 0.3, 1.0], axis),
            lambda a, axis: np.nanpercentile(a, 35, axis),
        ):
            value, _ = rg.vjp(lambda a, f=f, axis=axis: f(a, axis), x)
            due = f(x, axis)
            assert np.shape(value) == np.shape(due)
            assert np.allclose(value, due, rtol=1e-13, equal_nan=True)
            kept, _ = rg.vjp(lambda a, axis=axis: np.nanmedian(a, axis, keepdims=True), x)
            assert kept.shape == np.nanmedian(x, axis, keepdims=True).shape


@pytest.mark.filterwarnings("ignore")  # NumPy warns of a mean of nothing
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)], ids=str)
def test_of_no_elements_there_is_nan(shape: tuple[int, ...], keepdims: bool) -> None:
    functions = (np.median, np.nanmedian, lambda a, axis, **more: np.nanquantile(a, [0.3, 0.6], axis, **more))
    for f in functions:
        for axis in (None, *range(len(shape))):
            value = rg.vjp(lambda a, f=f, axis=axis: f(a, axis, keepdims=keepdims), np.zeros(shape))[0]
            due = f(np.zeros(shape), axis, keepdims=keepdims)
            assert np.array_equal(value, due, equal_nan=True)
            assert np.shape(value) == np.shape(due)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="no elements"):
        rg.vjp(lambda a: np.quantile(a[:0], 0.5), A)
    with pytest.raises((NoRuleError, TypeError), match="interpolation"):  # gone in NumPy 2.4
        rg.vjp(lambda a: np.quantile(a, 0.5, interpolation="lower"), A)
    with pytest.raises(IndexError):
        rg.vjp(lambda a: np.nanquantile(a, 0.5, axis=1, method="inverted_cdf", weights=np.ones(3)), A)


@pytest.mark.filterwarnings("ignore")  # NumPy warns of rows that are NaN alone
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    "f",
    [
        np.nanmedian,
        lambda a, axis, keepdims: np.quantile(a, [0, 1], axis, keepdims=keepdims),
        lambda a, axis, keepdims: np.nanquantile(a, np.array([[1], [0]]), axis, keepdims=keepdims),
        lambda a, axis, keepdims: np.nanquantile(a, 1, axis, keepdims=keepdims),
    ],
)
def test_infinities_are_elements_like_others(f: Callable[..., Any], axis: int | None, keepdims: bool) -> None:
    a = np.array([[np.inf, 1.0, 2.0, np.inf], [np.nan, np.inf, -np.inf, 0.5], [np.inf, np.nan, 3.0, np.inf]])
    value, pullback = rg.vjp(lambda a: f(a, axis=axis, keepdims=keepdims), a)
    due = f(a, axis=axis, keepdims=keepdims)
    assert type(value) is type(due)
    assert np.array_equal(value, due, equal_nan=True)
    assert np.all(np.isfinite(pullback(np.ones_like(value))[0]))


def test_a_median_without_nan_is_the_mean_of_the_two_in_the_middle() -> None:
    a = np.array([-1.5e308, np.nan, 1.5e308, 1.6e308, -1.6e308])
    assert np.nanmedian(a) == 0.0
    value, gradient = rg.value_and_grad(np.nanmedian)(a)
    assert value == 0.0
    assert np.array_equal(gradient, [0.5, 0.0, 0.5, 0.0, 0.0])
