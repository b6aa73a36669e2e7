"""What np.where, an index or a mask does not select has no part in a gradient, also where its slope is infinite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.numeric import differences

Array = Any
X = np.array([-1.0, 4.0, 0.5, 2.0])
V = np.array([0.75, -1.25, 0.5, 2.0])
UNIT = np.finfo(float).eps / 2
FEW = 16 * UNIT  # a root, its slopes and products of them, of eight roundings each way at most
MANY = 256 * UNIT  # sums of a dozen products of such numbers, in another order each way


def forces(x: Array) -> Array:
    """1 / r^3 between all pairs, the diagonal set to zero."""
    d = x[:, None] - x[None, :]
    return np.where(np.eye(len(x), dtype=bool), 0.0, np.abs(d) ** -3.0) * d


def written_diagonal(x: Array) -> Array:
    r = 1 / (x[:, None] - x[None, :])
    r[np.diag_indices(len(x))] = 0.0
    return r


def overwritten(x: Array) -> Array:
    y = np.sqrt(x)
    y[x < 0] = 0.0
    return y


def bessel(x: Array) -> Array:
    z = x - X[1]
    return np.where(z == 0, 1.0, np.sin(z) / z)


PROGRAMS: dict[str, Callable[[Array], Any]] = {
    "pairs with a masked diagonal": forces,
    "pairs with a diagonal that is written": written_diagonal,
    "overwritten elements": overwritten,
    "elements of a mask": lambda x: np.sqrt(x)[x > 0],
    "elements by number": lambda x: np.take(np.log(x - X[0]), [1, 2, 3]),
    "a slice": lambda x: np.log(x - X[0])[1:] * x[1:],
    "a removable singularity": bessel,
    "a chain": lambda x: np.where(x > 0, np.exp(np.sqrt(np.sqrt(x) * 2.0)) / x, x),
    "broadcast": lambda x: np.where(x[:, None] > 0, np.sqrt(x)[:, None] * np.arange(1.0, 3.0), 0.0),
    "a number and an array": lambda x: np.where(X > 0, np.sqrt(X * x[1]), 0.0),
    "select": lambda x: np.select([x > 0, x < -3], [np.log(x), x], 0.5 * x),
    "largest": lambda x: np.nanmax(np.sqrt(x)) + np.maximum(np.log(x - X[0]), 0.25),
    "clipped": lambda x: np.clip(np.log(x - X[0]), -2.0, 9.0),
    "nansum": lambda x: np.nansum(np.sqrt(x)),
    "nan_to_num": lambda x: np.nan_to_num(np.sqrt(x)),
    "where of a sum": lambda x: np.sum(np.sqrt(x), where=x > 0) + np.mean(np.sqrt(x), where=x > 0),
    "joined": lambda x: np.concatenate([np.sqrt(x), x])[[1, 2, 3, 4, 5]],
    "in columns": lambda x: np.stack([np.sqrt(x), x], -1).T[:, ::-1][:, :3],
    "sorted": lambda x: np.sort(np.sqrt(x))[:3],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_is_that_of_what_is_selected(name: str) -> None:
    f = PROGRAMS[name]
    due = f(X.copy())
    y, pullback = rg.vjp(f, X)
    assert np.array_equal(y, due)
    w = np.cos(1.0 + np.arange(due.size)).reshape(due.shape)
    (x_bar,) = pullback(w)
    assert np.all(np.isfinite(x_bar))
    # Elements of X at a singularity do not move: differences of the plain program would meet it.
    v = np.where([name in AT_A_SINGULARITY.get(k, ()) for k in range(4)], 0.0, V)
    slope, error = differences(lambda x: np.sum(w * f(x)), (X,), (v,), step=2.0**-10)
    assert abs(np.sum(x_bar * v) - slope) <= 4 * error + 2**14 * np.finfo(float).eps
    assert np.allclose(rg.jacrev(f)(X), rg.jacfwd(f)(X), rtol=MANY, atol=MANY)


AT_A_SINGULARITY = {
    0: ("elements by number", "a slice", "largest", "clipped"),
    1: ("a removable singularity",),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_second_derivatives() -> None:
    def f(x: Array) -> Array:
        return np.sum(np.where(x > 0, np.sqrt(x) * x, x * x))

    due = np.diag([2.0, 0.75 / 2.0, 0.75 / np.sqrt(0.5), 0.75 / np.sqrt(2.0)])
    assert np.allclose(rg.hessian(f)(X), due, rtol=FEW, atol=0)
    assert np.allclose(rg.jacrev(rg.grad(f))(X), due, rtol=FEW, atol=0)
    assert np.allclose(rg.jacfwd(rg.grad(f))(X), due, rtol=FEW, atol=0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_cotangent_that_is_zero_as_a_number_is_no_reason() -> None:
    assert np.isnan(rg.grad(lambda x: np.sqrt(x) ** 2)(0.0))  # the derivative is 1
    assert np.isnan(rg.grad(lambda x: np.where(x >= 0, np.sqrt(x) ** 2, 0.0))(0.0))
    assert np.isnan(rg.grad(lambda x: 0.0 * np.log(x))(0.0))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_a_product_of_matrices_reaches_is_not_known() -> None:
    x = np.array([[0.0, 1.0]])
    assert np.isnan(rg.grad(lambda x: (np.sqrt(x) @ np.array([[0.0], [1.0]])).sum())(x)[0, 0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_rule_of_the_user_keeps_its_nan() -> None:
    @rg.custom_vjp
    def root(x: Array) -> Array:
        return np.sqrt(x)

    root.defvjp(lambda x: (np.sqrt(x), x), lambda x, y_bar: (y_bar * 0.5 / np.sqrt(x),))
    assert np.isnan(rg.grad(lambda x: np.sum(np.where(x > 0, root(x), 0.0)))(X)[0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_number_keeps_its_class() -> None:
    found = rg.grad(lambda x: np.where(x > 0, np.log(x), 0.0))(0.0)
    assert type(found) is type(rg.grad(np.sin)(0.0))
    assert found == 0.0
