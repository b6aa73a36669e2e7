"""Where refgrad's own code fails: NumPy's error, NumPy's answer for empty arrays, or an error that names the call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError
from refgrad.tracing.call_failures import answered
from refgrad.tracing.dispatch import FUNCTIONS, call_function

Array = Any
X = np.array([0.5, -1.25, 2.0])


def meaning(error: Exception) -> Any:
    def composition(*args: Any, **kwargs: Any) -> Any:
        raise error

    return composition


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives a function a composition that fails."""

    def fail(function: Any, error: Exception) -> None:
        monkeypatch.setitem(FUNCTIONS, function, meaning(error))

    return fail


def test_numpys_own_error_is_raised_where_numpy_fails_too(failing: Any) -> None:
    with pytest.raises(np.exceptions.AxisError, match="axis 3"):
        rg.grad(lambda x: np.sum(np.median(x, axis=3)))(X)

    def picky(x: Array) -> Array:
        raise KeyError("of the plain function")

    failing(picky, IndexError("of refgrad"))
    with pytest.raises(KeyError, match="of the plain function"):
        rg.grad(lambda x: call_function(picky, (x,), {}))(X)


@pytest.mark.parametrize(
    "error",
    [IndexError("inside"), AttributeError("inside"), AssertionError("inside"), TypeError("inside")],
    ids=repr,
)
def test_what_numpy_accepts_is_named(failing: Any, error: Exception) -> None:
    failing(np.tile, error)
    message = (
        r"np.tile\(<float64 of shape \(3,\)>, \[2, 1\]\): refgrad has no rule for these arguments.*inside"
    )
    with pytest.raises(NoRuleError, match=message):
        rg.grad(lambda x: np.sum(np.tile(x, (2, 1))))(X)


def test_the_outermost_function_is_named(failing: Any) -> None:
    failing(np.ravel, IndexError("inside"))
    with pytest.raises(NoRuleError, match=r"np\.ediff1d"):
        rg.grad(lambda x: np.sum(np.ediff1d(x)))(X)


def test_of_empty_arrays_the_value_is_the_answer() -> None:
    y, pullback = rg.vjp(lambda x: np.resize(x, (2, 2)), np.zeros(0))
    assert np.array_equal(y, np.resize(np.zeros(0), (2, 2)))
    assert pullback(np.ones((2, 2)))[0].shape == (0,)


def test_refgrads_own_errors_and_those_of_floating_point_stay(failing: Any) -> None:
    failing(np.tile, NoRuleError("ours"))
    with pytest.raises(NoRuleError, match=r"^ours$"):
        rg.grad(lambda x: np.sum(np.tile(x, 2)))(X)
    failing(np.tile, FloatingPointError("theirs"))
    with pytest.raises(FloatingPointError, match="theirs"):
        rg.grad(lambda x: np.sum(np.tile(x, 2)))(X)


def test_arguments_are_as_they_were(failing: Any) -> None:
    failing(np.put, IndexError("inside"))

    def f(x: Array) -> Array:
        y = x * 1.0
        with pytest.raises(NoRuleError, match=r"np\.put"):  # NumPy is asked, and writes into a copy
            np.put(y, [0], 9.0)
        return np.sum(y * y)

    assert np.array_equal(rg.grad(f)(X), 2 * X)


def test_ufuncs_and_their_methods() -> None:
    with pytest.raises(ValueError, match="shapes"):
        rg.grad(lambda x: np.sum(np.add(x, np.ones(2))))(X)
    with pytest.raises(np.exceptions.AxisError):
        rg.grad(lambda x: np.sum(np.add.reduce(x, 2)))(X)
    with pytest.raises(TypeError, match="accumulate on a scalar"):
        rg.grad(lambda x: np.sum(np.add.accumulate(x[0])))(X)


def test_a_traced_number_that_is_not_seen_among_the_arguments_makes_no_constant() -> None:
    def f(x: Array) -> Array:
        return answered(lambda a, options: np.sum(a), (np.ones(2), {"scale": x}), {}, ValueError("ours"))

    with pytest.raises(NoRuleError, match="refgrad has no rule for these arguments"):
        rg.grad(f)(1.0)
