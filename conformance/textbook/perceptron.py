"""D0: perceptrons and multi-layer perceptrons of sigmoid units by the delta rule."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from .record import Array, Formula, Item, Problem, named, spread


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


def error(x: Array, t: Array, *weights: Array) -> Array:
    """E = 1/2 sum_k (O_k - t_k)^2 of a stack of sigmoid layers."""
    o = x
    for w in weights:
        o = sigmoid(o @ w)
    return 0.5 * np.sum((o - t) ** 2)


def deltas(x: Array, t: Array, *weights: Array) -> tuple[Array, ...]:
    """dE/dW_jk = O_j delta_k, from the output layer down.

    Output layer: delta_k = O_k (1 - O_k) (O_k - t_k). Hidden layers: delta_j = O_j (1 - O_j) sum_k delta_k W_jk.
    """
    outputs = [x]
    for w in weights:
        outputs.append(sigmoid(outputs[-1] @ w))
    o = outputs[-1]
    delta = o * (1 - o) * (o - t)
    gradients = []
    for w, below in zip(reversed(weights), reversed(outputs[:-1]), strict=True):
        gradients.append(below[:, None] * delta[None, :])
        delta = below * (1 - below) * (w @ delta)
    return tuple(reversed(gradients))


def error_torch(x: torch.Tensor, t: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    o = x
    for w in weights:
        o = torch.sigmoid(o @ w)
    return 0.5 * ((o - t) ** 2).sum()


def problem(*widths: int) -> Problem:
    """A perceptron with layers of these widths."""
    weights = [spread((m, n), seed=k + 1) for k, (m, n) in enumerate(itertools.pairwise(widths))]
    target = np.linspace(0.0, 1.0, widths[-1]) if widths[-1] > 1 else np.array([1.0])
    names = " ".join(["x", "t", *(f"w{k + 1}" for k in range(len(weights)))])
    f: Formula = named(names, error)
    wrt = tuple(range(2, 2 + len(weights)))
    return Problem(f, (spread((widths[0],), seed=0), target, *weights), deltas, error_torch, wrt)


WIDTHS = (3, 4, 3, 2, 4, 3, 2)

ITEMS = (
    Item(
        "D0-perceptron-single", "Perceptron with one output",
        "E = 1/2 (O - t)², O = sigmoid(Σ_j x_j W_j): δ = O (1 - O) (O - t), dE/dW_j = x_j δ", (problem(3, 1),),
    ),
    Item(
        "D0-perceptron-multiple", "Perceptron with several outputs",
        "E = 1/2 Σ_k (O_k - t_k)²: δ_k = O_k (1 - O_k) (O_k - t_k), dE/dW_jk = x_j δ_k", (problem(3, 4),),
    ),
    *(
        Item(
            f"D0-mlp-depth-{depth}", f"Multi-layer perceptron by deltas, {depth} layer{'s' * (depth > 1)}",
            "output layer: δ_k = O_k (1 - O_k) (O_k - t_k); hidden: δ_j = O_j (1 - O_j) Σ_k δ_k W_jk; dE/dW_ij = O_i δ_j",
            (problem(*WIDTHS[: depth + 1]),),
        )
        for depth in range(1, 7)
    ),
)  # fmt: skip
