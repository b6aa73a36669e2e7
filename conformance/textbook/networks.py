"""D3: activations, networks built from them, and the multiclass support vector machine."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from .perceptron import sigmoid
from .record import Array, Formula, Item, Problem, spread

Z = np.array([-2.0, -0.4, 0.3, 1.7])
UP = np.array([1.0, -2.0, 0.5, 3.0])


def activation(name: str, title: str, text: str, f: Formula, slope: Formula, twin: Formula) -> Item:
    """An elementwise function; its gradient is the upstream one times the slope at each element."""
    return Item(
        f"D3-{name}", title, text, (Problem(f, (Z,), lambda up, z: up * slope(z), twin, upstream=UP),)
    )


def relu(z: Array) -> Array:
    """max(0, z)."""
    return np.maximum(z, 0)


def step(z: Array) -> Array:
    """1 where z > 0."""
    return np.where(z > 0, 1.0, 0.0)


def elu(z: Array) -> Array:
    """z for z > 0, e^z - 1 elsewhere."""
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


ACTIVATIONS = (
    activation(
        "sigmoid", "Sigmoid", "s(z) = 1 / (1 + e^-z): s' = s (1 - s)", sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)), torch.sigmoid,
    ),
    activation("tanh", "Tanh", "tanh' = 1 - tanh²", np.tanh, lambda z: 1 - np.tanh(z) ** 2, torch.tanh),
    activation("relu", "ReLU", "max(0, z): 1 for z > 0, 0 for z < 0", relu, step, torch.relu),
    activation(
        "leaky-relu", "Leaky ReLU", "max(0.1 z, z): 1 for z > 0, 0.1 for z < 0", lambda z: np.maximum(0.1 * z, z),
        lambda z: np.where(z > 0, 1.0, 0.1), lambda z: functional.leaky_relu(z, 0.1),
    ),
    activation(
        "elu", "ELU", "z for z > 0, e^z - 1 elsewhere: 1 for z > 0, e^z elsewhere", elu,
        lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0))), functional.elu,
    ),
)  # fmt: skip


def maxout(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    """max(w1^T x + b1, w2^T x + b2)."""
    return np.maximum(w1 @ x + b1, w2 @ x + b2)


def maxout_closed(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Array, ...]:
    """The gradient goes to the greater of the two."""
    first = np.where(w1 @ x + b1 > w2 @ x + b2, 1.0, 0.0)
    second = 1 - first
    return first * w1 + second * w2, first * x, first, second * x, second


# --- networks ----------------------------------------------------------------------------------------------------------


def two_layers(x: Array, w1: Array, w2: Array) -> Array:
    """W2 max(0, W1 x)."""
    return w2 @ relu(w1 @ x)


def two_layers_closed(up: Array, x: Array, w1: Array, w2: Array) -> tuple[Array, ...]:
    """Down through both layers."""
    z = w1 @ x
    dz = (np.transpose(w2) @ up) * step(z)
    return np.transpose(w1) @ dz, dz[:, None] * x[None, :], up[:, None] * relu(z)[None, :]


def three_layers(x: Array, w1: Array, w2: Array, w3: Array) -> Array:
    """W3 max(0, W2 max(0, W1 x))."""
    return w3 @ relu(w2 @ relu(w1 @ x))


def three_layers_closed(up: Array, x: Array, w1: Array, w2: Array, w3: Array) -> tuple[Array, ...]:
    """Down through three layers."""
    z1 = w1 @ x
    h1 = relu(z1)
    z2 = w2 @ h1
    dz2 = (np.transpose(w3) @ up) * step(z2)
    dz1 = (np.transpose(w2) @ dz2) * step(z1)
    return (
        np.transpose(w1) @ dz1,
        dz1[:, None] * x[None, :],
        dz2[:, None] * h1[None, :],
        up[:, None] * relu(z2)[None, :],
    )


def sigmoid_layers(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, w3: Array, b3: Array) -> Array:
    """h1 = s(W1 x + b1), h2 = s(W2 h1 + b2), out = W3 h2 + b3."""
    return w3 @ sigmoid(w2 @ sigmoid(w1 @ x + b1) + b2) + b3


def sigmoid_layers_closed(
    up: Array, x: Array, w1: Array, b1: Array, w2: Array, b2: Array, w3: Array, b3: Array
) -> tuple[Array, ...]:
    """Down through three layers of sigmoid units."""
    h1 = sigmoid(w1 @ x + b1)
    h2 = sigmoid(w2 @ h1 + b2)
    dz2 = (np.transpose(w3) @ up) * h2 * (1 - h2)
    dz1 = (np.transpose(w2) @ dz2) * h1 * (1 - h1)
    return (
        np.transpose(w1) @ dz1, dz1[:, None] * x[None, :], dz1, dz2[:, None] * h1[None, :], dz2, up[:, None] * h2[None, :], up
    )  # fmt: skip


def sigmoid_layers_torch(
    x: torch.Tensor,
    w1: torch.Tensor,
    b1: torch.Tensor,
    w2: torch.Tensor,
    b2: torch.Tensor,
    w3: torch.Tensor,
    b3: torch.Tensor,
) -> torch.Tensor:
    return w3 @ torch.sigmoid(w2 @ torch.sigmoid(w1 @ x + b1) + b2) + b3


# --- support vector machine --------------------------------------------------------------------------------------------

SAMPLES, LABELS, PENALTY = 5, np.array([0, 2, 1, 1, 0]), 0.25


def svm(x: Array, w1: Array, w2: Array, labels: Array) -> Array:
    """L_i = sum over j != y_i of max(0, s_j - s_y + 1), L = mean L_i + lambda (sum W1^2 + sum W2^2), s = max(0, X W1) W2."""
    s = relu(x @ w1) @ w2
    own = s[np.arange(SAMPLES), labels]
    margins = np.maximum(0, s - own[:, None] + 1)
    others = np.where(labels[:, None] == np.arange(3), 0.0, margins)
    return np.mean(np.sum(others, axis=1)) + PENALTY * np.sum(w1**2) + PENALTY * np.sum(w2**2)


def svm_closed(x: Array, w1: Array, w2: Array, labels: Array) -> tuple[Array, ...]:
    """ds_ij = 1/n for every violated margin, and minus their number at the sample's own class."""
    z = x @ w1
    h = relu(z)
    s = h @ w2
    one_hot = np.where(labels[:, None] == np.arange(3), 1.0, 0.0)
    own = np.sum(s * one_hot, axis=1)
    violated = np.where(s - own[:, None] + 1 > 0, 1.0, 0.0) * (1 - one_hot)
    ds = (violated - one_hot * np.sum(violated, axis=1)[:, None]) / SAMPLES
    dz = (ds @ np.transpose(w2)) * step(z)
    return np.transpose(x) @ dz + 2 * PENALTY * w1, np.transpose(h) @ ds + 2 * PENALTY * w2


