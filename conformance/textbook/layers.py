"""D2: the scalar two-layer network step by step, and the rules of matrix calculus in both conventions."""

from __future__ import annotations

import numpy as np
import torch

import refgrad as rg

from .outcome import OTHER, Outcome
from .perceptron import sigmoid
from .record import Array, Item, Problem, lifted, shifted, spread

SCALARS = (0.7, -0.2, 1.3, 0.4, 1.5, 2.0, 0.0, 0.0, 0.0)  # w1, b1, w2, b2; x, y; shifts of z1, a1, z2


def two_layers(
    w1: Array,
    b1: Array,
    w2: Array,
    b2: Array,
    x: Array,
    y: Array,
    on_z1: Array | None = None,
    on_a1: Array | None = None,
    on_z2: Array | None = None,
) -> Array:
    """a0 = x, z1 = w1 a0 + b1, a1 = sigmoid(z1), z2 = w2 a1 + b2, l = (y - z2)^2."""
    z1 = shifted(w1 * x + b1, on_z1)
    a1 = shifted(sigmoid(z1), on_a1)
    z2 = shifted(w2 * a1 + b2, on_z2)
    return (y - z2) ** 2


def two_layers_closed(
    w1: Array, b1: Array, w2: Array, b2: Array, x: Array, y: Array, on_z1: Array, on_a1: Array, on_z2: Array
) -> tuple[Array, ...]:
    """From the loss down, one line a step."""
    a1 = sigmoid(w1 * x + b1)
    z2 = w2 * a1 + b2
    dz2 = -2 * (y - z2)
    da1 = dz2 * w2
    dw2, db2 = dz2 * a1, dz2
    dz1 = da1 * a1 * (1 - a1)
    dw1, db1 = dz1 * x, dz1
    return dw1, db1, dw2, db2, dz1, da1, dz2


