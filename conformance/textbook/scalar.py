"""D0: the rules for functions of one number."""

from __future__ import annotations

import numpy as np
import torch

from .record import Array, Item, Problem

X = 1.7

ITEMS = (
    Item(
        "D0-constant-multiple", "Constant multiple", "d(c u)/dx = c du/dx, here c sin x",
        (Problem(lambda c, x: c * np.sin(x), (3.0, X), lambda c, x: c * np.cos(x), lambda c, x: c * torch.sin(x), wrt=(1,)),),
    ),
    Item(
        "D0-power", "Power", "d(x^n)/dx = n x^(n-1), for n = 5, -2 and 1/2",
        (
            Problem(lambda x: x**5, (X,), lambda x: 5 * x**4, lambda x: x**5),
            Problem(lambda x: x**-2.0, (X,), lambda x: -2 * x**-3.0, lambda x: x**-2.0),
            Problem(lambda x: x**0.5, (X,), lambda x: 0.5 * x**-0.5, lambda x: x**0.5),
        ),
    ),
    Item(
        "D0-sum", "Sum", "d(u + v)/dx = du/dx + dv/dx, here x² + sin x",
        (Problem(lambda x: x**2 + np.sin(x), (X,), lambda x: 2 * x + np.cos(x), lambda x: x**2 + torch.sin(x)),),
    ),
    Item(
        "D0-difference", "Difference", "d(u - v)/dx = du/dx - dv/dx, here x³ - exp x",
        (Problem(lambda x: x**3 - np.exp(x), (X,), lambda x: 3 * x**2 - np.exp(x), lambda x: x**3 - torch.exp(x)),),
    ),
    Item(
        "D0-product", "Product", "d(u v)/dx = u dv/dx + v du/dx; x⁴ as x² x² gives 4 x³",
        (
            Problem(
                lambda x: x**2 * x**2, (X,), lambda x: 4 * x**3, lambda x: x**2 * x**2,
                also={"product rule": lambda x: x**2 * (2 * x) + (2 * x) * x**2},
            ),
            Problem(
                lambda x: x**2 * np.sin(x), (X,), lambda x: 2 * x * np.sin(x) + x**2 * np.cos(x), lambda x: x**2 * torch.sin(x),
            ),
        ),
    ),
    Item(
        "D0-quotient", "Quotient", "d(u / v)/dx = (v du/dx - u dv/dx) / v², here sin x / x²",
        (
            Problem(
                lambda x: np.sin(x) / x**2, (X,), lambda x: (x**2 * np.cos(x) - np.sin(x) * (2 * x)) / (x**2) ** 2,
                lambda x: torch.sin(x) / x**2,
            ),
        ),
    ),
    Item(
        "D0-reciprocal", "Reciprocal", "d(1 / u)/dx = -(du/dx) / u², here 1 / (1 + x²)",
        (Problem(lambda x: 1 / (1 + x**2), (X,), lambda x: -(2 * x) / (1 + x**2) ** 2, lambda x: 1 / (1 + x**2)),),
    ),
    Item(
        "D0-chain-composition", "Chain rule, as composition", "(f o g)'(x) = f'(g(x)) g'(x), here sin(x²)",
        (Problem(lambda x: np.sin(x**2), (X,), lambda x: np.cos(x**2) * (2 * x), lambda x: torch.sin(x**2)),),
    ),
    Item(
        "D0-chain-differentials", "Chain rule, as dy/du du/dx", "y = u³, u = 1 + x²: dy/dx = dy/du du/dx = 3 u² 2 x",
        (
            Problem(
                lambda x: (1 + x**2) ** 3, (X,), lambda x: 3 * (1 + x**2) ** 2 * (2 * x), lambda x: (1 + x**2) ** 3,
                also={"dy/du du/dx": lambda x: _dy_du(1 + x**2) * _du_dx(x)},
            ),
        ),
    ),
)  # fmt: skip


def _dy_du(u: Array) -> Array:
    return 3 * u**2


def _du_dx(x: Array) -> Array:
    return 2 * x
