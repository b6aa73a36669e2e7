"""Right torch callables, each beside a reference that computes the same function by another formula.

A check has to accept all of them, in every dtype: the verdict may be ``imprecise``, never ``disagree``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from refgrad import nn

from .record import Array, Generator, Tensor, normal, uniform


@dataclass(frozen=True)
class Pair:
    """A torch callable, the same function in NumPy by another formula, and draws of the inputs."""

    name: str
    kernel: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: Callable[[Generator], tuple[Any, ...]]

    def drawn(self, seed: int) -> tuple[Any, ...]:
        """The inputs of one seed; floating-point ones require a gradient."""
        return self.inputs(torch.Generator().manual_seed(seed))


# --- scans and products ---


def doubled_scan(a: Tensor, x: Tensor) -> Tensor:
    """h_i = a_i h_(i-1) + x_i by recursive doubling: about log2(n) passes over the whole array."""
    step = 1
    while step < len(x):
        before_a = F.pad(a, (step, 0), value=1.0)[: len(a)]
        before_x = F.pad(x, (step, 0))[: len(x)]
        a, x, step = a * before_a, a * before_x + x, 2 * step
    return x


def looped_scan(a: Array, x: Array) -> Array:
    """h_i = a_i h_(i-1) + x_i, one step after the other."""
    h, hs = 0 * x[0], []
    for i in range(x.shape[0]):
        h = a[i] * h + x[i]
        hs.append(h)
    return np.stack(hs)


def scan_by_matrix(a: Tensor, x: Tensor) -> Tensor:
    """The same recurrence, as a product with the lower triangle of exp(sum of logarithms of a)."""
    total = torch.cumsum(torch.log(a), 0)
    decay = torch.tril(torch.exp(total[:, None] - total[None, :]))
    return decay @ x


def looped_product(x: Array) -> Array:
    """All leading products, one multiplication after the other."""
    p, ps = 1.0, []
    for i in range(x.shape[0]):
        p = p * x[i]
        ps.append(p)
    return np.stack(ps)


def convolved_by_fft(x: Tensor, k: Tensor) -> Tensor:
    """The full convolution of two vectors through the frequency domain; half formats in float32, as kernels do."""
    n = len(x) + len(k) - 1
    wide = torch.promote_types(x.dtype, torch.float32)
    spectrum = torch.fft.rfft(x.to(wide), n) * torch.fft.rfft(k.to(wide), n)
    return (1.0 * torch.fft.irfft(spectrum, n)).to(x.dtype)  # times 1: torch 2.6 refuses expanded cotangents


def convolved(x: Array, k: Array) -> Array:
    """The full convolution as a sum of shifted copies."""
    n, m = x.shape[0], k.shape[0]
    return functools.reduce(np.add, [k[j] * np.pad(x, (j, m - 1 - j)) for j in range(m)])[: n + m - 1]


# --- losses ---


def focal_by_bce(x: Tensor, t: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits(x, t.to(x.dtype), reduction="none")
    return ((1 - torch.exp(-bce)) ** 2 * bce).sum()


def focal(x: Array, t: Array) -> Array:
    p = nn.sigmoid((2 * t - 1) * x)
    return np.sum(-((1 - p) ** 2) * np.log(p))


def labelled(g: Generator) -> tuple[Tensor, Tensor]:
    return torch.randn(16, 5, generator=g).requires_grad_(), torch.randint(0, 5, (16,), generator=g)


def binary(g: Generator) -> tuple[Tensor, Tensor]:
    return torch.randn(64, generator=g).requires_grad_(), torch.randint(0, 2, (64,), generator=g)


def naive_cross_entropy(x: Array, labels: Array) -> Array:
    e = np.exp(x)
    p = e / np.sum(e, axis=-1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(labels)), labels]))


# --- normalisation ---


def variance_of_squares(x: Tensor) -> Tensor:
    return (x * x).mean(-1) - x.mean(-1) ** 2


def variance(x: Array) -> Array:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return np.mean(centred * centred, axis=-1)


def layer_norm(x: Array, w: Array, b: Array) -> Array:
    m = np.mean(x, axis=-1, keepdims=True)
    return (x - m) / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) - m * m + 1e-5) * w + b


def cosine(a: Array, b: Array) -> Array:
    return np.sum(a * b, -1) / np.sqrt(np.sum(a * a, -1) * np.sum(b * b, -1))


def attention(q: Array, k: Array, v: Array) -> Array:
    s = np.exp(q @ k.T / math.sqrt(q.shape[-1]))
    return (s @ v) / np.sum(s, axis=-1, keepdims=True)


def distances_by_products(a: Tensor, b: Tensor) -> Tensor:
    return (a * a).sum(-1)[:, None] + (b * b).sum(-1)[None] - 2 * a @ b.T


LOG2_E = 1 / math.log(2)
ROOT = math.sqrt(2 / math.pi)

PAIRS: tuple[Pair, ...] = (
    Pair("sigmoid, by 1 / (1 + exp(-x))", torch.sigmoid, lambda x: 1 / (1 + np.exp(-x)), normal((64,))),
    Pair("sigmoid, by tanh", torch.sigmoid, lambda x: 0.5 * (1 + np.tanh(0.5 * x)), normal((64,))),
    Pair("tanh form of sigmoid", lambda x: 0.5 * (1 + torch.tanh(0.5 * x)), nn.sigmoid, normal((64,), scale=2)),
    Pair("sigmoid of exp, by nn.sigmoid", lambda x: 1 / (1 + torch.exp(-x)), nn.sigmoid, normal((64,), scale=2)),
    Pair("tanh, by sigmoid", torch.tanh, lambda x: 2 * nn.sigmoid(2 * x) - 1, normal((64,))),
    Pair("tanh, by exponentials", torch.tanh, lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), normal((64,))),
    Pair("softplus, by log(1 + exp(x))", F.softplus, lambda x: np.log(1 + np.exp(x)), normal((64,), scale=2)),
    Pair("softplus of log1p, by logaddexp", lambda x: torch.log1p(torch.exp(x)), lambda x: np.logaddexp(0, x),
         normal((64,), scale=2)),
    Pair("logsigmoid, by 1 / (1 + exp(-x))", F.logsigmoid, lambda x: np.log(1 / (1 + np.exp(-x))), normal((64,))),
    Pair("logsumexp, naive reference", lambda x: torch.logsumexp(x, -1), lambda x: np.log(np.sum(np.exp(x), -1)),
         normal((8, 9))),
    Pair("logsumexp, naive kernel", lambda x: torch.log(torch.exp(x).sum(-1)), lambda x: nn.logsumexp(x, axis=-1),
         normal((8, 9))),
    Pair("log_softmax, by log of softmax", lambda x: F.log_softmax(x, -1), lambda x: np.log(nn.softmax(x)), normal((8, 9))),
    Pair("log_softmax, by x - logsumexp", lambda x: F.log_softmax(x, -1),
         lambda x: x - np.log(np.sum(np.exp(x), -1, keepdims=True)), normal((8, 9))),
    Pair("softmax by exp2", lambda x: torch.exp2(x * LOG2_E) / torch.exp2(x * LOG2_E).sum(-1, keepdim=True), nn.softmax,
         normal((8, 9))),
    Pair("softmax, by exp", lambda x: torch.softmax(x, -1), lambda x: np.exp(x) / np.sum(np.exp(x), -1, keepdims=True),
         normal((8, 9))),
    Pair("silu, by x / (1 + exp(-x))", F.silu, lambda x: x / (1 + np.exp(-x)), normal((64,))),
    Pair("silu by tanh", lambda x: 0.5 * x * (1 + torch.tanh(0.5 * x)), nn.silu, normal((64,))),
    Pair("mish, by a fraction", F.mish, lambda x: x * (1 - 2 / ((1 + np.exp(x)) ** 2 + 1)), normal((64,))),
    Pair("gelu of tanh, by sigmoid", lambda x: F.gelu(x, approximate="tanh"),
         lambda x: x * nn.sigmoid(2 * ROOT * (x + 0.044715 * x**3)), normal((64,))),
    Pair("gelu of sigmoid, by tanh", lambda x: x * torch.sigmoid(2 * ROOT * x * (1 + 0.044715 * x * x)), nn.gelu_tanh,
         normal((64,))),
    Pair("scan by doubling", doubled_scan, looped_scan, uniform(0.25, 1.0, (32,), (32,))),
    Pair("scan by doubling, signs", doubled_scan, looped_scan, uniform(-1, 1, (24,), (24,))),
    Pair("scan by a matrix", scan_by_matrix, looped_scan, uniform(0.5, 1.0, (12,), (12,))),
    Pair("cumprod in log space", lambda x: torch.exp(torch.cumsum(torch.log(x), 0)), looped_product,
         uniform(0.75, 1.25, (24,))),
    Pair("cumprod, by log space", lambda x: torch.cumprod(x, 0), lambda x: np.exp(np.cumsum(np.log(x))),
         uniform(0.75, 1.25, (24,))),
    Pair("cumsum by a matrix", lambda x: torch.tril(x.new_ones(len(x), len(x))) @ x, np.cumsum, normal((48,))),
    Pair("convolution by FFT", convolved_by_fft, convolved, normal((40,), (9,))),
    Pair("lerp", torch.lerp, lambda a, b, w: (1 - w) * a + w * b, uniform(-1, 1, (64,), (64,), (64,))),
    Pair("lerp, by products", lambda a, b, w: (1 - w) * a + w * b, lambda a, b, w: a + w * (b - a),
         uniform(0.0, 1.0, (64,), (64,), (64,))),
    Pair("focal loss by cross-entropy", focal_by_bce, focal, binary),
    Pair("binary cross-entropy", lambda x, t: F.binary_cross_entropy_with_logits(x, t.to(x.dtype)),
         lambda x, t: -np.mean(t * np.log(1 / (1 + np.exp(-x))) + (1 - t) * np.log(1 - 1 / (1 + np.exp(-x)))), binary),
    Pair("cross-entropy", F.cross_entropy, naive_cross_entropy, labelled),
    Pair("x * x - 1, by (x - 1) (x + 1)", lambda x: x * x - 1, lambda x: (x - 1) * (x + 1), uniform(0.5, 1.5, (64,))),
    Pair("(x - 1) (x + 1), by x * x - 1", lambda x: (x - 1) * (x + 1), lambda x: x * x - 1, uniform(0.5, 1.5, (64,))),
    Pair("polynomial by Horner", lambda x: ((x - 3) * x + 3) * x - 1, lambda x: (x - 1) ** 3, uniform(-2, 2, (64,))),
    Pair("variance by squares", variance_of_squares, variance, normal((8, 16))),
    Pair("variance, by squares", lambda x: x.var(-1, correction=0),
         lambda x: np.mean(x * x, -1) - np.mean(x, -1) ** 2, normal((8, 16))),
    Pair("rms norm by rsqrt", lambda x: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6),
         lambda x: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6), normal((8, 16))),
    Pair("layer norm", lambda x, w, b: F.layer_norm(x, (16,), w, b), layer_norm, normal((8, 16), (16,), (16,))),
    Pair("hypot, by squares", torch.hypot, lambda a, b: np.sqrt(a * a + b * b), normal((64,), (64,))),
    Pair("root of squares, by hypot", lambda a, b: torch.sqrt(a * a + b * b), np.hypot, normal((64,), (64,))),
    Pair("norm, by squares", lambda x: torch.linalg.vector_norm(x, dim=-1), lambda x: np.sqrt(np.sum(x * x, -1)),
         normal((8, 16))),
    Pair("expm1, by exp", torch.expm1, lambda x: np.exp(x) - 1, normal((64,))),
    Pair("log1p, by log", torch.log1p, lambda x: np.log(1 + x), uniform(-0.5, 2, (64,))),
    Pair("log of 1 + x, by log1p", lambda x: torch.log(1 + x), np.log1p, uniform(-0.5, 2, (64,))),
    Pair("logaddexp, by exponentials", torch.logaddexp, lambda a, b: np.log(np.exp(a) + np.exp(b)), normal((64,), (64,))),
    Pair("cosine similarity", F.cosine_similarity, cosine, normal((8, 16), (8, 16))),
    Pair("attention", F.scaled_dot_product_attention, attention, normal((6, 4), (7, 4), (7, 5))),
    Pair("squared distances by products", distances_by_products, lambda a, b: np.sum((a[:, None] - b[None]) ** 2, -1),
         normal((6, 5), (7, 5))),
    Pair("product of three, by the other order", lambda a, b, x: a @ (b @ x), lambda a, b, x: (a @ b) @ x,
         normal((6, 7), (7, 8), (8,))),
    Pair("geometric mean by logarithms", lambda x: torch.exp(torch.log(x).mean(-1)), lambda x: np.prod(x, -1) ** (1 / 8),
         uniform(0.5, 2, (6, 8))),
    Pair("quotient by the reciprocal", lambda a, b: a * torch.reciprocal(b), lambda a, b: a / b, uniform(0.5, 2, (64,), (64,))),
    Pair("angle", torch.atan2, lambda a, b: 2 * np.arctan(a / (np.sqrt(a * a + b * b) + b)), uniform(0.1, 1, (64,), (64,))),
    Pair("cosine of half an angle", lambda x: 2 * torch.sin(0.5 * x) ** 2, lambda x: 1 - np.cos(x), normal((64,))),
)  # fmt: skip


class Swish(torch.autograd.Function):
    """The README's example."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return y_bar * (s + x * s * (1 - s))


SWISH: tuple[Pair, ...] = tuple(
    Pair(f"the README's Swish, {n} elements", Swish.apply, lambda x: x / (1 + np.exp(-x)), normal((n,)))
    for n in (64, 1000, 65_536, 100_000)
)
