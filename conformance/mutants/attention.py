"""Mutants of softmax, attention and the cross-entropy that is fused with a linear layer."""

from __future__ import annotations

import numpy as np

from refgrad import nn
from refgrad.arrays import Array

from .record import Kind, Mutant, Way, as_stored, normal

FILL = -1e4  # what masked kernels write instead of -inf


def softmax_vjp(y_bar: Array, y: Array) -> Array:
    """x_bar = y (y_bar - sum y_bar y), along the last axis."""
    return y * (y_bar - np.sum(y_bar * y, axis=-1, keepdims=True))


# --- masked softmax: a row that is masked as a whole is 0 -------------------------------------------------------------


def filled(x: Array, mask: Array) -> Array:
    return nn.softmax(np.where(mask, FILL, x))


def masked_softmax(x: Array, mask: Array) -> Array:
    return np.where(np.all(mask, axis=-1, keepdims=True), 0.0, filled(x, mask))


def masked_by_mask(y_bar: Array, x: Array, mask: Array) -> tuple[Array, None]:
    return np.where(mask, 0.0, softmax_vjp(y_bar, filled(x, mask))), None


def masked_by_zeros(y_bar: Array, x: Array, mask: Array) -> tuple[Array, None]:
    """Treats an output of 0 as the mask. A fully masked row has a uniform output without any 0."""
    y = filled(x, mask)
    return np.where(y == 0, 0.0, softmax_vjp(y_bar, y)), None


def masks(rng: np.random.Generator) -> list[tuple[Array, ...]]:
    partly = np.array([[True, False, False], [False, False, True]])
    return [
        (*normal(rng, (2, 3)), np.array([[True] * 3, [False, True, False]])),
        (*normal(rng, (2, 3)), partly),
    ]


# --- softmax beside another consumer of the same gradient -------------------------------------------------------------


def residual_own_buffer(y_bar: Array, x: Array) -> Array:
    return softmax_vjp(y_bar, nn.softmax(x)) + y_bar


def residual_shared_buffer(y_bar: Array, x: Array) -> Array:
    """The kernel writes its result into the upstream gradient, which the residual branch reads afterwards."""
    y_bar[...] = softmax_vjp(y_bar, nn.softmax(x))
    return y_bar + y_bar


# --- attention, with a head of size 4: the scale is 1/2 ---------------------------------------------------------------


def attention(q: Array, k: Array, v: Array) -> Array:
    return nn.softmax(0.5 * (q @ np.transpose(k))) @ v


def attention_vjp(
    y_bar: Array, q: Array, k: Array, v: Array, causal: bool = False
) -> tuple[Array, Array, Array]:
    scores = 0.5 * (q @ np.transpose(k))
    p = nn.softmax(
        np.where(np.tri(scores.shape[0], scores.shape[1]) > 0, scores, -np.inf) if causal else scores
    )
    scores_bar = 0.5 * softmax_vjp(y_bar @ np.transpose(v), p)
    return scores_bar @ k, np.transpose(scores_bar) @ q, np.transpose(p) @ y_bar


def attention_strided(y_bar: Array, q: Array, k: Array, v: Array) -> tuple[Array, Array, Array]:
    return attention_vjp(np.asfortranarray(y_bar), q, k, v)


def attention_as_stored(y_bar: Array, q: Array, k: Array, v: Array) -> tuple[Array, Array, Array]:
    return attention_vjp(as_stored(np.asfortranarray(y_bar)), q, k, v)


# --- linear layer and cross-entropy in one, a loss for each token -----------------------------------------------------


def losses(x: Array, weight: Array, labels: Array) -> Array:
    return nn.cross_entropy(x @ np.transpose(weight), labels, reduction="none")


def losses_vjp(y_bar: Array, x: Array, weight: Array, labels: Array) -> tuple[Array, Array, None]:
    """Logits receive (softmax - one-hot), scaled by ``y_bar``: one number for each row, or one for all rows."""
    logits_bar = y_bar * (nn.softmax(x @ np.transpose(weight)) - np.eye(len(weight))[labels])
    return logits_bar @ weight, np.transpose(logits_bar) @ x, None


MUTANTS = (
    Mutant(
        "ax-1444",
        "https://github.com/NVIDIA/apex/pull/1444",
        "fused masked softmax",
        Kind.TIE,
        forward=masked_softmax,
        right=masked_by_mask,
        wrong=masked_by_zeros,
        inputs=masks,
    ),
    Mutant(
        "ax-1587",
        "https://github.com/NVIDIA/apex/issues/1587",
        "fused softmax",
        Kind.ALIAS,
        forward=lambda x: nn.softmax(x) + x,
        right=residual_own_buffer,
        wrong=residual_shared_buffer,
        inputs=lambda rng: [normal(rng, (2, 3)), normal(rng, (4,))],
        way=Way.KERNEL,
    ),
    Mutant(
        "fa-355",
        "https://github.com/Dao-AILab/flash-attention/issues/355",
        "attention",
        Kind.STRIDE,
        forward=attention,
        right=attention_strided,
        wrong=attention_as_stored,
        inputs=lambda rng: [normal(rng, (3, 4), (5, 4), (5, 4)), normal(rng, (1, 4), (2, 4), (2, 4))],
        way=Way.KERNEL,
    ),
    Mutant(
        "lk-1298",
        "https://github.com/linkedin/Liger-Kernel/pull/1298",
        "linear and cross-entropy, no reduction",
        Kind.BROADCAST,
        forward=losses,
        right=lambda y_bar, x, weight, labels: losses_vjp(y_bar[:, np.newaxis], x, weight, labels),
        wrong=lambda y_bar, x, weight, labels: losses_vjp(y_bar[0], x, weight, labels),
        inputs=lambda rng: [(*normal(rng, (n, 3), (4, 3)), rng.integers(0, 4, n)) for n in (5, 1)],
    ),
    Mutant(
        "tr-4541",
        "https://github.com/triton-lang/triton/issues/4541",
        "fused attention, not causal",
        Kind.DROPPED,
        forward=attention,
        right=attention_vjp,
        wrong=lambda y_bar, q, k, v: attention_vjp(y_bar, q, k, v, causal=True),
        inputs=lambda rng: [normal(rng, (4, 4), (4, 4), (4, 4)), normal(rng, (1, 4), (1, 4), (1, 4))],
    ),
)
