"""vmap: a loop over an axis, whose results are stacked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError

ROWS = np.arange(1.0, 7.0).reshape(3, 2)
W = np.array([0.5, 2.0])


def test_results_are_those_of_a_loop() -> None:
    def f(row: Any, w: Any) -> Any:
        return {"sum": np.sum(row * w), "row": row[::-1], "n": 1, "name": "f"}

    y = rg.vmap(f, in_axes=(0, None))(ROWS, W)
    assert np.array_equal(y["sum"], ROWS @ W)
    assert np.array_equal(y["row"], ROWS[:, ::-1])
    assert y["n"].tolist() == [1, 1, 1]
    assert y["name"] == "f"


def test_axes_of_arguments_and_results() -> None:
    assert np.array_equal(rg.vmap(lambda c: c * 2, in_axes=1, out_axes=1)(ROWS), ROWS * 2)
    assert np.array_equal(rg.vmap(lambda c: c * 2, in_axes=-1)(ROWS), ROWS.T * 2)
    assert np.array_equal(rg.vmap(lambda a, b: a @ b, in_axes=(0, 1))(ROWS, ROWS.T), np.sum(ROWS**2, axis=1))
    tree = {"a": ROWS, "b": [ROWS[:, 0]], "name": "x"}
    assert np.array_equal(rg.vmap(lambda t: t["a"] * t["b"][0])(tree), ROWS * ROWS[:, :1])
    assert np.array_equal(rg.vmap(lambda v, k=1: v * k)(W, k=3), 3 * W)
    assert type(rg.vmap(lambda v: 1.0)(W)) is np.ndarray


def test_branches_are_those_of_each_entry() -> None:
    assert rg.vmap(lambda v: v * 2 if v > 1 else -v)(W).tolist() == [-0.5, 4.0]


def test_it_is_differentiated_and_differentiates() -> None:
    def loss(w: Any, row: Any) -> Any:
        return np.sum((w * row) ** 2)

    assert np.array_equal(rg.vmap(rg.grad(loss), (None, 0))(W, ROWS), 2 * W * ROWS**2)
    total = rg.grad(lambda w: np.sum(rg.vmap(loss, (None, 0))(w, ROWS)))(W)
    assert np.allclose(total, np.sum(2 * W * ROWS**2, axis=0), rtol=1e-15)
    hessians = rg.vmap(rg.hessian(loss), (None, 0))(W, ROWS)
    assert np.array_equal(hessians, [np.diag(2 * row**2) for row in ROWS])
    assert np.array_equal(rg.jacfwd(rg.vmap(np.sin))(W), np.diag(np.cos(W)))
    nested = rg.vmap(rg.vmap(lambda v: v * v))(ROWS)
    assert np.array_equal(nested, ROWS**2)


def test_misuse_is_named() -> None:
    for call, message in (
        (lambda: rg.vmap(np.sin)(1.0), r"argument 0 has shape \(\) and no axis 0. Give in_axes=None"),
        (lambda: rg.vmap(np.sin, 2)(ROWS), r"argument 0 has shape \(3, 2\) and no axis 2"),
        (lambda: rg.vmap(np.add)(ROWS, W), "must have one length, got argument 0: 3, argument 1: 2"),
        (lambda: rg.vmap(np.add, (0,))(ROWS, W), "in_axes has 1 entries, f was called with 2"),
        (lambda: rg.vmap(np.sin, None)(W), "no argument has one"),
        (lambda: rg.vmap(np.sin)(W[:0]), "argument 0 has length 0"),
        (
            lambda: rg.vmap(lambda v: np.ones(int(v)))(np.array([1.0, 2.0])),
            "arrays of numbers and of one shape, got",
        ),
        (lambda: rg.vmap(lambda v: v if v > 1 else [v])(W), "in one structure, got"),
        (lambda: rg.vmap(lambda v: None)(W), "got None and None"),
        (lambda: rg.vmap(lambda v: "text")(W), "arrays of numbers and of one shape, got an array of shape"),
        (lambda: rg.vmap(W), "vmap: f is"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
