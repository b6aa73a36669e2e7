"""D0: softmax, and a chain of two linear maps with the gradient with respect to what lies between."""

from __future__ import annotations

import numpy as np
import torch

import refgrad as rg

from .outcome import OTHER, Outcome
from .record import Array, Item, Problem, shifted

LOGITS = np.array([0.5, -1.0, 2.0, 0.25])


def softmax(a: Array) -> Array:
    """e^a / sum e^a, as the quotient it is."""
    e = np.exp(a)
    return e / np.sum(e)


def softmax_jacobian(a: Array) -> Array:
    """p_i (delta_ij - p_j)."""
    p = softmax(a)
    return p[:, None] * (np.eye(4) - p[None, :])


def quotient_rule(a: Array) -> Array:
    """The quotient rule, entry by entry: (delta_ij e^a_i S - e^a_i e^a_j) / S^2."""
    e = np.exp(a)
    total = np.sum(e)
    return (np.eye(4) * e[:, None] * total - e[:, None] * e[None, :]) / total**2


# --- two linear maps ---------------------------------------------------------------------------------------------------

MAPS = (1.0, 2.0, 1.0, 2.0, 1.0, 0.0)  # the last is a shift of y1


def two_maps(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, on_y1: Array = None) -> Array:
    """y1 = x w1 + b1, y2 = y1 w2 + b2."""
    y1 = shifted(x * w1 + b1, on_y1)
    return y1 * w2 + b2


def two_maps_closed(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, on_y1: Array) -> tuple[Array, ...]:
    """dy2/d(x, w1, b1, w2, b2) and dy2/dy1."""
    y1 = x * w1 + b1
    return w2 * w1, w2 * x, w2, y1, 1.0 + 0 * b2, w2


def two_maps_torch(
    x: torch.Tensor,
    w1: torch.Tensor,
    b1: torch.Tensor,
    w2: torch.Tensor,
    b2: torch.Tensor,
    on_y1: torch.Tensor,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    y1 = x * w1 + b1
    return y1 * w2 + b2, (x, w1, b1, w2, b2, y1)


def intermediate(outcome: Outcome) -> None:
    """dy2/dy1 dy1/dw1 = 2 and dy2/dw1 = 2: several questions to one graph, in refgrad and in torch."""
    x, w1, b1, w2, b2, _ = MAPS
    graph = rg.Graph()
    s = {name: graph.input(name) for name in ("x", "w1", "b1", "w2", "b2")}
    y1 = s["x"] * s["w1"] + s["b1"]
    y2 = y1 * s["w2"] + s["b2"]
    graph.output(y2)
    graph.forward(x=x, w1=w1, b1=b1, w2=w2, b2=b2)
    whole = graph.backward()["w1"]
    assert graph.cotangents is not None
    upper = graph.cotangents[y1.index]
    graph.output(y1)  # the same graph once more, asked about y1
    graph.forward(x=x, w1=w1, b1=b1, w2=w2, b2=b2)
    lower = graph.backward()["w1"]
    outcome.prints("dy2/dy1 dy1/dw1", 2, upper * lower)
    outcome.prints("dy2/dw1", 2, whole)

    leaf = torch.tensor(w1, requires_grad=True, dtype=torch.float64)
    below = x * leaf + b1
    above = below * w2 + b2
    (t_upper,) = torch.autograd.grad(above, below, retain_graph=True)
    (t_lower,) = torch.autograd.grad(below, leaf, retain_graph=True)
    (t_whole,) = torch.autograd.grad(above, leaf)
    outcome.same(OTHER, "torch's graph used three times", float(t_upper * t_lower), whole)
    outcome.same(OTHER, "torch's dy2/dw1", float(t_whole), whole)


ITEMS = (
    Item(
        "D0-softmax", "Softmax and its Jacobian", "p_i = e^a_i / Σ_k e^a_k, ∂p_i/∂a_j = p_i (δ_ij - p_j)",
        (
            Problem(
                softmax, (LOGITS,), softmax_jacobian, lambda a: torch.exp(a) / torch.exp(a).sum(), also={"quotient rule": quotient_rule}
            ),
            Problem(softmax, (LOGITS,), softmax_jacobian, lambda a: torch.softmax(a, 0)),
        ),
    ),
    Item(
        "D0-two-linear-maps", "Chain of two linear maps, gradient of an intermediate value",
        "y1 = x w1 + b1, y2 = y1 w2 + b2 at x = 1, w1 = 2, b1 = 1, w2 = 2, b2 = 1: dy2/dw1 = dy2/dy1 dy1/dw1 = w2 x = 2",
        (Problem(two_maps, MAPS, two_maps_closed, two_maps_torch, shifts=1),), intermediate,
    ),
)  # fmt: skip
