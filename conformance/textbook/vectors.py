"""D1: the vector chain rule in numerator layout, and the order in which its factors are multiplied."""

from __future__ import annotations

import numpy as np
import torch

import refgrad as rg

from .outcome import Outcome
from .record import Array, Formula, Item, Problem, spread

A, B = spread((3, 4), 1), spread((4, 2), 2)


def composed(u: Array, a: Array, b: Array) -> Array:
    """R^2 to R^4 to R^3: (A sin(B u))^2."""
    return (a @ np.sin(b @ u)) ** 2


def composed_closed(u: Array, a: Array, b: Array) -> Array:
    """(m, k) (k, n) = (m, n)."""
    v = np.sin(b @ u)
    upper = 2 * (a @ v)[:, None] * a
    lower = np.cos(b @ u)[:, None] * b
    return upper @ lower


def shapes(outcome: Outcome) -> None:
    """Numerator layout: a number by a vector is a row, a vector by a vector has a row for each element of the result."""
    u = np.array([0.3, -0.7])
    v = np.sin(B @ u)
    due = {"number by vector": (1, 2), "dy/dv": (3, 4), "dv/du": (4, 2), "dy/du = dy/dv dv/du": (3, 2)}
    found = [
        rg.jacrev(lambda u: np.reshape(np.sum(u**2), (1,)))(u),
        rg.jacrev(lambda v: (A @ v) ** 2)(v),
        rg.jacrev(lambda u: np.sin(B @ u))(u),
        rg.jacrev(composed)(u, A, B),
    ]
    for (name, shape), jacobian in zip(due.items(), found, strict=True):
        outcome.state(jacobian.shape == shape, f"{name} has shape {jacobian.shape}, {shape} is due")
    outcome.table(
        "Shapes of Jacobians",
        ("derivative", "shape"),
        [(n, j.shape) for n, j in zip(due, found, strict=True)],
    )


# --- products of three factors -----------------------------------------------------------------------------------------


def squared_residual(w: Array, x: Array, y: Array) -> Array:
    """z = (<x, w> - y)^2."""
    return (np.sum(x * w) - y) ** 2


def least_squares(w: Array, x: Array, y: Array) -> Array:
    """z = ||X w - y||^2."""
    return np.sum((x @ w - y) ** 2)


def factors(square: Formula, multiply: Formula) -> Formula:
    """The Jacobians dz/db, db/da, da/dw of a = X w, b = a - y, z = square(b), each by itself, as matrices."""

    def of(w: Array, x: Array, y: Array) -> tuple[Array, Array, Array]:
        a = multiply(x, w)
        b = a - y
        steps = ((square, b), (lambda a: a - y, a), (lambda w: multiply(x, w), w))
        last, middle, first = (rg.jacfwd(f)(at) for f, at in steps)
        size = int(np.prod(b.shape))
        return (
            np.reshape(last, (1, size)),
            np.reshape(middle, (size, size)),
            np.reshape(first, (size, w.shape[0])),
        )

    return of


def from_the_right(of: Formula) -> Formula:
    """Forward accumulation: dz/db (db/da da/dw)."""

    def product(*args: Array) -> Array:
        last, middle, first = of(*args)
        return (last @ (middle @ first))[0]

    return product


def from_the_left(of: Formula) -> Formula:
    """Reverse accumulation: (dz/db db/da) da/dw."""

    def product(*args: Array) -> Array:
        last, middle, first = of(*args)
        return ((last @ middle) @ first)[0]

    return product


VECTOR = (spread((4,), 3), spread((4,), 4), 0.5)
MATRIX = (spread((3,), 5), spread((5, 3), 6), spread((5,), 7))
OF_VECTOR = factors(lambda b: b**2, lambda x, w: np.sum(x * w))
OF_MATRIX = factors(lambda b: np.sum(b**2), lambda x, w: x @ w)


def residual_closed(w: Array, x: Array, y: Array) -> Array:
    """2 (<x, w> - y) x^T."""
    return 2 * (np.sum(x * w) - y) * x


def least_squares_closed(w: Array, x: Array, y: Array) -> Array:
    """2 (X w - y)^T X."""
    return 2 * (x @ w - y) @ x


def residual_torch(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return ((x * w).sum() - y) ** 2


def least_squares_torch(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return ((x @ w - y) ** 2).sum()


RESIDUAL = Problem(squared_residual, VECTOR, residual_closed, residual_torch, (0,))
SQUARES = Problem(least_squares, MATRIX, least_squares_closed, least_squares_torch, (0,))


def as_product(p: Problem, of: Formula) -> Problem:
    """The same gradient as the product of its three factors, from both ends; reverse accumulation is the formula judged."""
    return Problem(
        p.f, p.args, from_the_left(of), p.torch, p.wrt, also={"from the right": from_the_right(of)}
    )


ITEMS = (
    Item(
        "D1-vector-chain-rule", "Chain rule of vectors, numerator layout",
        "dy/du = dy/dv dv/du: (m, k) (k, n) = (m, n), here y = (A v)², v = sin(B u)",
        (
            Problem(
                composed, (np.array([0.3, -0.7]), A, B), composed_closed, lambda u, a, b: (a @ torch.sin(b @ u)) ** 2, (0,)
            ),
        ),
        shapes,
    ),
    Item("D1-squared-residual", "Squared residual of one sample", "z = (<x, w> - y)²: dz/dw = 2 (<x, w> - y) xᵀ", (RESIDUAL,)),
    Item(
        "D1-squared-residual-factors", "The same as a product of three Jacobians, from right and left",
        "dz/dw = dz/db db/da da/dw with a = <x, w>, b = a - y, z = b²", (as_product(RESIDUAL, OF_VECTOR),),
    ),
    Item("D1-least-squares", "Least squares", "z = ||X w - y||²: dz/dw = 2 (X w - y)ᵀ X", (SQUARES,)),
    Item(
        "D1-least-squares-factors", "Least squares as a product of three Jacobians, from right and left",
        "dz/dw = dz/db db/da da/dw with a = X w, b = a - y, z = bᵀ b", (as_product(SQUARES, OF_MATRIX),),
    ),
)  # fmt: skip
