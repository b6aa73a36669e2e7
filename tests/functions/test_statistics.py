"""Statistics: the kind, dtype and errors of NumPy's results; values and derivatives are compared in tests/test_functions.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from tests.function_checks import values_and_derivatives

Array = Any
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
V = np.array([1.5, -0.5, 2.5])
Z = X + 1j * X[::-1]
WEIGHTS = np.array([0.5, 1.0, 2.0])

SPREADS = [np.var, np.std, np.nanvar, np.nanstd]


@pytest.mark.parametrize("function", SPREADS)
@pytest.mark.parametrize("x", [X, Z], ids=["real", "complex"])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_a_spread_in_a_complex_dtype_is_complex(function: Callable[..., Any], x: Array, dtype: type) -> None:
    def f(x: Array) -> Array:
        return function(x, axis=1, dtype=dtype)

    y, pullback = rg.vjp(f, x)
    due = f(x)
    assert y.dtype == due.dtype == dtype
    # Of three elements a mean, deviations, squares, their mean and a root round eight times at most, here and in NumPy.
    assert np.allclose(y, due, rtol=8 * np.finfo(dtype).eps, atol=0)
    real = rg.vjp(lambda x: function(x, axis=1), x)[1](np.ones(2))[0]
    # As many for the gradient, and the roundings of a mean are of the size of the largest elements.
    largest = np.max(np.abs(real)) * np.max(np.abs(x)) / np.min(np.std(x, axis=1))
    assert np.allclose(pullback(np.ones(2, dtype))[0], real, rtol=0, atol=8 * np.finfo(dtype).eps * largest)


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("where", [X > 0, np.True_, np.ones_like(X, bool)], ids=["some", "true", "all"])
@pytest.mark.parametrize("function", [np.nanmax, np.nanmin])
def test_an_extreme_with_a_mask_needs_an_initial_value(
    function: Callable[..., Any], where: Any, axis: Any
) -> None:
    for more in ({}, {"initial": None}):
        with pytest.raises(ValueError, match="identity"):
            function(X, axis=axis, where=where, **more)
        with pytest.raises(ValueError, match="identity"):
            rg.vjp(lambda x, more=more: function(x, axis=axis, where=where, **more), X)
    values_and_derivatives(lambda x: function(x, axis=axis, where=where, initial=1.0), [X])
    values_and_derivatives(lambda x: function(x, axis=axis, initial=None), [X])


@pytest.mark.parametrize("axis", [np.array(1), (np.array(0), np.array(1)), np.int8(-1)], ids=str)
@pytest.mark.parametrize(
    "function",
    [np.sum, np.mean, np.prod, np.max, np.ptp, np.std, np.var, np.nanstd, np.nanmax, np.add.reduce],
)
def test_an_axis_in_an_array_without_axes(function: Callable[..., Any], axis: Any) -> None:
    if isinstance(axis, tuple) and function is np.add.reduce:
        axis = np.array(0)
    values_and_derivatives(lambda x: function(x, axis=axis), [X])
    values_and_derivatives(lambda x: function(x, axis), [X])


KINDS: dict[str, Callable[[Array], Any]] = {
    "average": lambda v: np.average(v, weights=WEIGHTS, returned=True),
    "average without weights": lambda v: np.average(v, returned=True),
    "average of rows": lambda v: np.average(np.stack([v, v]), axis=1, weights=WEIGHTS, returned=True),
    "quantile with weights": lambda v: np.quantile(v, 0.3, weights=WEIGHTS, method="inverted_cdf"),
    "percentile with weights": lambda v: np.percentile(v, 30, weights=WEIGHTS, method="inverted_cdf"),
    "nanquantile with weights": lambda v: np.nanquantile(v, 0.3, weights=WEIGHTS, method="inverted_cdf"),
    "quantile": lambda v: np.quantile(v, 0.3),
    "median": np.median,
    "nanmax": np.nanmax,
    "nanmin of a number": lambda v: np.nanmin(v[0]),
    "nanmax, initial": lambda v: np.nanmax(v, initial=2.0),
    "nan_to_num": lambda v: np.nan_to_num(v[0]),
    "nan_to_num of an array": lambda v: np.nan_to_num(v[0][...]),
    "broadcast_arrays": lambda v: np.broadcast_arrays(v[0], v[1]),
    "norm, 1": lambda v: np.linalg.norm(np.diag(v), 1),
    "norm, -inf": lambda v: np.linalg.norm(np.diag(v), -np.inf),
    "cond, 1": lambda v: np.linalg.cond(np.diag(v), 1),
}


def kinds(y: Any) -> list[str]:
    parts = y if isinstance(y, (tuple, list)) else [y]
    return ["array" if isinstance(p, np.ndarray) else "number" for p in parts]


@pytest.mark.parametrize("name", KINDS)
def test_a_number_is_a_number_where_numpys_is(name: str) -> None:
    f, seen = KINDS[name], []

    def kept(v: Array) -> Any:
        y = f(v)
        seen.append(kinds(y))
        return y

    rg.jvp(kept, (V,), (V,))
    rg.vjp(kept, V)
    assert seen == [kinds(f(V))] * 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_cross_product_in_the_plane_is_an_array() -> None:
    def f(v: Array) -> Array:
        return np.cross(v[:2], v[1:])

    y, pullback = rg.vjp(lambda v: kinds(f(v)) == ["array"] and f(v), V)
    assert y == f(V)
    assert pullback(np.ones(()))[0].tolist() == [2.5, 1.0, 1.5]


def test_a_mean_in_integers_is_an_integer() -> None:
    for f in (lambda v: np.mean(v, dtype=int), lambda v: v.mean(axis=0, dtype=int)):
        y = rg.vjp(f, V)[0]
        assert y == f(V)
        assert y.dtype == f(V).dtype


@pytest.mark.parametrize("function", [np.nanmean, np.nanvar, np.nanstd])
def test_a_mean_without_nan_in_whole_numbers_is_refused_as_in_numpy(function: Callable[..., Any]) -> None:
    for call in (function, lambda x, dtype: rg.jvp(lambda x: function(x, dtype=dtype), (x,), (x,))):
        with pytest.raises(TypeError, match="dtype must be inexact"):
            call(V, dtype=int)
    assert rg.jvp(lambda x: function(x, dtype=np.longdouble), (V,), (V,))[1].dtype == np.longdouble