def svm_torch(x: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    s = torch.relu(x @ w1) @ w2
    data = functional.multi_margin_loss(s, labels) * 3  # torch divides by the number of classes
    return data + PENALTY * (w1**2).sum() + PENALTY * (w2**2).sum()


def vectors(*shapes: tuple[int, ...], seed: int) -> tuple[Array, ...]:
    """Ordinary arguments of these shapes."""
    return tuple(spread(shape, seed + k) for k, shape in enumerate(shapes))


ITEMS = (
    *ACTIVATIONS,
    Item(
        "D3-maxout", "Maxout", "max(w1ᵀ x + b1, w2ᵀ x + b2): the gradient goes to the greater one",
        (
            Problem(
                maxout, (*vectors((3,), (3,), seed=10), 0.5, spread((3,), 13), -0.25), maxout_closed,
                lambda x, w1, b1, w2, b2: torch.maximum(w1 @ x + b1, w2 @ x + b2),
            ),
        ),
    ),
    Item(
        "D3-two-layers", "Network of two layers", "f = W2 max(0, W1 x)",
        (
            Problem(
                two_layers, vectors((4,), (5, 4), (3, 5), seed=20), two_layers_closed, lambda x, w1, w2: w2 @ torch.relu(w1 @ x),
                upstream=UP[:3],
            ),
        ),
    ),
    Item(
        "D3-three-layers", "Network of three layers", "f = W3 max(0, W2 max(0, W1 x))",
        (
            Problem(
                three_layers, vectors((4,), (5, 4), (4, 5), (2, 4), seed=30), three_layers_closed,
                lambda x, w1, w2, w3: w3 @ torch.relu(w2 @ torch.relu(w1 @ x)), upstream=UP[:2],
            ),
        ),
    ),
    Item(
        "D3-sigmoid-layers", "Three layers of sigmoid units, 3 → 4 → 4 → 1", "h1 = s(W1 x + b1), h2 = s(W2 h1 + b2), out = W3 h2 + b3",
        (
            Problem(
                sigmoid_layers, vectors((3,), (4, 3), (4,), (4, 4), (4,), (1, 4), (1,), seed=40), sigmoid_layers_closed,
                sigmoid_layers_torch, upstream=np.array([1.0]),
            ),
        ),
    ),
    Item(
        "D3-svm", "Multiclass support vector machine on two layers",
        "L_i = Σ_{j ≠ y_i} max(0, s_j - s_y_i + 1), L = mean L_i + λ Σ W1² + λ Σ W2²",
        (Problem(svm, (*vectors((SAMPLES, 4), (4, 6), (6, 3), seed=50), LABELS), svm_closed, svm_torch, wrt=(1, 2)),),
    ),
)  # fmt: skip
