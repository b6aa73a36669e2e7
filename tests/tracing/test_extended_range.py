"""Gradients whose cotangents leave the range of the dtype on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.tracing import extended_range
from refgrad.tracing.ball import exact

Array = Any
mpmath = pytest.importorskip("mpmath")


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def slope(x: float) -> float:
    with mpmath.workprec(3000):
        return float(1 / (mpmath.exp(x) * (1 + mpmath.exp(-x)) ** 2))


@pytest.mark.parametrize("x", [-700.0, -500.0, -400.0, -360.0])
def test_a_sigmoid_that_is_written_out(x: float) -> None:
    # exp(-x) is rounded, which moves the gradient by its relative error times 2.
    assert rg.grad(sigmoid)(x) == pytest.approx(slope(x), rel=4 * np.finfo(float).eps)
    xs = np.array([x, 0.5])
    assert rg.grad(lambda x: np.sum(sigmoid(x)))(xs)[0] == rg.grad(sigmoid)(x)
    assert rg.grad(rg.grad(sigmoid))(x) == pytest.approx(slope(x), rel=16 * np.finfo(float).eps)
    _, pullback = rg.vjp(sigmoid, xs)
    assert pullback(np.ones(2))[0][0] == rg.grad(sigmoid)(x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_gradient_has_the_dtype_of_its_argument(dtype: str) -> None:
    x = np.array([np.log(np.finfo(dtype).smallest_normal) * 0.9], dtype)
    gradient = rg.grad(lambda x: np.sum(sigmoid(x)))(x)
    assert gradient.dtype == dtype
    assert gradient[0] > 0


def test_what_is_out_of_range_itself_stays_so() -> None:
    assert rg.grad(lambda x: x * 1e300)(1.0) == 1e300
    assert rg.grad(lambda x: (x * 1e300) * 1e300)(1e-300) == np.inf
    assert rg.grad(lambda x: np.log(np.exp(x)))(-740.0) == pytest.approx(1.0, rel=1e-12)


def test_an_infinity_that_the_program_computed_gives_no_number() -> None:
    with np.errstate(over="ignore"):
        assert np.isnan(rg.grad(sigmoid)(-800.0))
        assert np.isnan(rg.grad(lambda x: np.log(np.exp(x)))(800.0))


def test_programs_within_the_range_are_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes: list[Any] = []  # of the cotangent from which a walk starts

    def counted(walk: Callable[..., Any]) -> Callable[..., Any]:
        return lambda tape, seeds, inputs: dtypes.append(seeds[0][1].dtype) or walk(tape, seeds, inputs)

    plain = extended_range.walked
    monkeypatch.setattr("refgrad.tracing.pull_back.walked", lambda walk, *args: plain(counted(walk), *args))
    rg.grad(sigmoid)(-3.0)
    assert dtypes == [np.float64]
    rg.grad(sigmoid)(-700.0)
    assert dtypes == [np.float64, np.float64, np.longdouble]


def test_long_programs_are_walked_again_where_a_gradient_shows_a_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dying(x: Array) -> Array:
        y = x
        for _ in range(1200):
            y = y * 0.5 + x
        return y * 1.0

    def lost(x: Array) -> Array:
        y = 1 / (1 + np.exp(-x))
        for _ in range(12):
            y = y + 0.0
        return y

    monkeypatch.setattr(extended_range, "MANY", 10)
    monkeypatch.setattr(extended_range, "_widened", lambda entry: pytest.fail("walked again"))
    assert rg.grad(dying)(1.0) == pytest.approx(2.0)
    monkeypatch.undo()
    monkeypatch.setattr(extended_range, "MANY", 10)
    assert rg.grad(lost)(-700.0) == rg.grad(sigmoid)(-700.0)


def test_the_own_rule_of_a_user_is_asked_once() -> None:
    asked = []
    same = rg.custom_vjp(lambda x: x * 1.0)
    same.defvjp(lambda x: (x * 1.0, None), lambda kept, y_bar: (asked.append(y_bar.dtype) or y_bar,))
    rg.grad(lambda x: sigmoid(same(x)))(-700.0)
    assert asked == [np.float64]


def test_balls_have_their_own_range() -> None:
    fmt = FORMATS["float64"]
    _, pullback = rg.vjp(sigmoid, exact(np.array([-700.0]), fmt))
    (gradient,) = pullback(np.ones(1))
    assert abs(gradient.value[0] - slope(-700.0)) <= gradient.radius[0]


def test_a_gradient_inside_a_rule_is_walked_back_as_well() -> None:
    def bwd(kept: Array, y_bar: Array) -> tuple[Array]:
        return (y_bar * rg.grad(sigmoid)(kept),)

    f = rg.custom_vjp(sigmoid)
    f.defvjp(lambda x: (sigmoid(x), x), bwd)
    assert rg.grad(f)(-700.0) == rg.grad(sigmoid)(-700.0)
