"""Right torch callables with habits that a check may take for mistakes: views as gradients, masks of a seed, options."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812  torch's own name for it
from torch.utils.checkpoint import checkpoint

from refgrad import nn

from .pairs import Pair
from .record import Array, Tensor, fixed, function, normal, together, uniform, whole


def save(forward):
    def saved(ctx, *xs):
        ctx.save_for_backward(*xs)
        return forward(*xs)

    return saved


def shape_kept(ctx, x):
    ctx.shape = x.shape
    return x.sum(0)


@once_differentiable
def sine_once(ctx, g):
    (x,) = ctx.saved_tensors
    return g * torch.cos(x)


def product_as_needed(ctx, g):
    a, b = ctx.saved_tensors
    need = ctx.needs_input_grad
    return g * b if need[0] else None, g * a if need[1] else None


def doubled_in_place(ctx, x):
    ctx.mark_dirty(x)
    return x.mul_(2)


def with_options(ctx, x, power, mode, unused):
    ctx.save_for_backward(x)
    ctx.power = power
    return x**power if mode == "power" else x


def with_options_backward(ctx, g):
    (x,) = ctx.saved_tensors
    return ctx.power * g * x ** (ctx.power - 1), None, None, None


def halves(ctx, x):
    ctx.set_materialize_grads(False)
    ctx.shape = x.shape
    return x[: len(x) // 2].clone(), x[len(x) // 2 :].clone()


def halves_backward(ctx, *bars):
    given = next((g for g in bars if g is not None), None)
    if given is None:
        return None
    sizes = ctx.shape[0] // 2, ctx.shape[0] - ctx.shape[0] // 2
    return torch.cat(
        [given.new_zeros(n, *ctx.shape[1:]) if g is None else g for g, n in zip(bars, sizes, strict=True)]
    )


def recomputed(ctx, x, w):
    ctx.save_for_backward(x, w)
    return torch.tanh(x @ w)


def recomputed_backward(ctx, g):
    x, w = (t.detach().requires_grad_() for t in ctx.saved_tensors)
    with torch.enable_grad():
        y = torch.tanh(x @ w)
    return torch.autograd.grad(y, (x, w), g)


def softmax_and_lse(ctx, x):
    y, lse = torch.softmax(x, -1), torch.logsumexp(x, -1)
    ctx.mark_non_differentiable(lse)
    ctx.save_for_backward(y)
    return y, lse


def softmax_and_lse_backward(ctx, g, _):
    (y,) = ctx.saved_tensors
    return y * (g - (g * y).sum(-1, keepdim=True))


class Modern(Function):
    """Saved in setup_context, with a jvp, and torch makes the rule for vmap."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return torch.sin(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * torch.cos(ctx.saved_tensors[0])

    @staticmethod
    def jvp(ctx, x_dot):
        return x_dot * torch.cos(ctx.saved_tensors[0])


def mask_of(seed: int, shape: Any) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.5


def dropped(x: Tensor) -> Tensor:
    return 2 * x * mask_of(3, x.shape).to(x.dtype)


def batch_norm(x: Tensor) -> Tensor:
    """It keeps running statistics, which the answer does not depend on."""
    kept = torch.zeros(x.shape[1], dtype=x.dtype), torch.ones(x.shape[1], dtype=x.dtype)
    return F.batch_norm(x, *kept, training=True, eps=1e-3)


def standardised(x: Array) -> Array:
    centred = x - np.mean(x, 0)
    return centred / np.sqrt(np.mean(centred * centred, 0) + 1e-3)


def convolved(x: Array, k: Array) -> Array:
    h, w = x.shape[2] - 1, x.shape[3] - 1
    parts = [
        np.einsum("nchw,oc->nohw", x[:, :, i : i + h, j : j + w], k[:, :, i, j])
        for i in range(2)
        for j in range(2)
    ]
    return parts[0] + parts[1] + parts[2] + parts[3]