def two_layers_torch(
    w1: torch.Tensor,
    b1: torch.Tensor,
    w2: torch.Tensor,
    b2: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    on_z1: torch.Tensor,
    on_a1: torch.Tensor,
    on_z2: torch.Tensor,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    z1 = w1 * x + b1
    a1 = torch.sigmoid(z1)
    z2 = w2 * a1 + b2
    return (y - z2) ** 2, (w1, b1, w2, b2, z1, a1, z2)


# --- matrices ----------------------------------------------------------------------------------------------------------

N, IN, OUT = 4, 3, 2
ROWS, WEIGHT, BIAS, UP = spread((N, IN), 1), spread((IN, OUT), 2), spread((OUT,), 3), spread((N, OUT), 4)


def batch(a: Array, w: Array, b: Array) -> Array:
    """Z = A W + 1 b^T: a sample a row."""
    return a @ w + b


def batch_closed(dz: Array, a: Array, w: Array, b: Array) -> tuple[Array, ...]:
    """dA = dZ W^T, dW = A^T dZ, db = dZ^T 1."""
    return dz @ np.transpose(w), np.transpose(a) @ dz, np.sum(dz, axis=0)


def column(a: Array, w: Array, b: Array) -> Array:
    """z = W a + b: one sample, a column."""
    return w @ a + b


def column_closed(dz: Array, a: Array, w: Array, b: Array) -> tuple[Array, ...]:
    """da = W^T dz, dW = dz a^T, db = dz."""
    return np.transpose(w) @ dz, dz[:, None] * a[None, :], dz


def shapes_of_parameters(outcome: Outcome) -> None:
    """Rule 0, by forward and by reverse mode."""
    args = (ROWS, WEIGHT, BIAS)

    def loss(a: Array, w: Array, b: Array) -> Array:
        return np.sum(np.tanh(batch(a, w, b)))

    rows = []
    for mode, gradients in (
        ("reverse", rg.grad(loss, (0, 1, 2))(*args)),
        ("forward", rg.jacfwd(loss, (0, 1, 2))(*args)),
    ):
        for name, x, x_bar in zip("AWb", args, gradients, strict=True):
            outcome.state(
                x_bar.shape == x.shape, f"{mode}: {name} has shape {x.shape}, its gradient {x_bar.shape}"
            )
            rows.append((mode, name, x.shape, x_bar.shape))
    outcome.table("Shapes", ("mode", "parameter", "its shape", "shape of its gradient"), rows)


def conventions(outcome: Outcome) -> None:
    """The batch rule in rows against the column rule sample by sample: dW and db are sums over samples, dA has them as rows."""
    d_rows, d_weight, d_bias = batch_closed(UP, ROWS, WEIGHT, BIAS)
    *parameters, up = lifted((ROWS, WEIGHT, BIAS, UP), "float64")
    due_rows, due_weight, due_bias = rg.vjp(batch, *parameters)[1](up)
    weight_sum, bias_sum = np.zeros((OUT, IN)), np.zeros(OUT)
    for k in range(N):
        da, dw, db = column_closed(UP[k], ROWS[k], WEIGHT.T, BIAS)
        weight_sum, bias_sum = weight_sum + dw, bias_sum + db
        outcome.same(OTHER, f"da of sample {k}, column convention", da, due_rows[k])
        outcome.same(OTHER, f"da of sample {k}, row convention", d_rows[k], due_rows[k])
    outcome.same(OTHER, "dW, column convention", weight_sum.T, due_weight)
    outcome.same(OTHER, "db, column convention", bias_sum, due_bias)
    outcome.same(OTHER, "dW, row convention", d_weight, due_weight)
    outcome.same(OTHER, "db, row convention", d_bias, due_bias)


BATCH = Problem(batch, (ROWS, WEIGHT, BIAS), batch_closed, lambda a, w, b: a @ w + b, upstream=UP)
COLUMN = Problem(
    column, (ROWS[0], WEIGHT.T.copy(), BIAS), column_closed, lambda a, w, b: w @ a + b, upstream=UP[0]
)

ITEMS = (
    Item(
        "D2-two-layer-network", "Scalar network of two layers, step by step",
        "a0 = x, z1 = w1 a0 + b1, a1 = sigmoid(z1), z2 = w2 a1 + b2, l = (y - z2)²: dl/dz2 = -2 (y - z2); dl/da1 = dl/dz2 w2; "
        "dl/dw2 = dl/dz2 a1; dl/db2 = dl/dz2; dl/dz1 = dl/da1 a1 (1 - a1); dl/dw1 = dl/dz1 x; dl/db1 = dl/dz1",
        (Problem(two_layers, SCALARS, two_layers_closed, two_layers_torch, wrt=(0, 1, 2, 3, 6, 7, 8), shifts=3),),
    ),
    Item("D2-rule-0", "Rule 0: a gradient has its parameter's shape", "shape(dL/dW) = shape(W)", (BATCH,), shapes_of_parameters),
    Item(
        "D2-rule-1", "Rule 1: elementwise activations differentiate elementwise", "A = sigmoid(Z): dZ = dA * A * (1 - A)",
        (
            Problem(
                sigmoid, (spread((N, OUT), 5),), lambda up, z: up * sigmoid(z) * (1 - sigmoid(z)), torch.sigmoid, upstream=UP
            ),
        ),
    ),
    Item("D2-rule-2-column", "Rule 2: one sample as a column", "z = W a + b: dW = dz aᵀ, db = dz, da = Wᵀ dz", (COLUMN,)),
    Item("D2-rule-2-batch", "Rule 2: a batch of rows", "Z = A W + 1 bᵀ: dW = Aᵀ dZ, db = dZᵀ 1, dA = dZ Wᵀ", (BATCH,)),
    Item(
        "D2-conventions", "Both conventions give the same numbers", "rows: dW = Aᵀ dZ; columns: dWᵀ = sum over samples of dz aᵀ",
        (BATCH, COLUMN), conventions,
    ),
)  # fmt: skip
