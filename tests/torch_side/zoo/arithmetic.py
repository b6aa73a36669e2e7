"""Roundings that are too coarse, sums in a short format, NaN and infinities where the derivative is finite, tied elements."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from refgrad import nn

from .record import BOTH, FOUR, Array, Kind, Specimen, fixed, function, normal, together, uniform

HALVES = ("bfloat16", "float16")


# --- the cotangent, or what was saved, in a short format ---


def dense(ctx, x, w):
    ctx.save_for_backward(x, w)
    return x @ w


def dense_backward(ctx, g):
    x, w = ctx.saved_tensors
    return g @ w.T, x.T @ g


def _through(dtype, what="cotangent"):
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        if what == "cotangent":
            g = g.to(dtype).to(x.dtype)
        else:
            x = x.to(dtype).to(x.dtype)
        return g @ w.T, x.T @ g

    return function(dense, backward)


def in_eight_bits(ctx, g):
    """Scaled by the largest element, and rounded to 127 steps."""
    x, w = ctx.saved_tensors
    step = g.abs().max() / 127
    g = torch.where(step > 0, torch.round(g / step) * step, g)
    return g @ w.T, x.T @ g


def _rounding(name, wrong, exposed=BOTH):
    return Specimen(name, Kind.ROUNDING, function(dense, dense_backward), wrong, lambda x, w: x @ w,
                    normal((8, 16), (16, 4)), exposed)  # fmt: skip


# --- sums over rows, kept in the format of the elements ---


def rows(ctx, x, w):
    ctx.save_for_backward(x)
    return x.sum(0) * w


def rows_backward(ctx, g):
    (x,) = ctx.saved_tensors
    return None, g * x.sum(0)


def _one_by_one(terms):
    return functools.reduce(torch.add, terms)


def rows_one_by_one(ctx, g):
    """A running sum in the format of x: beyond 256 or 2048 times its terms it stands still."""
    (x,) = ctx.saved_tensors
    return None, _one_by_one(g * x)


def shared(ctx, x, b):
    return x + b


def shared_backward(ctx, g):
    return None, g.sum(0)


def shared_one_by_one(ctx, g):
    return None, _one_by_one(g)


def positive_rows(g):
    return 0.5 + torch.rand(4096, 3, generator=g), 1 + torch.rand(3, generator=g).requires_grad_()


def some_rows(g):
    return torch.randn(256, 4, generator=g), torch.randn(4, generator=g).requires_grad_()


# --- a gradient below its bound everywhere ---


def norm_rows(ctx, x, w):
    r = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)
    ctx.save_for_backward(x, w, r)
    return (x * r * w).to(x.dtype)


def norm_rows_backward(ctx, g):
    x, w, r = ctx.saved_tensors
    n, gw = x * r, g * w
    return (r * (gw - n * (gw * n).mean(-1, keepdim=True))).to(x.dtype), (g * n).sum(0).to(x.dtype)


def norm_rows_weight_forgotten(ctx, g):
    return norm_rows_backward(ctx, g)[0], torch.zeros_like(ctx.saved_tensors[1])


def norm_rows_reference(x: Array, w: Array) -> Array:
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * w


# --- NaN and infinity against a finite derivative ---


def _elementwise(forward, slope):
    """An elementwise function with the slope ``slope(x)``."""

    def save(ctx, x):
        ctx.save_for_backward(x)
        return forward(x)

    def backward(ctx, g):
        return g * slope(ctx.saved_tensors[0])

    return function(save, backward)


FLOOR = 0.25


def unit(ctx, x):
    n = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    ctx.save_for_backward(x, n)
    return x / n.clamp(min=FLOOR)


def unit_backward(ctx, g):
    x, n = ctx.saved_tensors
    y = x / n.clamp(min=FLOOR)
    return (g - torch.where(n > FLOOR, y * (g * y).sum(-1, keepdim=True), 0)) / n.clamp(min=FLOOR)


def unit_floor_forgotten(ctx, g):
    x, n = ctx.saved_tensors
    y = x / n
    return (g - y * (g * y).sum(-1, keepdim=True)) / n


def unit_reference(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), FLOOR)


def sinc_slope(x):
    return (x * torch.cos(x) - torch.sin(x)) / (x * x)


def sinc_slope_safe(x):
    return torch.where(x == 0, 0, sinc_slope(torch.where(x == 0, 1, x)))


def logistic_slope(x):
    e = torch.exp(-x)
    return e / (1 + e) ** 2


def growing_share(x):
    return torch.exp(x) / (1 + torch.exp(x))


def modulus(ctx, a, b):
    y = torch.hypot(a, b)
    ctx.save_for_backward(a, b, y)
    return y


def modulus_backward(ctx, g):
    a, b, y = ctx.saved_tensors
    r = torch.where(y == 0, 0, g / torch.where(y == 0, 1, y))
    return a * r, b * r


def rooted_positive(x):
    """where(x > 0, sqrt(x), 0): below 0 the branch that is not chosen sends NaN."""
    return torch.where(x > 0, torch.sqrt(x), 0)


def rooted_safe(x):
    return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1)), 0)


def rooted_reference(x: Array) -> Array:
    return np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)


# --- ties ---


def largest(ctx, x):
    y = x.amax(-1)
    ctx.save_for_backward(x, y)
    return y


def _ties(ctx):
    x, y = ctx.saved_tensors
    return (x == y[..., None]).to(x.dtype)


def largest_backward(ctx, g):
    tied = _ties(ctx)
    return tied / tied.sum(-1, keepdim=True) * g[..., None]


def largest_first(ctx, g):
    x, _ = ctx.saved_tensors
    return F.one_hot(x.argmax(-1), x.shape[-1]).to(g.dtype) * g[..., None]


def largest_twice(ctx, g):
    return _ties(ctx) * g[..., None]


def largest_none(ctx, g):
    tied = _ties(ctx)
    return torch.where(tied.sum(-1, keepdim=True) > 1, 0, tied) * g[..., None]


def largest_shares_of_the_next_row(ctx, g):
    tied = _ties(ctx)
    return tied / tied.sum(-1, keepdim=True).roll(1, 0) * g[..., None]


def larger(ctx, a, b):
    ctx.save_for_backward(a, b)
    return torch.maximum(a, b)


def larger_backward(ctx, g):
    a, b = ctx.saved_tensors
    return g * (a >= b).to(g.dtype), g * (a < b).to(g.dtype)


def larger_twice(ctx, g):
    a, b = ctx.saved_tensors
    return g * (a >= b).to(g.dtype), g * (a <= b).to(g.dtype)


def larger_none(ctx, g):
    a, b = ctx.saved_tensors
    return g * (a > b).to(g.dtype), g * (a < b).to(g.dtype)


TIED = fixed([[1.0, 1.0, 0.5], [2.0, 3.0, -1.0], [-1.0, -1.0, -1.0], [0.0, 5.0, 0.25]])
TIED_PAIR = fixed([1.0, 2.0, -0.5, 3.0], [1.0, 0.5, -0.5, 4.0])


def _tie(name, right, wrong):
    return Specimen(
        name,
        Kind.TIE,
        function(largest, right),
        function(largest, wrong),
        lambda x: np.max(x, -1),
        TIED,
        FOUR,
    )


def _larger(name, wrong):
    return Specimen(
        name,
        Kind.TIE,
        function(larger, larger_backward),
        function(larger, wrong),
        np.maximum,
        TIED_PAIR,
        FOUR,
    )


def _finite(name, forward, right, wrong, reference, inputs, exposed=BOTH):
    return Specimen(
        name,
        Kind.NOT_FINITE,
        _elementwise(forward, right),
        _elementwise(forward, wrong),
        reference,
        inputs,
        exposed,
    )


SPECIMENS = (
    _rounding("cotangent through bfloat16", _through(torch.bfloat16)),
    _rounding("cotangent through float16", _through(torch.float16)),
    _rounding("cotangent through float32", _through(torch.float32), ("float64",)),
    _rounding("cotangent in eight bits", function(dense, in_eight_bits)),
    _rounding("operand saved in bfloat16", _through(torch.bfloat16, "operand")),
    _rounding("operand saved in float32", _through(torch.float32, "operand"), ("float64",)),
    Specimen("sum over 4096 rows in the format of the elements", Kind.ACCUMULATION, function(rows, rows_backward),
             function(rows, rows_one_by_one), lambda x, w: np.sum(x, 0) * w, positive_rows, HALVES),
    Specimen("gradient of a bias added up in a half format", Kind.ACCUMULATION, function(shared, shared_backward),
             function(shared, shared_one_by_one), lambda x, b: x + b, some_rows, HALVES, status=("disagree", "imprecise")),
    Specimen("weight's gradient is zero, 32,768 rows", Kind.BLIND, function(norm_rows, norm_rows_backward),
             function(norm_rows, norm_rows_weight_forgotten), norm_rows_reference,
             together(normal((32768, 4)), uniform(1, 1, (4,))), ("bfloat16",), ("bfloat16",), status=("undecided", "disagree")),
    Specimen("floor of a norm forgotten, zero row", Kind.NOT_FINITE, function(unit, unit_backward), function(unit, unit_floor_forgotten),
             unit_reference, fixed([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]]), FOUR),
    _finite("sin(x)/x at 0", lambda x: torch.sinc(x / torch.pi), sinc_slope_safe, sinc_slope, lambda x: np.sinc(x / np.pi),
            fixed([0.0, 1.0, -2.0])),
    _finite("slope of the logistic function far out", torch.sigmoid, lambda x: torch.sigmoid(x) * torch.sigmoid(-x), logistic_slope,
            nn.sigmoid, fixed([-800.0, -0.5, 1.5])),
    _finite("slope of softplus far out", lambda x: torch.logaddexp(x, torch.zeros_like(x)), torch.sigmoid, growing_share,
            lambda x: np.logaddexp(0, x), fixed([800.0, -0.5, 1.5])),
    Specimen("branch that is not chosen sends NaN", Kind.NOT_FINITE, rooted_safe, rooted_positive, rooted_reference,
             fixed([-1.0, 2.0, 0.5])),
    Specimen("modulus of a pair at 0", Kind.NOT_FINITE, function(modulus, modulus_backward),
             lambda a, b: torch.sqrt(a * a + b * b), np.hypot, fixed([0.0, 3.0], [0.0, 4.0])),
    _tie("largest, ties counted each", largest_backward, largest_twice),
    _tie("largest, ties not counted", largest_first, largest_none),
    _tie("largest, shares of another row", largest_backward, largest_shares_of_the_next_row),
    _larger("larger of two, equal ones counted twice", larger_twice),
    _larger("larger of two, equal ones not counted", larger_none),
)  # fmt: skip