def attended(q: Array, k: Array, v: Array) -> Array:
    s = np.where(np.tril(np.ones((5, 5), bool)), q @ k.T / math.sqrt(4), -np.inf)
    return nn.softmax(s) @ v


def sparse_rows_backward(ctx, g):
    return torch.sparse_coo_tensor(ROWS[None], g, (ctx.rows, g.shape[1]), check_invariants=False)


def rows_of(ctx, w):
    ctx.rows = len(w)
    return w[ROWS]


def turned(x, sign):
    """Pairs of elements as complex numbers, each times a number of its own on the unit circle."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32)).contiguous().unflatten(-1, (-1, 2))
    angles = sign * torch.arange(1.0, 4.0, dtype=wide.dtype)
    turns = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(torch.view_as_complex(wide) * turns).flatten(-2).to(x.dtype)


def turned_by_matrices(x: Array) -> Array:
    a, b, c, s = x[..., ::2], x[..., 1::2], np.cos(np.arange(1.0, 4.0)), np.sin(np.arange(1.0, 4.0))
    return np.stack([a * c - b * s, a * s + b * c], -1).reshape(x.shape)


def doubled_with_mean_square(ctx, x):
    """The second output stays in float32, as statistics of kernels in half formats do."""
    ctx.save_for_backward(x)
    return 2 * x, x.to(torch.promote_types(x.dtype, torch.float32)).square().mean(-1)


def doubled_with_mean_square_backward(ctx, g, h):
    (x,) = ctx.saved_tensors
    return 2 * g + (h[:, None] * 2 * x / x.shape[-1]).to(x.dtype)


ROWS = torch.tensor([2, 0, 2, 3])
_X, _XW = normal((4, 6)), normal((4, 3), (3, 5))

CONTROLS: tuple[Pair, ...] = (
    Pair("returns its cotangent", function(lambda ctx, x: x.clone(), lambda ctx, g: g), lambda x: 1 * x, _X),
    Pair("returns its cotangent twice", function(lambda ctx, a, b: a + b, lambda ctx, g: (g, g)), lambda a, b: a + b, normal((6,), (6,))),
    Pair("returns an expanded gradient", function(shape_kept, lambda ctx, g: g.expand(ctx.shape)), lambda x: np.sum(x, 0), _X),
    Pair("returns a view of the cotangent", function(lambda ctx, x: x.T.contiguous(), lambda ctx, g: g.T), lambda x: x.T, _X),
    Pair("returns its input", function(lambda ctx, x: x, lambda ctx, g: g), lambda x: 1 * x, _X),
    Pair("once differentiable", function(save(torch.sin), sine_once), np.sin, _X),
    Pair("gradients as they are needed", function(save(torch.mul), product_as_needed), lambda a, b: a * b, normal((6,), (6,))),
    Pair("in place, on a copy", lambda x: function(doubled_in_place, lambda ctx, g: 2 * g)(x.clone()), lambda x: 2 * x, _X),
    Pair("in place, within", lambda x: torch.sin(x).relu_(), lambda x: nn.relu(np.sin(x)), _X),
    Pair("arguments of other kinds", lambda x: function(with_options, with_options_backward)(x, 3, "power", None), lambda x: x**3, _X),
    Pair("outputs that are not used", function(halves, halves_backward), lambda x: (x[:2] * 1, x[2:] * 1), _X),
    Pair("recomputes in the backward", function(recomputed, recomputed_backward), lambda x, w: np.tanh(x @ w), _XW),
    Pair("checkpointed", lambda x, w: checkpoint(lambda x, w: torch.tanh(x @ w), x, w, use_reentrant=False),
         lambda x, w: np.tanh(x @ w), _XW),
    Pair("one output without a derivative", function(softmax_and_lse, softmax_and_lse_backward),
         lambda x: (nn.softmax(x), nn.logsumexp(x, axis=-1)), _X),
    Pair("integers beside the values", lambda x: x.max(-1), lambda x: (np.max(x, -1), np.argmax(x, -1)), _X),
    Pair("set up in another method", Modern.apply, np.sin, _X),
    Pair("under vmap", torch.func.vmap(lambda x: torch.sin(x).sum()), lambda x: np.sum(np.sin(x), -1), _X),
    Pair("a Function under vmap", torch.func.vmap(Modern.apply), np.sin, _X),
    Pair("dropout by a seed", dropped, lambda x: 2 * x * mask_of(3, x.shape).numpy(), _X),
    Pair("running statistics", batch_norm, standardised, normal((6, 3))),
    Pair("list of outputs", lambda x: [torch.sin(x), x.T], lambda x: (np.sin(x), x.T), _X),
    Pair("views", lambda x: (x[1:], x[:, ::2], x.reshape(-1)), lambda x: (x[1:], x[:, ::2], x.reshape(-1)), _X),
    Pair("expanded output", lambda x: x.sum(0).expand(3, 6), lambda x: np.broadcast_to(np.sum(x, 0), (3, 6)), _X),
    Pair("a number", torch.exp, np.exp, normal(())),
    Pair("a sum of everything", lambda x: x.sum(), np.sum, normal((40, 50))),
    Pair("a mean in float64 inside", lambda x: x.double().mean(-1).to(x.dtype), lambda x: np.mean(x, -1), normal((4, 32))),
    Pair("rows of a table", lambda w: F.embedding(ROWS, w), lambda w: w[ROWS.numpy()], normal((4, 3))),
    Pair("rows of a table, a sparse gradient", function(rows_of, sparse_rows_backward), lambda w: w[ROWS.numpy()], normal((4, 3))),
    Pair("indices of the largest two", lambda x: torch.topk(x, 2), lambda x: (np.sort(x)[..., :-3:-1], np.argsort(-x, -1)[..., :2]), _X),
    Pair("None beside the output", function(save(lambda x: (torch.sin(x), None)), lambda ctx, g, _: sine_once(ctx, g)), np.sin, _X),
    Pair("pairs as complex numbers", function(lambda ctx, x: turned(x, 1), lambda ctx, g: turned(g, -1)), turned_by_matrices, _X),
    Pair("statistics in float32", function(doubled_with_mean_square, doubled_with_mean_square_backward),
         lambda x: (2 * x, np.mean(x * x, -1)), _X),
    Pair("gathered", lambda x: x.gather(1, torch.zeros(4, 2, dtype=torch.int64)), lambda x: np.stack([x[:, 0], x[:, 0]], -1), _X),
    Pair("convolution", F.conv2d, convolved, normal((2, 3, 4, 4), (2, 3, 2, 2))),
    Pair("masked attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), attended,
         normal((5, 4), (5, 4), (5, 3))),
    Pair("cross-entropy of labels", F.cross_entropy, nn.cross_entropy, together(normal((6, 4)), whole(4, (6,)))),
    Pair("largest, first of the ties", lambda x: x.max(-1).values, lambda x: np.max(x, -1), fixed([[1.0, 1.0], [2.0, 3.0]])),
    Pair("largest, equal shares", lambda x: x.amax(-1), lambda x: np.max(x, -1), fixed([[1.0, 1.0], [2.0, 3.0]])),
    Pair("sorted, with ties", lambda x: x.sort(-1).values, lambda x: np.sort(x, -1), fixed([[1.0, 0.5, 1.0], [2.0, 3.0, 2.0]])),
    Pair("clamped at its bound", lambda x: x.clamp(-1, 1), lambda x: np.clip(x, -1, 1), fixed([-1.0, 0.5, 1.0, 2.0])),
    Pair("rectified at 0", torch.relu, nn.relu, fixed([0.0, -1.0, 2.0])),
    Pair("piecewise", lambda x: torch.where(x > 0, x * x, -x), lambda x: np.where(x > 0, x * x, -x), _X),
    Pair("a product with a zero", lambda x: x.prod(), np.prod, fixed([0.0, 2.0, 3.0])),
    Pair("a quotient", lambda a, b: a / b, lambda a, b: a / b, uniform(0.5, 2, (6,), (6,))),
)  # fmt: skip
