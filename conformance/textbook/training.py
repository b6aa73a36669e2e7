"""D3: the training of a two-layer network for 2000 steps, by hand, by reverse mode and by torch, side by side.

Every step starts all three from the same weights, so a bound covers one step and does not grow over the run. The run is in float64,
and so are the Balls that judge it: their centre is refgrad's own reverse mode in float64, and the factor on every bound
(``reference_slack``) allows for its rounding. Long double would cost a hundred times as much.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import refgrad as rg
from refgrad.bounds import FORMATS
from refgrad.rounding import exact

from .outcome import CLOSED, REVERSE, TORCH, Outcome
from .record import Item, Problem, spread

Array = Any
N, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10
STEPS, RATE = 2000, 1e-4
FORMAT = replace(FORMATS["float64"], wide=np.dtype(np.float64))
SHOWN = (0, 1, 10, 100, 500, 1000, STEPS - 1)


def squared_error(w1: Array, w2: Array, x: Array, y: Array) -> Array:
    """The sum of (sigmoid(x w1) w2 - y)^2."""
    return np.sum((rg.nn.sigmoid(x @ w1) @ w2 - y) ** 2)


def by_hand(w1: Array, w2: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """dL/dw2 = h^T dy, dL/dw1 = x^T (dy w2^T * h * (1 - h)) with dy = 2 (h w2 - y)."""
    h = rg.nn.sigmoid(x @ w1)
    dy = 2 * (h @ w2 - y)
    dh = dy @ np.transpose(w2)
    return np.transpose(x) @ (dh * h * (1 - h)), np.transpose(h) @ dy


def in_torch(w1, w2, x, y):
    return ((torch.sigmoid(x @ w1) @ w2 - y) ** 2).sum()


def train(outcome: Outcome, steps: int = STEPS) -> None:
    """The whole run. Each step: three losses and three gradients from the same weights, then one update by refgrad's."""
    x, y, w1, w2 = (
        spread(s, k) for k, s in enumerate(((N, INPUTS), (N, OUTPUTS), (INPUTS, HIDDEN), (HIDDEN, OUTPUTS)))
    )
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    fixed = exact(x, FORMAT), exact(y, FORMAT)
    step, rows = rg.value_and_grad(squared_error, (0, 1)), []
    for k in range(steps):
        loss, (d1, d2) = step(exact(w1, FORMAT), exact(w2, FORMAT), *fixed)
        hand = by_hand(w1, w2, x, y)
        hand_loss = squared_error(w1, w2, x, y) if k in SHOWN else None
        leaves = [torch.from_numpy(w).requires_grad_() for w in (w1, w2)]
        theirs = in_torch(*leaves, tx, ty)
        found = [g.numpy() for g in torch.autograd.grad(theirs, leaves)]
        outcome.brief(TORCH, f"step {k}: torch's loss", theirs.item(), loss, FORMAT)
        for name, ball, got, other in zip(("w1", "w2"), (d1, d2), hand, found, strict=True):
            outcome.brief(CLOSED, f"step {k}: gradient of {name} by hand", got, ball, FORMAT)
            outcome.brief(TORCH, f"step {k}: torch's gradient of {name}", other, ball, FORMAT)
        if k in SHOWN:  # refgrad again, without Balls, as anybody would call it
            plain, gradients = step(w1, w2, x, y)
            outcome.brief(REVERSE, f"step {k}: loss", plain, loss, FORMAT)
            for name, ball, got in zip(("w1", "w2"), (d1, d2), gradients, strict=True):
                outcome.brief(REVERSE, f"step {k}: gradient of {name}", got, ball, FORMAT)
            shown = (hand_loss, plain, theirs.item(), loss.radius)
            rows.append((k, *(f"{float(v):.12g}" for v in shown[:3]), f"{float(shown[3]):.1e}"))
        w1, w2 = w1 - RATE * d1.value, w2 - RATE * d2.value
    outcome.table("Loss by step", ("step", "by hand", "refgrad", "torch", "rounding at most"), rows)
    first, last = float(rows[0][1]), float(rows[-1][1])
    outcome.state(last < first, f"the loss went from {first} to {last}: nothing was learned")


SMALL = (spread((5, 4), 2), spread((4, 2), 3), spread((3, 5), 0), spread((3, 2), 1))

ITEMS = (
    Item(
        "D3-training", "Training a two-layer network for 2000 steps: by hand, by reverse mode, by torch",
        "N = 64, D_in = 1000, H = 100, D_out = 10: h = sigmoid(x w1), L = sum (h w2 - y)², w := w - 1e-4 dL/dw",
        (Problem(squared_error, SMALL, by_hand, in_torch, (0, 1)),), train, ("float64",),
    ),
)  # fmt: skip
