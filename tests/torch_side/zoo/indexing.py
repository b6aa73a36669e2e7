"""Embeddings, segments, dense layers, quantisers, solvers: duplicates, transposes, operands saved at the wrong moment."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from refgrad import nn

from .record import BOTH, Array, Kind, Specimen, Tensor, function, normal, uniform

ROWS = torch.tensor([2, 0, 2, 3, 2, 0])
SEGMENTS = torch.tensor([0, 1, 1, 2, 0, 1])


# --- rows of a table, with duplicates ---


def embed(ctx, w):
    ctx.rows = len(w)
    return w[ROWS]


def embed_backward(ctx, g):
    return g.new_zeros(ctx.rows, g.shape[1]).index_add(0, ROWS, g)


def embed_overwritten(ctx, g):
    out = g.new_zeros(ctx.rows, g.shape[1])
    for row, g_row in zip(ROWS.tolist(), g, strict=True):
        out[row] = g_row
    return out


def embed_divided_by_frequency(ctx, g):
    counts = torch.bincount(ROWS, minlength=ctx.rows).clamp(min=1)[:, None]
    return embed_backward(ctx, g) / counts.to(g.dtype)


# --- means of segments ---


def _counts(dtype):
    return torch.bincount(SEGMENTS, minlength=3).to(dtype)[:, None]


def segment_mean(ctx, x):
    return x.new_zeros(3, x.shape[1]).index_add(0, SEGMENTS, x) / _counts(x.dtype)


def segment_mean_backward(ctx, g):
    return (g / _counts(g.dtype))[SEGMENTS]


def segment_sum_backward(ctx, g):
    return g[SEGMENTS]


def segment_mean_sorted(ctx, g):
    return (g / _counts(g.dtype))[SEGMENTS.sort().values]


ONES = F.one_hot(SEGMENTS).T.double().numpy()


def segment_mean_reference(x: Array) -> Array:
    return (ONES @ x) / np.sum(ONES, 1, keepdims=True)


# --- dense layers, fused with bias, activation, residual, adapters ---


def dense(ctx, x, w):
    ctx.save_for_backward(x, w)
    return x @ w.T


def dense_backward(ctx, g):
    x, w = ctx.saved_tensors
    return g @ w, g.T @ x


def dense_transposed(ctx, g):
    x, w = ctx.saved_tensors
    return g @ w, x.T @ g


def dense_swapped_operand(ctx, g):
    x, w = ctx.saved_tensors
    return g @ w.T, g.T @ x


def dense_tail_of_batch(ctx, g):
    """The loop over blocks of two rows leaves out the last, incomplete one."""
    x, w = ctx.saved_tensors
    n = len(x) // 2 * 2
    return g @ w, g[:n].T @ x[:n]


def biased(ctx, x, b):
    ctx.save_for_backward(x, b)
    return torch.tanh(x + b)


def biased_backward(ctx, g):
    x, b = ctx.saved_tensors
    z = g * (1 - torch.tanh(x + b) ** 2)
    return z, z.sum(0)


def biased_at_x(ctx, g):
    x, _ = ctx.saved_tensors
    z = g * (1 - torch.tanh(x) ** 2)
    return z, z.sum(0)


def biased_output_for_input(ctx, g):
    """1 - tanh(y)^2 with the output y in the place of the input."""
    x, b = ctx.saved_tensors
    z = g * (1 - torch.tanh(torch.tanh(x + b)) ** 2)
    return z, z.sum(0)


def residual(ctx, x, w):
    ctx.save_for_backward(x, w)
    return x + torch.tanh(x * w)


def residual_backward(ctx, g):
    x, w = ctx.saved_tensors
    z = g * (1 - torch.tanh(x * w) ** 2)
    return g + z * w, z * x


def residual_dropped(ctx, g):
    x, w = ctx.saved_tensors
    z = g * (1 - torch.tanh(x * w) ** 2)
    return z * w, z * x


ALPHA = 0.25


def adapted(ctx, x, a, b):
    ctx.save_for_backward(x, a, b)
    return ALPHA * (x @ a) @ b


def adapted_backward(ctx, g):
    x, a, b = ctx.saved_tensors
    return ALPHA * g @ b.T @ a.T, ALPHA * x.T @ (g @ b.T), ALPHA * (x @ a).T @ g


def adapted_not_scaled(ctx, g):
    x, a, b = ctx.saved_tensors
    return ALPHA * g @ b.T @ a.T, ALPHA * x.T @ (g @ b.T), (x @ a).T @ g


# --- activations with a parameter ---

BETA = 3.0


def beta_softplus(ctx, x):
    ctx.save_for_backward(x)
    return F.softplus(BETA * x) / BETA


def beta_softplus_backward(ctx, g):
    return g * torch.sigmoid(BETA * ctx.saved_tensors[0])


def beta_forgotten(ctx, g):
    return g * torch.sigmoid(ctx.saved_tensors[0])


def gelu(ctx, x):
    ctx.save_for_backward(x)
    return F.gelu(x, approximate="tanh")


def _gelu(ctx, g, root, inside):
    (x,) = ctx.saved_tensors
    t = torch.tanh(root * (x + 0.044715 * x**3))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + inside * x * x))


def gelu_backward(ctx, g):
    return _gelu(ctx, g, math.sqrt(2 / math.pi), 3 * 0.044715)


def gelu_short_root(ctx, g):
    return _gelu(ctx, g, 0.7978, 3 * 0.044715)


def gelu_power_not_derived(ctx, g):
    return _gelu(ctx, g, math.sqrt(2 / math.pi), 0.044715)


# --- a quantiser's clipping, a norm, a rotation, a solver ---


def clip(ctx, x, s):
    ctx.save_for_backward(x, s)
    return torch.minimum(torch.maximum(x, -s), s)


def clip_backward(ctx, g):
    x, s = ctx.saved_tensors
    inside = (x.abs() < s).to(g.dtype)
    return g * inside, (g * (1 - inside) * x.sign()).sum()


def clip_passes_everything(ctx, g):
    return g, clip_backward(ctx, g)[1]


def clip_without_sign(ctx, g):
    x, s = ctx.saved_tensors
    return clip_backward(ctx, g)[0], (g * (x.abs() >= s).to(g.dtype)).sum()


def cubic_norm(ctx, x):
    n = (x.abs() ** 3).sum() ** (1 / 3)
    ctx.save_for_backward(x, n)
    return n


def cubic_norm_backward(ctx, g):
    x, n = ctx.saved_tensors
    return g * x * x.abs() / n**2


def cubic_norm_without_sign(ctx, g):
    x, n = ctx.saved_tensors
    return g * x * x / n**2


def cross(ctx, a, b):
    ctx.save_for_backward(a, b)
    return torch.linalg.cross(a, b)


def cross_backward(ctx, g):
    a, b = ctx.saved_tensors
    return torch.linalg.cross(b, g), torch.linalg.cross(g, a)


def cross_other_hand(ctx, g):
    a, b = ctx.saved_tensors
    return torch.linalg.cross(b, g), torch.linalg.cross(a, g)


def solve(ctx, a, b):
    x = torch.linalg.solve(a, b)
    ctx.save_for_backward(a, x)
    return x


def solve_backward(ctx, g):
    a, x = ctx.saved_tensors
    b_bar = torch.linalg.solve(a.T, g)
    return -b_bar @ x.T, b_bar


def solve_not_transposed(ctx, g):
    a, x = ctx.saved_tensors
    b_bar = torch.linalg.solve(a, g)
    return -b_bar @ x.T, b_bar


def solvable(g: torch.Generator) -> tuple[Tensor, Tensor]:
    a = torch.randn(3, 3, generator=g) + 4 * torch.eye(3)
    return a.requires_grad_(), torch.randn(3, 2, generator=g).requires_grad_()


# --- a buffer that the second call overwrites before the first backward runs ---


class _Buffer:
    kept: Tensor


def buffered(ctx, x):
    _Buffer.kept = x
    ctx.save_for_backward(x)
    return torch.sin(x)


def buffered_backward(ctx, g):
    return g * torch.cos(ctx.saved_tensors[0])


def buffer_of_the_last_call(ctx, g):
    return g * torch.cos(_Buffer.kept)


def _twice(backward):
    sine = function(buffered, backward)
    return lambda x: sine(x) + sine(2 * x)


def _of(name, forward, right, wrong, reference, inputs, dtypes=None):
    more = {} if dtypes is None else {"dtypes": dtypes}
    return Specimen(
        name, Kind.MATHEMATICS, function(forward, right), function(forward, wrong), reference, inputs, **more
    )


_EMBED = (lambda w: w[ROWS.numpy()], normal((4, 3)))
_SEGMENT = (segment_mean_reference, normal((6, 3)))
_DENSE = (lambda x, w: x @ w.T, normal((5, 4), (4, 4)))
_BIASED = (lambda x, b: np.tanh(x + b), normal((4, 3), (3,)))
_CLIP = (
    lambda x, s: np.minimum(np.maximum(x, -s), s),
    lambda g: (*normal((12,))(g), *uniform(0.5, 1, ())(g)),
)
_GELU = (nn.gelu_tanh, normal((16,)))

SPECIMENS = (
    _of("embedding, duplicates overwritten", embed, embed_backward, embed_overwritten, *_EMBED),
    _of("embedding divided by frequency", embed, embed_backward, embed_divided_by_frequency, *_EMBED),
    _of("mean of segments, not divided", segment_mean, segment_mean_backward, segment_sum_backward, *_SEGMENT),
    _of("mean of segments, sorted indices", segment_mean, segment_mean_backward, segment_mean_sorted, *_SEGMENT),
    _of("weight's gradient transposed", dense, dense_backward, dense_transposed, *_DENSE),
    _of("weight not transposed", dense, dense_backward, dense_swapped_operand, *_DENSE),
    _of("weight's gradient without the last rows", dense, dense_backward, dense_tail_of_batch, *_DENSE),
    _of("activation's slope before the bias", biased, biased_backward, biased_at_x, *_BIASED),
    _of("output saved for the input", biased, biased_backward, biased_output_for_input, *_BIASED),
    _of("residual dropped", residual, residual_backward, residual_dropped, lambda x, w: x + np.tanh(x * w), normal((4, 3), (4, 3))),
    _of("adapter's factor forgotten", adapted, adapted_backward, adapted_not_scaled, lambda x, a, b: ALPHA * (x @ a) @ b,
        normal((4, 5), (5, 2), (2, 3))),
    _of("softplus, beta forgotten", beta_softplus, beta_softplus_backward, beta_forgotten,
        lambda x: np.logaddexp(0, BETA * x) / BETA, normal((12,))),
    _of("gelu with 0.7978 for a root", gelu, gelu_backward, gelu_short_root, *_GELU),
    _of("gelu, power not derived", gelu, gelu_backward, gelu_power_not_derived, *_GELU),
    _of("quantiser's clipping passes everything", clip, clip_backward, clip_passes_everything, *_CLIP),
    _of("quantiser's range without its sign", clip, clip_backward, clip_without_sign, *_CLIP),
    _of("cubic norm without a sign", cubic_norm, cubic_norm_backward, cubic_norm_without_sign,
        lambda x: np.sum(np.abs(x) ** 3) ** (1 / 3), normal((6,))),
    _of("cross product of the other hand", cross, cross_backward, cross_other_hand, np.cross, normal((4, 3), (4, 3))),
    _of("solver not transposed", solve, solve_backward, solve_not_transposed, np.linalg.solve, solvable, BOTH),
    Specimen("buffer of the last call", Kind.MATHEMATICS, _twice(buffered_backward), _twice(buffer_of_the_last_call),
             lambda x: np.sin(x) + np.sin(2 * x), normal((8,))),
)  # fmt: skip
