"""reduce, accumulate, reduceat, outer and at of every ufunc of two operands: NumPy's values and errors, the third judge's derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, RefgradError, TracingError
from refgrad.op import BY_METHOD
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
BINARY = [
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot, np.power,
    np.float_power, np.arctan2, np.copysign, np.fmod, np.remainder, np.floor_divide, np.heaviside, np.greater, np.logical_or,
]  # fmt: skip
NOT_IN_STEPS = {np.power, np.arctan2}  # of which NumPy's reduce is no reduction on some processors
SMOOTH = [
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    np.logaddexp,
    np.logaddexp2,
    np.hypot,
    np.maximum,
    np.fmin,
]
A = np.array([[0.7, 1.3, 2.1], [1.9, 0.4, 0.6], [1.1, 0.9, 1.6]])
V = np.array([0.5, 1.5, 2.5])


def drawn(ufunc: np.ufunc, method: str, rng: np.random.Generator) -> tuple[Callable[[Array], Any], Array]:
    """A call of a method, and the array for it."""
    dtype = [np.float16, np.float32, np.float64][rng.integers(3)]
    shape = tuple(rng.integers(1, 5, rng.integers(1, 4)).tolist())
    x = rng.uniform(0.2, 2.0, shape).astype(dtype)
    axis = [0, -1, None, tuple(range(len(shape)))][rng.integers(4)]
    kwargs: dict[str, Any] = {}
    if method == "reduce":
        kwargs = {"axis": axis, "keepdims": bool(rng.integers(2))}
        if rng.random() < 0.4:
            kwargs["initial"] = [0.5, np.float64(1.5), None][rng.integers(3)]
        if rng.random() < 0.3:
            kwargs["where"] = rng.random(shape) < 0.6
        return lambda x: ufunc.reduce(x, **kwargs), x
    if method == "accumulate":
        return lambda x: ufunc.accumulate(x, axis), x
    if method == "reduceat":
        starts = rng.integers(0, shape[-1] + (rng.random() < 0.1), rng.integers(1, 4))
        return lambda x: ufunc.reduceat(x, starts, -1), x
    if method == "outer":
        other = rng.uniform(0.2, 2.0, [(), (2,)][rng.integers(2)]).astype(np.float32)
        return (lambda x: ufunc.outer(x, other)) if rng.random() < 0.5 else (
            lambda x: ufunc.outer(other, x)
        ), x
    places, value = rng.integers(0, shape[0], rng.integers(0, 5)), rng.uniform(0.2, 2.0, ()).astype(dtype)

    def at(x: Array) -> Array:
        y = x.copy()
        ufunc.at(y, places, value)
        return y

    return at, x


@pytest.mark.parametrize("method", ["reduce", "accumulate", "reduceat", "outer", "at"])
@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore")
def test_values_dtypes_and_errors_are_numpys(ufunc: np.ufunc, method: str) -> None:
    rng, compared = np.random.default_rng(len(method)), 0
    for _ in range(25):
        f, x = drawn(ufunc, method, rng)
        try:
            due = np.asarray(f(x.copy()))
        except Exception as error:  # noqa: BLE001 - whatever NumPy raises
            with pytest.raises((type(error), RefgradError)):
                rg.vjp(f, x)
            continue
        if ufunc in NOT_IN_STEPS and method in {"reduce", "reduceat"}:
            with pytest.raises(NoRuleError, match="loop"):
                rg.vjp(f, x)
            continue
        got = np.asarray(rg.vjp(f, x)[0])
        compared += 1
        assert got.dtype == due.dtype
        # Ops that reduce add up in an order of their own. NumPy's kernels of powers and arctan2 round otherwise for some layouts.
        exact = ufunc not in {np.power, np.float_power, np.arctan2} and not (
            method in {"reduce", "reduceat"} and (ufunc, "reduce") in BY_METHOD
        )
        if exact or due.dtype.kind != "f":
            assert np.array_equal(got, due)
        else:
            apart = np.abs(got - due) / np.spacing(np.maximum(np.abs(due), due.dtype.type(1)))
            assert np.all((got == due) | (apart <= 2 * x.size))
    assert (
        compared
        or ufunc in NOT_IN_STEPS
        or (ufunc is np.greater and method in {"reduce", "accumulate", "reduceat", "at"})
    )


@pytest.mark.parametrize("ufunc", SMOOTH, ids=lambda f: f.__name__)
def test_derivatives(ufunc: np.ufunc) -> None:
    def at(a: Array, v: Array) -> Array:
        y = a.copy()
        ufunc.at(y, [0, 2, 0], v)
        return y

    several = {} if ufunc in {np.subtract, np.divide} else {"keepdims": True}
    calls: list[tuple[Callable[..., Array], list[Array]]] = [
        (lambda a: ufunc.reduce(a, axis=-1), [A]), (lambda a: ufunc.reduce(a, **several), [A]),
        (lambda a: ufunc.accumulate(a, 1), [A]), (lambda a: ufunc.reduceat(a, [0, 2, 1], 0), [A]),
        (lambda a, v: ufunc.outer(a[0], v), [A, V]), (at, [A, V]),
    ]  # fmt: skip
    if ufunc not in {np.subtract, np.divide, np.fmin}:
        start = 0.5 * V[0]
        calls.append((lambda a, v: ufunc.reduce(a, 1, initial=v[0] * 0.5, where=start < A), [A, V]))
    for f, xs in calls:
        values_and_derivatives(f, xs)
        in_any_nesting(f, xs)


def test_ties_of_a_running_maximum_share_the_derivative() -> None:
    x_bar = rg.grad(lambda x: np.sum(np.maximum.accumulate(x)))(np.array([1.0, 3.0, 3.0, 2.0]))
    assert x_bar[0] == 1.0
    assert x_bar[1] + x_bar[2] == 3.0
    assert x_bar[1] >= 1.0
    nan = np.array([1.0, np.nan, 3.0])
    assert np.array_equal(rg.vjp(np.maximum.accumulate, nan)[0], np.maximum.accumulate(nan), equal_nan=True)
    assert np.array_equal(rg.vjp(np.fmax.accumulate, nan)[0], np.fmax.accumulate(nan), equal_nan=True)


def test_of_nothing() -> None:
    empty = np.zeros((0, 2))
    for f in (
        np.logaddexp.accumulate,
        np.maximum.accumulate,
        np.hypot.reduce,
        lambda x: np.add.outer(x, V),
    ):
        value, pullback = rg.vjp(f, empty)
        assert np.array_equal(value, f(empty))
        assert pullback(np.ones(value.shape))[0].shape == (0, 2)


def test_a_plain_array_holds_no_traced_number() -> None:
    for ufunc in (np.add, np.maximum):
        with pytest.raises(TracingError, match="to a plain array"):
            rg.grad(lambda v, ufunc=ufunc: ufunc.at(np.zeros(3), [0, 1, 1], v))(V)


def test_the_options_of_a_ufunc() -> None:
    value = rg.vjp(lambda x: np.add(x, x, casting="safe", order="F", subok=False), A)[0]
    assert np.array_equal(value, A + A)
    assert value.flags.f_contiguous
    narrow = A.astype(np.float32)
    assert rg.vjp(lambda x: np.exp(x, dtype=np.float64, casting="unsafe"), narrow)[0].dtype == np.float64
    with pytest.raises(TypeError, match="casting rule 'no'"):
        rg.vjp(lambda x: np.exp(x, dtype=np.float64, casting="no"), narrow)
    with pytest.raises(ValueError, match="order"):
        rg.vjp(lambda x: np.exp(x, order="X"), narrow)


@pytest.mark.parametrize("call", [np.max, np.min, np.nanmax, np.nanmin, np.maximum.reduce, np.minimum.reduce])
def test_the_extreme_of_no_elements_is_a_traced_initial_value(call: Any) -> None:
    def f(x: Any) -> Any:
        return call(x[:0], initial=x[1]) * x[0] + np.sum(call(x.reshape(1, 2)[:0], axis=0, initial=x[0]))

    x = np.array([3.0, 2.0])
    assert f(x) == 12.0
    value, slope = rg.value_and_grad(f)(x)
    assert value == 12.0
    assert slope.tolist() == [4.0, 3.0]
    assert rg.jvp(f, (x,), (np.array([1.0, 10.0]),)) == (12.0, 34.0)
    with pytest.raises(ValueError, match="zero-size array"):
        rg.grad(lambda x: call(x[:0]))(x)
