"""Calls of NumPy's functions with traced arrays in lists: values are NumPy's, derivatives right, and plain programs stay as they are."""

from __future__ import annotations

import copy
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.linalg as LA  # noqa: N812 - as programs name it
import pytest
from numpy import array
from numpy import sum as total

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.numeric import differences
from refgrad.op import Traced
from refgrad.tracing import numpy_calls

Array = Any
X = np.array([0.7, 1.3, 0.4])

CALLS: dict[str, Callable[[Array], Any]] = {
    "array": lambda x: np.array([x[0], 2 * x[1]]),
    "nested": lambda x: np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]]),
    "array of rows": lambda x: np.array([x, [1, 2, 3], x * x]),
    "array of a comprehension": lambda x: np.array([v * v for v in x]),
    "array, starred": lambda x: np.array([*x, 1.0]),
    "array by position": lambda x: np.array(*[[x[0], x[1]]]),
    "asarray": lambda x: np.asarray([x[0], x[1]]),
    "asarray of an array": lambda x: np.asarray(x) * x,
    "array from": lambda x: array([x[0], 1]),
    "asanyarray": lambda x: np.asanyarray((x[0], 1)),
    "ascontiguousarray": lambda x: np.ascontiguousarray([x, x]),
    "asfortranarray": lambda x: np.asfortranarray([x, x]),
    "float64": lambda x: np.float64(x[0]) * x[1],
    "float64 of a list": lambda x: np.float64([x[0], 1]),
    "full": lambda x: np.full((2, 2), x[0]),
    "full of a row": lambda x: np.full((2, 3), x),
    "full of a list": lambda x: np.full((2, 2), [x[0], 1]),
    "sum": lambda x: np.sum([x[0], x[1] * x[2], 3]),
    "sum from": lambda x: total([x[0], x[1]]),
    "sum of rows": lambda x: np.sum([x, x * x], axis=0),
    "sum of a variable": lambda x: (terms := [v**3 for v in x], np.sum(terms))[-1],
    "mean": lambda x: np.mean([x[0], x[1] ** 2, 2]),
    "max": lambda x: np.max([x[0], x[1], x[2]]),
    "min": lambda x: np.min([x, 1 - x]),
    "prod": lambda x: np.prod([x[0], x[1], 2]),
    "var": lambda x: np.var([x[0], x[1], 1]),
    "std": lambda x: np.std([x[0], x[1], 1]),
    "median": lambda x: np.median([x[0], x[1], 1]),
    "average": lambda x: np.average([x[0], 1, x[1]], weights=[x[2], 2, 1]),
    "cumsum": lambda x: np.cumsum([x[0], 1, x[1]]),
    "concatenate": lambda x: np.concatenate([[x[0]], [x[1], 1], x]),
    "concatenate of lists": lambda x: np.concatenate(([x[0]], [1, x[1]])),
    "stack": lambda x: np.stack([[x[0], 1], [2, x[1]]]),
    "vstack": lambda x: np.vstack([[x[0], 1], [2, x[1]]]),
    "hstack": lambda x: np.hstack([x[0], [1, x[1]]]),
    "block": lambda x: np.block([[np.eye(2) * x[0], np.array([[1], [x[1]]])]]),
    "dot": lambda x: np.dot([x[0], 1, x[1]], [2, x[2], 1]),
    "dot of rows": lambda x: np.dot([[x[0], 1], [2, x[1]]], [x[2], 1]),
    "matmul": lambda x: np.matmul([[x[0], 1], [2, x[1]]], [x[2], 1]),
    "outer": lambda x: np.outer([x[0], 1], [2, x[1]]),
    "cross": lambda x: np.cross([x[0], 1, 2], [x[1], x[2], 1]),
    "einsum": lambda x: np.einsum("i,i", [x[0], 1], [2, x[1]]),
    "diag": lambda x: np.diag([x[0], 1, x[1]]),
    "norm": lambda x: np.linalg.norm([x[0], x[1]]),
    "norm from": lambda x: LA.norm([x[0], x[1]]),
    "where": lambda x: np.where([True, False], [x[0], 1], [2, x[1]]),
    "select": lambda x: np.select([[True, False]], [[x[0], 1]], [2, x[1]]),
    "interp": lambda x: np.interp(0.9, [0, x[1], 2], [x[0], 1, 0]),
    "clip": lambda x: np.clip([x[0], 2, x[1]], 0.5, 1),
    "sort": lambda x: np.sort([x[0], 1, x[1]]),
    "reshape": lambda x: np.reshape([x[0], 1, x[1], 2], (2, 2)),
    "transpose": lambda x: np.transpose([[x[0], 1]]),
    "diff": lambda x: np.diff([x[0], 1, x[1]]),
    "trapezoid": lambda x: np.trapezoid([x[0], 1, x[1]], [0, x[2], 3]),
    "polyval": lambda x: np.polyval([x[0], 1, x[1]], x[2]),
    "append": lambda x: np.append([1.0, 2], [x[0]]),
    "tile": lambda x: np.tile([x[0], 1], 2),
    "roll": lambda x: np.roll([x[0], 1, x[1]], 1),
    "sqrt": lambda x: np.sqrt([x[0], 2, x[1]]),
    "maximum": lambda x: np.maximum([x[0], 2], [x[1], x[2]]),
    "reduce of rows": lambda x: np.maximum.reduce([x, x * x, [0.5, 0.6, 0.7]]),
    "reduce of a variable": lambda x: (rows := [x, x * x], np.multiply.reduce(rows, axis=0))[-1],
    "accumulate": lambda x: np.add.accumulate([x[0], 1, x[1]]),
    "reduceat": lambda x: np.multiply.reduceat([x[0], 2, x[1]], [0, 2]),
    "outer of ufuncs": lambda x: np.subtract.outer([x[0], 1], (x[1], 2)),
    "out of a tuple": lambda x: np.sin([x[0], x[1]], out=(np.empty_like(x, shape=2),)),
    "exp of a comprehension": lambda x: np.exp([v * v for v in x]),
    "argmax": lambda x: x * np.argmax([x[0], x[1]]),
    "shape": lambda x: x * np.shape([x, x])[0],
    "allclose": lambda x: x * np.allclose([x[0]], [x[0]]),
    "meshgrid": lambda x: np.meshgrid([x[0], 1], [2, x[1]])[0],
    "kron": lambda x: np.kron([x[0], 1], [1, x[1]]),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_list_in_a_call_counts_as_an_array(name: str) -> None:
    f = CALLS[name]
    due: Any = f(X.copy())
    tangent = np.array([1.0, -0.5, 0.75])
    value, slope = rg.jvp(f, (X,), (tangent,))
    y, pullback = rg.vjp(f, X)
    for got in (value, y):
        assert (type(got), got.dtype, got.shape) == (type(due), due.dtype, due.shape)
        assert np.array_equal(got, due)
    if name not in {"float64", "float64 of a list", "interp"}:  # which have no long double
        expected, error = differences(lambda x: np.asarray(f(x)), (X,), (tangent,), step=2.0**-8)
        assert np.all(np.abs(slope - expected) <= 4 * error + 2**10 * np.finfo(float).eps)
    y_bar = np.cos(1.0 + np.arange(due.size)).reshape(due.shape)
    sent = np.sum(pullback(y_bar)[0] * tangent)
    assert abs(sent - np.sum(y_bar * slope)) <= 2**10 * np.finfo(float).eps * np.sum(np.abs(slope))
    second = rg.hessian(lambda x: np.sum(f(x) ** 2))(X)
    other = rg.jacrev(rg.grad(lambda x: np.sum(f(x) ** 2)))(X)
    assert np.all(np.abs(second - other) <= 2**14 * np.finfo(float).eps * np.max(np.abs(second), initial=1.0))


