"""Attention, rotary embeddings and gates: scales, masks and paths that the backward loses."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

from refgrad import nn

from .record import Array, Kind, Specimen, function, normal

WIDTH = 4
SCALE = 1 / math.sqrt(WIDTH)
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()


def weights(q, k, mask=None):
    s = q @ k.mT * SCALE
    return torch.softmax(s if mask is None else s.masked_fill(~mask, -math.inf), -1)


def attend(ctx, q, k, v, mask=None):
    p = weights(q, k, mask)
    ctx.save_for_backward(q, k, v, p)
    return p @ v


def through_softmax(p, p_bar):
    return p * (p_bar - (p_bar * p).sum(-1, keepdim=True))


def attend_backward(ctx, g):
    q, k, v, p = ctx.saved_tensors
    s = through_softmax(p, g @ v.mT) * SCALE
    return s @ k, s.mT @ q, p.mT @ g


def key_not_scaled(ctx, g):
    q, k, v, p = ctx.saved_tensors
    s = through_softmax(p, g @ v.mT)
    return s @ k * SCALE, s.mT @ q, p.mT @ g


def row_sum_missing(ctx, g):
    q, k, v, p = ctx.saved_tensors
    s = p * (g @ v.mT) * SCALE
    return s @ k, s.mT @ q, p.mT @ g


def value_not_transposed(ctx, g):
    q, k, v, p = ctx.saved_tensors
    s = through_softmax(p, g @ v.mT) * SCALE
    return s @ k, s.mT @ q, p @ g


def causal(ctx, q, k, v):
    return attend(ctx, q, k, v, CAUSAL)


def causal_without_mask(ctx, g):
    q, k, v, _ = ctx.saved_tensors
    p = weights(q, k)
    s = through_softmax(p, g @ v.mT) * SCALE
    return s @ k, s.mT @ q, p.mT @ g


def attention_reference(q: Array, k: Array, v: Array) -> Array:
    return nn.softmax(q @ np.swapaxes(k, -1, -2) * SCALE) @ v


def causal_reference(q: Array, k: Array, v: Array) -> Array:
    return nn.softmax(np.where(CAUSAL.numpy(), q @ k.T * SCALE, -np.inf)) @ v


# --- two query heads share one head of keys and values: q (2, T, W), k and v (T, W) ---


def grouped_backward(ctx, g):
    q, k, v, p = ctx.saved_tensors
    s = through_softmax(p, g @ v.mT) * SCALE
    return s @ k, (s.mT @ q).sum(0), (p.mT @ g).sum(0)


def grouped_last_head(ctx, g):
    q, k, v, p = ctx.saved_tensors
    s = through_softmax(p, g @ v.mT) * SCALE
    return s @ k, (s.mT @ q)[-1], (p.mT @ g)[-1]


# --- a bias of the scores that all batch rows share ---


def biased(ctx, x, b):
    p = torch.softmax(x + b, -1)
    ctx.save_for_backward(p)
    return p


def biased_backward(ctx, g):
    s = through_softmax(*ctx.saved_tensors, g)
    return s, s.sum(0)


def biased_averaged(ctx, g):
    s = through_softmax(*ctx.saved_tensors, g)
    return s, s.mean(0)


# --- rotary embedding of (T, 4): halves are rotated by an angle of the position ---

ANGLES = torch.outer(torch.arange(5.0), torch.tensor([1.0, 0.25])).double()


def rotated(x, sign, angles):
    a, b = x[:, :2], x[:, 2:]
    c, s = torch.cos(angles).to(x.dtype), sign * torch.sin(angles).to(x.dtype)
    return torch.cat([a * c - b * s, a * s + b * c], -1)


def rotary(ctx, x):
    return rotated(x, 1, ANGLES)


def rotary_backward(ctx, g):
    return rotated(g, -1, ANGLES)


def rotary_same_way(ctx, g):
    return rotated(g, 1, ANGLES)


def rotary_one_step_late(ctx, g):
    return rotated(g, -1, torch.roll(ANGLES, 1, 0))


def rotary_reference(x: Array) -> Array:
    a, b, c, s = x[:, :2], x[:, 2:], np.cos(ANGLES.numpy()), np.sin(ANGLES.numpy())
    return np.concatenate([a * c - b * s, a * s + b * c], -1)


# --- gates ---


def silu_slope(x):
    s = torch.sigmoid(x)
    return s + x * s * (1 - s)


def swiglu(ctx, u, w):
    ctx.save_for_backward(u, w)
    return u * torch.sigmoid(u) * w


def swiglu_backward(ctx, g):
    u, w = ctx.saved_tensors
    return g * w * silu_slope(u), g * u * torch.sigmoid(u)


def swiglu_slope_of_gate(ctx, g):
    u, w = ctx.saved_tensors
    return g * w * torch.sigmoid(u), g * u * torch.sigmoid(u)


def swiglu_halves_swapped(ctx, g):
    return swiglu_backward(ctx, g)[::-1]


def highway(ctx, x, h, t):
    s = torch.sigmoid(t)
    ctx.save_for_backward(x, h, s)
    return s * h + (1 - s) * x


def highway_backward(ctx, g):
    x, h, s = ctx.saved_tensors
    return g * (1 - s), g * s, g * (h - x) * s * (1 - s)


def highway_carry_forgotten(ctx, g):
    _, h, s = ctx.saved_tensors
    return g * (1 - s), g * s, g * h * s * (1 - s)


def lstm(ctx, i, f, o, z, c):
    i, f, o, z = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(z)
    new = f * c + i * z
    ctx.save_for_backward(i, f, o, z, c, new)
    return o * torch.tanh(new), new


def lstm_backward(ctx, g, new_bar, stale=False):
    i, f, o, z, c, new = ctx.saved_tensors
    t = torch.tanh(new)
    bar = new_bar + g * o * (1 - t * t)
    before = new if stale else c
    return (
        bar * z * i * (1 - i),
        bar * before * f * (1 - f),
        g * t * o * (1 - o),
        bar * i * (1 - z * z),
        bar * f,
    )


lstm_new_cell_for_old = functools.partial(lstm_backward, stale=True)
lstm_new_cell_for_old.__name__ = "lstm_new_cell_for_old"  # type: ignore[attr-defined]


def lstm_reference(i: Array, f: Array, o: Array, z: Array, c: Array) -> tuple[Array, Array]:
    new = nn.sigmoid(f) * c + nn.sigmoid(i) * np.tanh(z)
    return nn.sigmoid(o) * np.tanh(new), new


def gru(ctx, r, z, n, h):
    r, z = torch.sigmoid(r), torch.sigmoid(z)
    m = torch.tanh(n + r * h)
    ctx.save_for_backward(r, z, m, h)
    return (1 - z) * m + z * h


def gru_backward(ctx, g):
    r, z, m, h = ctx.saved_tensors
    n_bar = g * (1 - z) * (1 - m * m)
    return n_bar * h * r * (1 - r), g * (h - m) * z * (1 - z), n_bar, g * z + n_bar * r


def gru_not_through_reset(ctx, g):
    r_bar, z_bar, n_bar, _ = gru_backward(ctx, g)
    return r_bar, z_bar, n_bar, g * ctx.saved_tensors[1]


def gru_reference(r: Array, z: Array, n: Array, h: Array) -> Array:
    z = nn.sigmoid(z)
    return (1 - z) * np.tanh(n + nn.sigmoid(r) * h) + z * h


def _attention(name, wrong):
    return Specimen(name, Kind.MATHEMATICS, function(attend, attend_backward), function(attend, wrong), attention_reference,
                    normal((5, WIDTH), (5, WIDTH), (5, WIDTH)))  # fmt: skip


def _rotary(name, wrong):
    return Specimen(name, Kind.MATHEMATICS, function(rotary, rotary_backward), function(rotary, wrong), rotary_reference,
                    normal((5, 4)))  # fmt: skip


def _gate(name, forward, right, wrong, reference, count):
    return Specimen(
        name,
        Kind.MATHEMATICS,
        function(forward, right),
        function(forward, wrong),
        reference,
        normal(*[(8,)] * count),
    )


SPECIMENS = (
    _attention("attention, keys not scaled", key_not_scaled),
    _attention("attention, row sum missing", row_sum_missing),
    _attention("attention, weights not transposed", value_not_transposed),
    Specimen("attention without the mask in the backward", Kind.MATHEMATICS, function(causal, attend_backward),
             function(causal, causal_without_mask), causal_reference, normal((5, WIDTH), (5, WIDTH), (5, WIDTH))),
    Specimen("shared keys, last head alone", Kind.MATHEMATICS, function(attend, grouped_backward), function(attend, grouped_last_head),
             attention_reference, normal((2, 5, WIDTH), (5, WIDTH), (5, WIDTH))),
    Specimen("bias of the scores averaged", Kind.MATHEMATICS, function(biased, biased_backward), function(biased, biased_averaged),
             lambda x, b: nn.softmax(x + b), normal((3, 4, 4), (4, 4))),
    _rotary("rotary embedding turned the same way", rotary_same_way),
    _rotary("rotary embedding one position late", rotary_one_step_late),
    _gate("gate of SwiGLU, slope cut", swiglu, swiglu_backward, swiglu_slope_of_gate, lambda u, w: nn.silu(u) * w, 2),
    _gate("halves of SwiGLU swapped", swiglu, swiglu_backward, swiglu_halves_swapped, lambda u, w: nn.silu(u) * w, 2),
    _gate("highway without the carried part", highway, highway_backward, highway_carry_forgotten,
          lambda x, h, t: nn.sigmoid(t) * h + (1 - nn.sigmoid(t)) * x, 3),
    _gate("LSTM, new cell saved for the old", lstm, lstm_backward, lstm_new_cell_for_old, lstm_reference, 5),
    _gate("GRU, path through the reset gate", gru, gru_backward, gru_not_through_reset, gru_reference, 4),
)  # fmt: skip
