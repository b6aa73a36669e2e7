"""D2: first steps with PyTorch autograd, and a linear model fitted by gradient descent in three ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import Ball, parts

from .outcome import CLOSED, REVERSE, TORCH, Outcome
from .record import Array, Item, Problem, lifted, spread

AT = (1.0, 2.0)
SQUARE = np.array([[2.0, 0.5, -0.3], [0.1, 1.5, 0.4], [0.7, -0.2, 1.2]])  # its determinant is positive

N, STEPS, RATE = 40, 500, 0.01
DESIGN = np.stack([np.ones(N), np.linspace(0.0, 1.0, N)], axis=1)
RESPONSE = DESIGN @ np.array([1.0, 3.0]) + 0.1 * spread((N,), 1)


def log_det(x: Array) -> Array:
    """log det X."""
    return np.log(np.linalg.det(x))


def positive(outcome: Outcome) -> None:
    """The formula is one for det X > 0."""
    outcome.state(bool(np.linalg.det(SQUARE) > 0), "det X is not positive")


def mean_square(beta: Array, x: Array, y: Array) -> Array:
    """The mean of (X beta - Y)^2."""
    return np.mean((x @ beta - y) ** 2)


def by_hand(beta: Array, x: Array, y: Array) -> Array:
    """2/n X^T (X beta - Y)."""
    return 2 / N * (np.transpose(x) @ (x @ beta - y))


def descent(gradient: Any, beta: Any, x: Any, y: Any) -> tuple[list[Any], Any]:
    """The loss before each step, and the last coefficients."""
    losses = []
    for _ in range(STEPS):
        losses.append(mean_square(beta, x, y))
        beta = beta - RATE * gradient(beta, x, y)
    return losses, beta


def with_autograd() -> tuple[list[float], Array]:
    """torch, the coefficients a tensor whose gradient is cleared after each step."""
    x, y = torch.from_numpy(DESIGN), torch.from_numpy(RESPONSE)
    beta, losses = torch.zeros(2, dtype=torch.float64, requires_grad=True), []
    for _ in range(STEPS):
        loss = ((x @ beta - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            beta -= RATE * beta.grad
            beta.grad.zero_()
    return losses, beta.detach().numpy()


class Linear(torch.nn.Module):
    """Y = X beta."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.beta


def with_module() -> tuple[list[float], Array]:
    """torch, a module, its loss function and the optimizer SGD."""
    x, y = torch.from_numpy(DESIGN), torch.from_numpy(RESPONSE)
    model, criterion, losses = Linear(), torch.nn.MSELoss(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses, model.beta.detach().numpy()


def curves(outcome: Outcome) -> None:
    """Each way goes its own 500 steps. Every loss of every curve lies within what rounding can do to the whole run up to there."""
    start = (np.zeros(2), DESIGN, RESPONSE)
    due, last = descent(rg.grad(mean_square), *lifted(start, "float64"))
    curve = Ball(np.stack([b.value for b in due]), np.stack([parts(b)[1] for b in due]), FORMATS["float64"])
    runs = {
        "reference": (REVERSE, *descent(rg.grad(mean_square), *start)),
        "by hand": (CLOSED, *descent(by_hand, *start)),
        "autograd": (TORCH, *with_autograd()),
        "nn.Module and SGD": (TORCH, *with_module()),
    }
    for name, (mode, losses, beta) in runs.items():
        outcome.same(mode, f"{name}: losses by step", np.array(losses), curve)
        outcome.same(mode, f"{name}: coefficients after {STEPS} steps", beta, last)
    shown = (0, 1, 10, 100, STEPS - 1)
    rows = [
        (k, *(f"{float(losses[k]):.15g}" for _, losses, _ in runs.values()), f"{float(due[k].radius):.1e}")
        for k in shown
    ]
    outcome.table("Loss by step", ("step", *runs, "rounding at most"), rows)


LINEAR = Problem(
    mean_square,
    (np.array([0.25, -0.5]), DESIGN, RESPONSE),
    by_hand,
    lambda beta, x, y: ((x @ beta - y) ** 2).mean(),
    (0,),
)

ITEMS = (
    Item(
        "D2-sum-of-terms", "A sum of terms by autograd",
        "f = x + log x + sin(x y) at (1, 2): df/dx = 1 + 1/x + y cos(x y), df/dy = x cos(x y)",
        (
            Problem(
                lambda x, y: x + np.log(x) + np.sin(x * y), AT, lambda x, y: (1 + 1 / x + y * np.cos(x * y), x * np.cos(x * y)),
                lambda x, y: x + torch.log(x) + torch.sin(x * y),
            ),
        ),
    ),
    Item(
        "D2-product-in-sum", "A product among the terms", "f = x log x + sin(x y): df/dx = log x + 1 + y cos(x y), df/dy = x cos(x y)",
        (
            Problem(
                lambda x, y: x * np.log(x) + np.sin(x * y), AT, lambda x, y: (np.log(x) + 1 + y * np.cos(x * y), x * np.cos(x * y)),
                lambda x, y: x * torch.log(x) + torch.sin(x * y),
            ),
        ),
    ),
    Item(
        "D2-log-det", "Logarithm of a determinant", "f(X) = log det X, det X > 0: df/dX = X⁻ᵀ",
        (
            Problem(log_det, (SQUARE,), lambda x: np.transpose(np.linalg.inv(x)), lambda x: torch.log(torch.linalg.det(x))),
            Problem(log_det, (SQUARE,), lambda x: np.transpose(np.linalg.inv(x)), torch.logdet),
        ),
        positive,
    ),
    Item(
        "D2-linear-model", "Linear model, 500 steps: by hand, autograd, nn.Module with SGD",
        "Y = X β + ε, L = mean (X β - Y)²: dL/dβ = 2/n Xᵀ (X β - Y)", (LINEAR,), curves,
    ),
)  # fmt: skip