# --- what stays as it is ---------------------------------------------------------------------------------------------------


def with_many_calls(x: Array) -> Array:
    rows = [np.array([x[0], 1.0]), np.asarray([2.0, x[1]])]
    return np.sum(rows) + np.sum([np.mean([x[0], x[1]]), np.linalg.norm([x[0], x[1]])])


def test_a_differentiated_function_computes_as_before() -> None:
    due = with_many_calls(X)
    lines = list(with_many_calls.__code__.co_lines())
    gradient = rg.grad(with_many_calls)(X)
    assert with_many_calls(X) == due
    assert list(with_many_calls.__code__.co_lines()) == lines
    assert np.allclose(rg.grad(with_many_calls)(X), gradient)
    fresh = types.FunctionType(with_many_calls.__code__, {"np": np})
    assert fresh(X) == due
    with pytest.raises(NameError, match="'np' is not defined"):
        types.FunctionType(with_many_calls.__code__, {})(X)


def test_outside_of_transformations_numpys_own_function_is_called() -> None:
    found: list[Any] = []

    def f(x: Array) -> Array:
        found.append(np.array)
        return np.array([x[0], 1.0])

    rg.jvp(f, (X,), (X,))
    assert found == [np.array]  # loaded without a call
    space: dict[str, Any] = {"np": np}
    exec("def f(x):\n    return np.sum(x) + np.mean([x[0], 1.0])", space)  # noqa: S102
    rg.grad(space["f"])(X)
    with pytest.raises((TypeError, ValueError)) as caught:
        space["f"]("text")
    assert not [frame for frame in caught.traceback if str(frame.path) == numpy_calls.__file__]


