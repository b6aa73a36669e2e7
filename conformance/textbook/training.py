"""D3: the training of a two-layer network, by hand, by reverse mode and by torch, side by side.

The lecture trains for 2000 steps. A full run (``Outcome.full``) takes and judges all of them. An ordinary run takes the first 200, in which
the loss falls most, and judges the steps of ``judged_steps``. Both pass through the same weights, and print the same losses. A judged step
starts all three ways from the same weights, so a bound covers one step and does not grow over the run. The formula by hand updates the
weights after every step.

The run is in float64, and so are the Balls that judge it. Their centre is refgrad's own reverse mode in float64, and the factor on
every bound (``reference_slack``) allows for its rounding. Long double takes a hundred times as long.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import exact

from .large import Limits
from .outcome import CLOSED, REVERSE, TORCH, Outcome
from .record import Array, Item, Problem, spread

N, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10
STEPS, ORDINARY, RATE = 2000, 200, 1e-4
EARLY, SPACING = 20, 50
FORMAT = replace(FORMATS["float64"], wide=np.dtype(np.float64))
SHOWN = (0, 1, 10, 100, 500, 1000, STEPS - 1)


def squared_error(w1: Array, w2: Array, x: Array, y: Array) -> Array:
    """The sum of (sigmoid(x w1) w2 - y)^2."""
    return np.sum((rg.nn.sigmoid(x @ w1) @ w2 - y) ** 2)


def hand_step(w1: Array, w2: Array, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """The loss; dL/dw1 = x^T (dy w2^T * h * (1 - h)) and dL/dw2 = h^T dy with dy = 2 (h w2 - y)."""
    h = rg.nn.sigmoid(x @ w1)
    residual = h @ w2 - y
    dy = 2 * residual
    dh = dy @ np.transpose(w2)
    return np.sum(residual**2), np.transpose(x) @ (dh * h * (1 - h)), np.transpose(h) @ dy


def by_hand(w1: Array, w2: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """The gradients alone."""
    return hand_step(w1, w2, x, y)[1:]


def in_torch(w1: torch.Tensor, w2: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return ((torch.sigmoid(x @ w1) @ w2 - y) ** 2).sum()


NAMES = ("loss", "gradient of w1", "gradient of w2")


def _limits(ball: Any) -> Limits:
    return Limits(ball, FORMAT)


def judged_steps(steps: int, full: bool) -> frozenset[int]:
    """The steps that are judged: all of a full run; else the first EARLY, in which the loss falls fastest, then every SPACING-th.

    The steps that the table shows and the last one are among them.
    """
    if full:
        return frozenset(range(steps))
    return frozenset({*range(min(EARLY, steps)), *range(0, steps, SPACING), *SHOWN, steps - 1}) & {
        *range(steps)
    }


def train(outcome: Outcome, steps: int | None = None) -> None:
    """The run, of STEPS steps or ORDINARY ones unless ``steps`` are given.

    A judged step has three losses and three gradients from the same weights. The formula by hand updates them.
    """
    steps = steps or (STEPS if outcome.full else ORDINARY)
    x, y, w1, w2 = (
        spread(s, k) for k, s in enumerate(((N, INPUTS), (N, OUTPUTS), (INPUTS, HIDDEN), (HIDDEN, OUTPUTS)))
    )
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    fixed = exact(x, FORMAT), exact(y, FORMAT)
    step, rows = rg.value_and_grad(squared_error, (0, 1)), []
    judged = judged_steps(steps, outcome.full)
    for k in range(steps):
        by_formula = hand_step(w1, w2, x, y)
        if k in judged:
            loss, (d1, d2) = step(exact(w1, FORMAT), exact(w2, FORMAT), *fixed)
            leaves = [torch.from_numpy(w).requires_grad_() for w in (w1, w2)]
            theirs = in_torch(leaves[0], leaves[1], tx, ty)
            found = torch.autograd.grad(theirs, leaves)
            ways = {CLOSED: by_formula, TORCH: (theirs.item(), *(g.numpy() for g in found))}
            if k in SHOWN or k == steps - 1:  # refgrad again, without Balls, as anybody would call it
                value, gradients = step(w1, w2, x, y)
                ways[REVERSE] = (value, *gradients)
                numbers = (ways[mode][0] for mode in (CLOSED, REVERSE, TORCH))
                rows.append((k, *(f"{float(v):.12g}" for v in numbers), f"{float(loss.radius):.1e}"))
            for name, limits, *got in zip(NAMES, map(_limits, (loss, d1, d2)), *ways.values(), strict=True):
                for mode, array in zip(ways, got, strict=True):
                    outcome.brief(mode, f"{mode}: step {k}, {name}", array, limits)
        w1, w2 = w1 - RATE * by_formula[1], w2 - RATE * by_formula[2]
    title = f"Loss by step; {len(judged)} of {steps} steps judged"
    title += "" if steps == STEPS else f", the first of the lecture's {STEPS}"
    outcome.table(title, ("step", "by hand", "refgrad", "torch", "rounding at most"), rows)
    first, last = (float(str(row[1])) for row in (rows[0], rows[-1]))
    outcome.state(last < first, f"the loss went from {first} to {last}: nothing was learned")


SMALL = (spread((5, 4), 2), spread((4, 2), 3), spread((3, 5), 0), spread((3, 2), 1))

ITEMS = (
    Item(
        "D3-training", "Training a two-layer network for 2000 steps: by hand, by reverse mode, by torch",
        "N = 64, D_in = 1000, H = 100, D_out = 10: h = sigmoid(x w1), L = sum (h w2 - y)², w := w - 1e-4 dL/dw",
        (Problem(squared_error, SMALL, by_hand, in_torch, (0, 1)),), train, ("float64",),
    ),
)  # fmt: skip
