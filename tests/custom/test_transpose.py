"""Transposition: which ops count as linear, and that nothing else is transposed."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.custom.transpose import linear, transpose
from refgrad.errors import ArgumentError
from refgrad.op import REGISTRY

Array = Any
X = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]])
M = np.array([[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]])


def affine(name: str, k: int, seed: int) -> bool:
    """Whether an op is affine in operand k at points of its domain, to rounding: f(x + v) - f(x) does not depend on x."""
    op, rng = REGISTRY[name], np.random.default_rng(seed)
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    x = np.asarray(operands[k])
    if x.dtype.kind != "f":
        return True

    def f(z: Array) -> Array:
        return np.asarray(op(*[z if j == k else v for j, v in enumerate(operands)], **params), float)

    u, v = rng.standard_normal((2, *x.shape))
    with np.errstate(all="ignore"):
        try:
            first, second = f(x + v) - f(x), f(x + u + v) - f(x + u)
        except np.linalg.LinAlgError:
            # No such matrix: the domain of an affine function is no smaller than its space.
            return False
    return bool(np.allclose(first, second, rtol=1e-9, atol=1e-9, equal_nan=True))


OPERANDS = [
    (name, k, len(op.signature.operands))
    for name, op in sorted(REGISTRY.items())
    if op.signature.differentiable
    for k in range(len(op.signature.operands))
]
LINEAR_ALL_THE_SAME = {  # and refused: conditions, steps, operands of no influence, or whose derivative is read off the result
    ("where", 0), ("heaviside", 1), ("as_quotients", 1), ("as_quotients", 2), ("divided_out", 1), ("factor_by_factor", 1),
}  # fmt: skip


@pytest.mark.parametrize(("name", "k", "count"), OPERANDS, ids=[f"{n}-{k}" for n, k, _ in OPERANDS])
def test_an_op_counts_as_linear_where_it_is(name: str, k: int, count: int) -> None:
    counts = linear(REGISTRY[name], tuple([j == k for j in range(count)]))
    assert counts == all(affine(name, k, seed) for seed in range(12)) or (name, k) in LINEAR_ALL_THE_SAME


def test_a_product_of_two_arguments_is_not_linear() -> None:
    assert linear(REGISTRY["multiply"], (True, False))
    assert not linear(REGISTRY["multiply"], (True, True))
    assert not linear(REGISTRY["einsum"], (True, True))
    assert linear(REGISTRY["fan_in"], (True, True))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "product": lambda v: v * X,
    "matrix product": lambda v: M.T @ v,
    "einsum": lambda v: np.einsum("ij,kj->ik", v, M),
    "several uses": lambda v: (v[0] - 2 * v[1]) * v.shape[0] + np.cumsum(v, axis=0),
    "moved and padded": lambda v: np.pad(np.roll(v, 1, axis=1).T, 1)[::2],
    "masked": lambda v: np.where(X > 0, v, 0.0) / M,
    "sums": lambda v: v - np.mean(v, axis=1, keepdims=True),
    "solved": lambda v: np.linalg.solve(M[:, :2], v),
    "nothing used": np.zeros_like,
    "zero shape": lambda v: np.sum(v, axis=1) + np.zeros(np.shape(v)[0]),
    "the tangent of a function": lambda v: rg.jvp(lambda x: np.sin(x) * x, (X,), (v,))[1],
    "the pullback of a function": lambda v: rg.vjp(lambda x: np.sort(np.tanh(x) * M), X)[1](v)[0],
    "in place": lambda v: _doubled(v * X),
}


def _doubled(v: Array) -> Array:
    v *= 2
    return v


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_transpose_has_the_same_inner_product(name: str) -> None:
    f, rng = FUNCTIONS[name], np.random.default_rng(0)
    x = rng.standard_normal(X.shape)
    y = f(x)
    y_bar = rng.standard_normal(y.shape)
    (x_bar,) = transpose(lambda v: [f(v[0])], [np.zeros(X.shape)], "f")([y_bar])
    assert x_bar.shape == x.shape
    assert np.isclose(np.sum(y_bar * y), np.sum(x_bar * x), rtol=1e-12, atol=1e-14)


def test_several_arguments_and_results() -> None:
    def f(v: list[Array]) -> list[Array]:
        return [np.sum(v[0], axis=1) + v[1], 3 * v[1], np.zeros(2)]

    back = transpose(f, [np.zeros((2, 3)), np.zeros(2)], "f")
    first, second = back([np.array([1.0, 2.0]), np.array([10.0, 20.0]), np.ones(2)])
    assert np.array_equal(first, [[1, 1, 1], [2, 2, 2]])
    assert np.array_equal(second, [31, 62])


NOT_LINEAR: dict[str, tuple[Callable[[Array], Array], str]] = {
    "clip": (lambda v: np.clip(v, -1, 1), "clip"),
    "sign": (lambda v: np.sign(v) * X, "sign"),
    "square": (lambda v: v * v, "multiply"),
    "root of a square": (lambda v: np.sqrt(v**2), "power"),
    "comparison": (lambda v: np.where(v > 0, v, 0.0), "greater"),
    "remainder": (lambda v: np.remainder(v, 1.0), "remainder"),
    "einsum of two": (lambda v: np.einsum("ij,ij->i", v, v), "einsum"),
    "a constant": (lambda v: v + 1, "gives 1.0"),
    "another constant": (lambda v: X, "gives 0.5"),
    "branch": (lambda v: v if np.any(v) else 2 * v, "look at the values"),
    "branch on the truth": (lambda v: v if v[0, 0] else 2 * v, "look at the values"),
    "largest": (lambda v: v[np.unravel_index(np.argmax(v), X.shape)], "look at the values"),
    "method": (lambda v: v if v.any() else 2 * v, "look at the values"),
    "absolute value": (np.abs, "absolute"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_what_is_not_linear_is_refused(name: str) -> None:
    f, word = NOT_LINEAR[name]
    with pytest.raises(ArgumentError, match=f"(?s)the rule of g is not linear.*{word}"):
        transpose(lambda v: [f(v[0])], [np.zeros(X.shape)], "the rule of g")


METHODS: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda y: y.reshape(-1).reshape(2, 3), "copy": lambda y: y.copy(), "deepcopy": lambda y: copy.deepcopy([y])[0],
    "flatten": lambda y: y.flatten().reshape(2, 3), "ravel": lambda y: y.ravel("F").reshape(3, 2).T,
    "squeeze": lambda y: y[None].squeeze(0),
    "transposed copy": lambda y: y.T.copy().T, "a list": lambda y: y * [1, 2, 3], "a list first": lambda y: [1, 2, 3] * y,
    "rows": lambda y: np.stack([2 * row for row in y]), "strides": lambda y: y * y.strides[0], "view": lambda y: y.view() * 2,
    "type": lambda y: 2 * y if type(y) is np.ndarray and isinstance(y, np.ndarray) else 0 * y,
    "in place": lambda y: operator.imul(y.copy(), 2.0),
    "written": lambda y: (z := y.copy(), operator.setitem(z, 0, 0.0))[0], "fill": lambda y: (z := y.copy(), z[0].fill(0.0))[0],
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_arrays_are_transposed(name: str) -> None:
    # Forward mode applies the transpose of the rule; reverse mode the rule.
    x, v = np.arange(1.0, 7.0).reshape(2, 3), np.cos(np.arange(6.0)).reshape(2, 3)
    f = rg.custom_vjp(lambda x: 2.0 * x)
    f.defvjp(lambda x: (2.0 * x, None), lambda _, y_bar: (METHODS[name](y_bar),))
    (x_bar,) = rg.vjp(f, x)[1](v)
    assert np.allclose(np.sum(rg.jvp(f, (x,), (x,))[1] * v), np.sum(x * x_bar))


def test_methods_of_arrays_are_transposed_in_nested_transformations() -> None:
    x, v = np.arange(1.0, 7.0).reshape(2, 3), np.cos(np.arange(6.0)).reshape(2, 3)
    f = rg.custom_vjp(lambda x: x**2)
    f.defvjp(
        lambda x: (x**2, x), lambda x, y_bar: ((2 * x * y_bar).copy().reshape(-1).reshape(2, 3) * [1, 1, 1],)
    )
    assert np.allclose(rg.jvp(lambda x: rg.jvp(f, (x,), (v,))[1], (x,), (v,))[1], 2 * v * v)
