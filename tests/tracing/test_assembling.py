"""Arrays of traced values: shape, dtype, layout, sharing and errors are those of np.array and its kin on plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import OperandError
from refgrad.numeric import differences
from refgrad.tracing.assembling import CONVERSIONS, assembled, converted, scalar_or_array

Array = Any
V = np.array([0.7, -1.3, 2.1])
M = np.asfortranarray(np.arange(1.0, 7.0).reshape(2, 3))


def nested(x: Array) -> list[Any]:
    return [[x[0], 1, 2.5], [np.float32(0.1), x[1] * x[2], True], (x[2], np.float64(3.0), x[0])]


SEQUENCES: dict[str, Callable[[Array], Any]] = {
    "numbers": lambda x: [x[0], x[1]],
    "a tuple": lambda x: (x[0], 2),
    "nested": nested,
    "rows": lambda x: [x, [1, 2, 3], x * x],
    "one": lambda x: [x[0]],
    "one array": lambda x: [x],
    "deep": lambda x: [[[x, x]], [[x, V]]],
    "no elements": lambda x: [x[:0], []],
    "0-d arrays": lambda x: [x[0][...], x[1]],
    "float32 and float": lambda x: [x.astype(np.float32)[0], 0.1],
    "float32 alone": lambda x: [x.astype(np.float32)[0], np.float32(1)],
    "long double": lambda x: [x[0].astype(np.longdouble), x[1]],
    "a plain row between": lambda x: [V, x, range(3), x],
    "float16 and an integer": lambda x: [x.astype(np.float16)[0], 70000],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "float32": {"dtype": np.float32},
    "by name": {"dtype": "f8"},
    "in columns": {"order": "F"},
    "in columns, float32": {"order": "F", "dtype": "f4"},
    "integers": {"dtype": int},
    "booleans": {"dtype": bool},
}


@pytest.mark.parametrize("function", CONVERSIONS)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_becomes_numpys_array(name: str, option: str, function: Callable[..., Any]) -> None:
    make, options = SEQUENCES[name], OPTIONS[option]
    if function in (np.ascontiguousarray, np.asfortranarray):
        options = {k: v for k, v in options.items() if k != "order"}
    with np.errstate(all="ignore"):
        due: Any = function(make(V), **options)
    seen: list[Any] = []

    def f(x: Array) -> Array:
        y = converted(function, make(x), **options)
        seen.append(y)
        return y

    with np.errstate(all="ignore"):
        value, slope = rg.jvp(f, (V,), (np.ones(3),))
        _, pullback = rg.vjp(f, V)
    assert (type(value), value.dtype, value.shape) == (type(due), due.dtype, due.shape)
    assert np.array_equal(value, due)
    if due.dtype.kind == "f" and due.size:
        assert seen[0].flags.c_contiguous == due.flags.c_contiguous
        assert seen[0].flags.f_contiguous == due.flags.f_contiguous
        y_bar = np.cos(1.0 + np.arange(due.size)).reshape(due.shape).astype(due.dtype)
        assert np.isclose(np.sum(pullback(y_bar)[0]), np.sum(y_bar * slope), rtol=_rounding(name, due.dtype))


def _rounding(name: str, dtype: Any) -> float:
    """Of a few operations in the narrowest dtype that occurs."""
    kinds = [np.dtype(dtype), *[np.dtype(k) for k in ("float16", "float32") if k in name], np.dtype(float)]
    return 64 * float(max(np.finfo(k).eps for k in kinds))


def test_the_derivative_is_that_of_every_element() -> None:
    slope, error = differences(lambda x: np.array(nested(x)), (V,), (V,))
    for got in (
        rg.jvp(lambda x: assembled(nested(x)), (V,), (V,))[1],
        rg.jacrev(lambda x: assembled(nested(x)))(V) @ V,
    ):
        assert np.all(np.abs(got - slope) <= 4 * error + 1e-15)
    second = rg.hessian(lambda x: np.sum(assembled(nested(x)) ** 2))(V)
    assert np.allclose(second, rg.jacrev(rg.grad(lambda x: np.sum(assembled(nested(x)) ** 2)))(V), rtol=1e-14)


WRONG: dict[str, tuple[Callable[[Array], Any], dict[str, Any], type[Exception]]] = {
    "ragged": (lambda x: [x, [1, 2]], {}, ValueError),
    "ragged deeper": (lambda x: [[x[0]], [x[1], 2]], {}, ValueError),
    "a number beside a row": (lambda x: [x, 1.0], {}, ValueError),
    "a dtype that is none": (lambda x: [x[0]], {"dtype": "nonsense"}, TypeError),
    "text": (lambda x: [x[0], "a"], {}, OperandError),
    "objects": (lambda x: [x[0]], {"dtype": object}, OperandError),
    "too many axes": (lambda x: [x], {"ndmin": 99}, ValueError),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_numpys_or_name_the_dtype(name: str) -> None:
    make, options, kind = WRONG[name]
    message = "np.array of a traced array"
    if kind is not OperandError:
        with pytest.raises(kind) as theirs:
            np.array(make(V), **options)
        message = str(theirs.value)[:40]
    with pytest.raises(kind) as ours:
        rg.grad(lambda x: np.sum(converted(np.array, make(x), **options)))(V)
    assert message in str(ours.value)


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "asarray": lambda x: converted(np.asarray, x),
    "array": lambda x: converted(np.array, x),
    "no copy": lambda x: converted(np.array, x, copy=None),
    "more axes": lambda x: converted(np.array, x, ndmin=4),
    "more axes, no copy": lambda x: converted(np.array, x, copy=None, ndmin=4),
    "in rows": lambda x: converted(np.ascontiguousarray, x),
    "in columns": lambda x: converted(np.asfortranarray, x),
    "float32": lambda x: converted(np.asarray, x, np.float32),
    "float64": lambda x: converted(np.asarray, x, dtype=float),
    "a kind": lambda x: scalar_or_array(np.float64, x),
    "another kind": lambda x: scalar_or_array(np.float32, x),
}
PLAIN: dict[str, Callable[[Any], Any]] = {
    "asarray": np.asarray,
    "array": np.array,
    "no copy": lambda x: np.array(x, copy=None),
    "more axes": lambda x: np.array(x, ndmin=4),
    "more axes, no copy": lambda x: np.array(x, copy=None, ndmin=4),
    "in rows": np.ascontiguousarray,
    "in columns": np.asfortranarray,
    "float32": lambda x: np.asarray(x, np.float32),
    "float64": lambda x: np.asarray(x, dtype=float),
    "a kind": np.float64,
    "another kind": np.float32,
}


@pytest.mark.parametrize(
    "given", [V, M, M.T, V[::-1], np.array(0.5), np.float64(0.5), np.float32(0.5)], ids=str
)
@pytest.mark.parametrize("name", ARRAYS)
def test_a_traced_array_is_converted_as_numpy_converts(name: str, given: Any) -> None:
    def written(convert: Callable[[Any], Any], x: Any) -> Any:
        y = convert(x)
        if isinstance(y, np.ndarray):
            y[...] = 2.0 * y  # seen in x where the two share memory
        return x * 3.0, y

    due = written(PLAIN[name], given.copy())
    got = rg.jvp(lambda x: written(ARRAYS[name], x), (given.copy(),), (np.ones_like(given),))[0]
    for a, b in zip(got, due, strict=True):
        assert (type(a), a.dtype, a.shape) == (type(b), b.dtype, b.shape)
        assert np.array_equal(a, b)


def test_a_copy_that_numpy_refuses_to_avoid_is_its_error() -> None:
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        rg.grad(lambda x: np.sum(converted(np.array, x, dtype=np.float32, copy=False)))(V)