def test_a_name_that_is_bound_anew_has_its_new_meaning() -> None:
    space: dict[str, Any] = {"np": np, "array": np.array}
    exec("def f(x):\n    return np.array([x[0], x[1]]), array([x[0]])", space)  # noqa: S102
    rg.jvp(lambda x: space["f"](x)[0], (X,), (X,))
    rg.jvp(space["f"], (X,), (X,))
    space["np"] = types.SimpleNamespace(array=lambda x: "mine")
    space["array"] = lambda x: "mine, too"
    assert space["f"](X) == ("mine", "mine, too")
    assert rg.jvp(lambda x: (space["f"](x)[0] == "mine") * x, (X,), (X,))[0].tolist() == X.tolist()
    space["np"] = np
    space["array"] = np.array
    assert np.array_equal(space["f"](X)[0], X[:2])


def test_a_function_of_numpy_that_somebody_replaces_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Array) -> Any:
        return np.array([x[0], x[1]])

    rg.jvp(f, (X,), (X,))
    monkeypatch.setattr(np, "array", lambda x: "theirs")
    assert f(X) == "theirs"


def test_modules_that_are_not_numpys_are_left_alone() -> None:
    other = types.ModuleType("other")
    other.array = lambda x: x[0] * 2.0  # type: ignore[attr-defined]
    space: dict[str, Any] = {"np": other}
    exec("def f(x):\n    return np.array([x, 1.0])", space)  # noqa: S102
    code = space["f"].__code__
    assert rg.grad(space["f"])(1.5) == 2.0
    assert space["f"].__code__ is code


def test_a_large_plain_list_is_not_searched_twice() -> None:
    numbers = [float(k) for k in range(1000)]
    assert rg.grad(lambda x: x * np.sum(np.array(numbers)))(2.0) == 499500.0


def test_other_threads_see_numpy() -> None:
    seen: list[Any] = []

    def plain(x: Array) -> Array:
        return np.array([x, 1.0])

    def f(x: Array) -> Array:
        worker = threading.Thread(target=lambda: seen.append(plain(0.5)))
        worker.start()
        worker.join()
        return plain(x)

    rg.jvp(f, (2.0,), (1.0,))
    assert type(seen[0]) is np.ndarray
    assert seen[0].tolist() == [0.5, 1.0]


def test_what_code_cannot_be_seen_is_refused_with_what_to_write() -> None:
    kept = {"array": np.array}
    for f in (
        lambda x: kept["array"]([x[0], 1.0]),
        lambda x: list(map(np.array, [[x[0]]])),
        lambda x: copy.copy(np.array)([x[0]]),
    ):
        with pytest.raises(TracingError, match=r"np.stack\(\[x, ...\]\), np.array\(\[x, ...\], like=x\)"):
            rg.grad(lambda x, f=f: np.sum(f(x)))(X)
    assert rg.grad(lambda x: np.sum(kept["array"]([x[0], 1.0], like=x)))(X).tolist() == [1, 0, 0]


def test_a_traced_array_stays_traced_in_both_modes_and_inside() -> None:
    def f(x: Array) -> Array:
        y = np.array([x[0], 1.0])
        assert isinstance(y, Traced)
        inner = rg.grad(lambda z: np.sum(np.array([z[0] * x[1], z[1]]) ** 2))(y)
        return np.sum(np.asarray(inner))

    slope, error = differences(lambda x: 2 * x[0] * x[1] ** 2 + 2, (X,), (X,))
    assert abs(rg.jvp(f, (X,), (X,))[1] - slope) <= 4 * error + 1e-14
    assert abs(rg.grad(f)(X) @ X - slope) <= 4 * error + 1e-14
