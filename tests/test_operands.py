"""Arguments, tangents, cotangents and results of a kind that refgrad does not compute with are refused by name."""

# ruff: noqa: PLW0108 - each line of DOORS shows a call

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import DtypeError
from refgrad.operands import admitted, overrides, usual

MASKED, MATRIX = (
    np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    np.array([[1.0, 2.0, 3.0]]).view(np.matrix),
)
X = np.array([1.0, 2.0, 3.0])
DOORS: dict[str, Callable[[Any], Any]] = {
    "argument": lambda a: rg.grad(np.sum)(a), "argument, forward": lambda a: rg.jvp(np.sum, (a,), (X,)),
    "value_and_grad": lambda a: rg.value_and_grad(lambda x: np.mean(x * 2))(a), "hessian": lambda a: rg.hessian(np.sum)(a),
    "tangent": lambda a: rg.jvp(np.sin, (X,), (a,)), "cotangent": lambda a: rg.vjp(np.sin, X)[1](a),
    "result": lambda a: rg.vjp(lambda x: a, X), "result, forward": lambda a: rg.jvp(lambda x: (x, a), (X,), (X,)),
    "constant": lambda a: rg.grad(lambda x: np.mean(x * a))(X), "keyword": lambda a: rg.grad(lambda x: np.average(x, weights=a))(X),
    "in a list": lambda a: rg.grad(lambda xs: np.sum(xs[0]))([a]),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("value", "message"),
    [(MASKED, "is a masked array, and no rule knows its mask"), (MATRIX, r"is an np\.matrix")],
)
def test_masked_arrays_and_matrices_are_refused_at_every_door(door: str, value: Any, message: str) -> None:
    if door == "keyword" and value is MATRIX:  # NumPy's error: it has another shape
        with pytest.raises(TypeError, match="Axis must be specified"):
            DOORS[door](value)
        return
    with pytest.raises(DtypeError, match=message):
        DOORS[door](value)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [X.astype(object), np.array(["a", "b", "c"]), X.astype("M8[s]")])
def test_other_dtypes_are_refused_at_every_door(door: str, value: Any) -> None:
    if door in {"constant", "keyword"} and value.dtype.kind in "UM":  # NumPy does not compute with them
        with pytest.raises(TypeError):
            DOORS[door](value)
        return
    with pytest.raises(DtypeError, match=f"dtype {value.dtype}".replace("[", r"\[").replace("<", "<?")):
        DOORS[door](value)


def test_what_is_usual() -> None:
    assert all(
        map(
            usual,
            (
                1,
                1.0,
                True,
                np.float32(1),
                np.ones(2),
                np.ones(2, int),
                np.longdouble(1),
                np.ones(2, bool),
                1j,
                X * 1j,
                np.complex64(1),
            ),
        )
    )
    assert not any(map(usual, (None, "a", [1.0], MASKED, MATRIX, X.astype(object))))
    assert not any(map(overrides, (X, 1.0, np.float64(1), MATRIX, None)))
    assert type(admitted(np.ones(2).view(type("Sub", (np.ndarray,), {})), "x")) is np.ndarray
    assert admitted([1, 2], "x").dtype == int
