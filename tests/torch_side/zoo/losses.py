"""Losses: means that are missing, weights and temperatures that are dropped, counts of the wrong elements."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from refgrad import nn

from .record import Array, Kind, Specimen, function, normal, together, uniform, whole

N = 6


def _chosen(x: Array, labels: Array) -> Array:
    return nn.log_softmax(x)[np.arange(len(labels)), labels]


# --- cross-entropy: mean over the batch, label smoothing, labels that are ignored ---

SMOOTH = 0.25


def entropy(ctx, x, labels):
    ctx.save_for_backward(torch.log_softmax(x, -1), labels)
    return F.cross_entropy(x, labels)


def entropy_backward(ctx, g):
    logp, labels = ctx.saved_tensors
    return g * (torch.exp(logp) - F.one_hot(labels, logp.shape[1]).to(g.dtype)) / len(logp), None


def entropy_summed(ctx, g):
    logp, labels = ctx.saved_tensors
    return g * (torch.exp(logp) - F.one_hot(labels, logp.shape[1]).to(g.dtype)), None


def entropy_sign(ctx, g):
    return -entropy_backward(ctx, g)[0], None


def smoothed(ctx, x, labels):
    ctx.save_for_backward(torch.log_softmax(x, -1), labels)
    return F.cross_entropy(x, labels, label_smoothing=SMOOTH)


def smoothed_backward(ctx, g):
    logp, labels = ctx.saved_tensors
    k = logp.shape[1]
    target = (1 - SMOOTH) * F.one_hot(labels, k).to(g.dtype) + SMOOTH / k
    return g * (torch.exp(logp) - target) / len(logp), None


def smoothed_reference(x: Array, labels: Array) -> Array:
    return -np.mean((1 - SMOOTH) * _chosen(x, labels) + SMOOTH * np.mean(nn.log_softmax(x), axis=-1))


def ignoring(ctx, x, labels):
    ctx.save_for_backward(torch.log_softmax(x, -1), labels)
    return F.cross_entropy(x, labels, ignore_index=0)


def ignoring_backward(ctx, g):
    logp, labels = ctx.saved_tensors
    kept = (labels != 0).to(g.dtype)[:, None]
    return g * kept * (torch.exp(logp) - F.one_hot(labels, logp.shape[1]).to(g.dtype)) / kept.sum(), None


def ignoring_counts_all(ctx, g):
    logp, labels = ctx.saved_tensors
    kept = (labels != 0).to(g.dtype)[:, None]
    return g * kept * (torch.exp(logp) - F.one_hot(labels, logp.shape[1]).to(g.dtype)) / len(logp), None


def ignoring_reference(x: Array, labels: Array) -> Array:
    kept = labels != 0
    return -np.sum(np.where(kept, _chosen(x, labels), 0.0)) / np.sum(kept)


def some_ignored(g):
    return torch.randn(N, 4, generator=g).requires_grad_(), torch.tensor([1, 0, 3, 2, 0, 1])


# --- binary losses ---

HEAVY = 3.0


def focal(ctx, x, t):
    p = torch.sigmoid((2 * t - 1) * x)
    ctx.save_for_backward(x, p, t)
    return -((1 - p) ** 2) * torch.log(p)


def focal_backward(ctx, g):
    _, p, t = ctx.saved_tensors
    return g * (2 * t - 1) * (2 * p * (1 - p) ** 2 * torch.log(p) - (1 - p) ** 3), None


def focal_factor_constant(ctx, g):
    _, p, t = ctx.saved_tensors
    return g * (2 * t - 1) * (-((1 - p) ** 3)), None


def focal_reference(x: Array, t: Array) -> Array:
    p = nn.sigmoid((2 * t - 1) * x)
    return -((1 - p) ** 2) * np.log(p)


def weighted(ctx, x, t):
    ctx.save_for_backward(torch.sigmoid(x), t)
    return F.binary_cross_entropy_with_logits(
        x, t.to(x.dtype), pos_weight=torch.tensor(HEAVY, dtype=x.dtype), reduction="none"
    )


def weighted_backward(ctx, g):
    p, t = ctx.saved_tensors
    return g * ((1 - t) * p - HEAVY * t * (1 - p)), None


def weight_forgotten(ctx, g):
    p, t = ctx.saved_tensors
    return g * (p - t), None


def weighted_reference(x: Array, t: Array) -> Array:
    return -(HEAVY * t * nn.log_sigmoid(x) + (1 - t) * nn.log_sigmoid(-x))


# --- regression, divergences, distances ---

DELTA = 0.5


def huber(ctx, x, t):
    ctx.save_for_backward(x - t)
    return F.huber_loss(x, t, reduction="none", delta=DELTA)


def huber_backward(ctx, g):
    (d,) = ctx.saved_tensors
    slope = g * d.clamp(-DELTA, DELTA)
    return slope, -slope


def huber_as_smooth_l1(ctx, g):
    (d,) = ctx.saved_tensors
    slope = g * (d / DELTA).clamp(-1, 1)
    return slope, -slope


def huber_reference(x: Array, t: Array) -> Array:
    d = np.abs(x - t)
    return np.where(d < DELTA, 0.5 * d * d, DELTA * (d - 0.5 * DELTA))


def divergence(ctx, q, p):
    ctx.save_for_backward(q, p)
    return (p * (torch.log(p) - q)).sum()


def divergence_backward(ctx, g):
    q, p = ctx.saved_tensors
    return -g * p, g * (torch.log(p) - q + 1)


def divergence_without_one(ctx, g):
    q, p = ctx.saved_tensors
    return -g * p, g * (torch.log(p) - q)


def divergence_reference(q: Array, p: Array) -> Array:
    return np.sum(p * (np.log(p) - q))


COLD = 0.25


def contrast(ctx, a, b):
    p = torch.softmax(a @ b.T / COLD, -1)
    ctx.save_for_backward(a, b, p)
    return -torch.log_softmax(a @ b.T / COLD, -1).diagonal().mean()


def contrast_backward(ctx, g):
    a, b, p = ctx.saved_tensors
    s = g * (p - torch.eye(len(p), dtype=p.dtype)) / (len(p) * COLD)
    return s @ b, s.T @ a


def contrast_without_temperature(ctx, g):
    a, b, p = ctx.saved_tensors
    s = g * (p - torch.eye(len(p), dtype=p.dtype)) / len(p)
    return s @ b, s.T @ a


def contrast_reference(a: Array, b: Array) -> Array:
    y = nn.log_softmax(a @ b.T / COLD)
    return -np.mean(y[np.arange(a.shape[0]), np.arange(a.shape[0])])


def dice(ctx, p, t):
    ctx.save_for_backward(p, t)
    return 1 - 2 * (p * t).sum() / (p.sum() + t.sum())


def dice_backward(ctx, g):
    p, t = ctx.saved_tensors
    total = p.sum() + t.sum()
    return -2 * g * (t / total - (p * t).sum() / total**2), None


def dice_numerator_only(ctx, g):
    p, t = ctx.saved_tensors
    return -2 * g * t / (p.sum() + t.sum()), None


def dice_reference(p: Array, t: Array) -> Array:
    return 1 - 2 * np.sum(p * t) / (np.sum(p) + np.sum(t))


def triplet(ctx, a, p, n):
    ctx.save_for_backward(a, p, n)
    return torch.relu(((a - p) ** 2).sum(-1) - ((a - n) ** 2).sum(-1) + 1)


def _active(ctx, g):
    a, p, n = ctx.saved_tensors
    on = (((a - p) ** 2).sum(-1) - ((a - n) ** 2).sum(-1) + 1 > 0).to(g.dtype)
    return a, p, n, 2 * (g * on)[:, None]


def triplet_backward(ctx, g):
    a, p, n, s = _active(ctx, g)
    return s * (n - p), -s * (a - p), s * (a - n)


def triplet_negative_pulled(ctx, g):
    a, p, n, s = _active(ctx, g)
    return s * (n - p), -s * (a - p), -s * (a - n)


def triplet_reference(a: Array, p: Array, n: Array) -> Array:
    return nn.relu(np.sum((a - p) ** 2, -1) - np.sum((a - n) ** 2, -1) + 1)


_LABELLED = together(normal((N, 4)), whole(4, (N,)))
_BINARY = together(normal((12,)), whole(2, (12,)))


def _loss(name, forward, right, wrong, reference, inputs):
    return Specimen(
        name, Kind.MATHEMATICS, function(forward, right), function(forward, wrong), reference, inputs
    )


SPECIMENS = (
    _loss("cross-entropy summed, not averaged", entropy, entropy_backward, entropy_summed, nn.cross_entropy, _LABELLED),
    _loss("cross-entropy with the wrong sign", entropy, entropy_backward, entropy_sign, nn.cross_entropy, _LABELLED),
    _loss("label smoothing forgotten", smoothed, smoothed_backward, entropy_backward, smoothed_reference, _LABELLED),
    _loss("ignored labels counted", ignoring, ignoring_backward, ignoring_counts_all, ignoring_reference, some_ignored),
    _loss("focal loss, factor taken as constant", focal, focal_backward, focal_factor_constant, focal_reference, _BINARY),
    _loss("weight of positives forgotten", weighted, weighted_backward, weight_forgotten, weighted_reference, _BINARY),
    _loss("Huber with the slope of smooth L1", huber, huber_backward, huber_as_smooth_l1, huber_reference, normal((12,), (12,))),
    _loss("divergence, derivative of p log p", divergence, divergence_backward, divergence_without_one, divergence_reference,
          together(normal((5,)), uniform(0.1, 1, (5,)))),
    _loss("contrastive loss without its temperature", contrast, contrast_backward, contrast_without_temperature, contrast_reference,
          normal((4, 3), (4, 3), scale=0.5)),
    _loss("dice, quotient's second term", dice, dice_backward, dice_numerator_only, dice_reference,
          together(uniform(0.1, 1, (12,)), whole(2, (12,)))),
    _loss("triplet, negative pulled near", triplet, triplet_backward, triplet_negative_pulled, triplet_reference,
          normal((5, 3), (5, 3), (5, 3))),
)  # fmt: skip
