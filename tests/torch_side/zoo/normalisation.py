"""Normalisations: terms of the derivative that get lost, sums over the wrong axes, constants that are forgotten."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from refgrad import nn

from .record import Array, Kind, Specimen, function, normal

EPS = 1e-3


def standardised(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x, centred and of variance 1 over the axes, and the reciprocal deviation."""
    centred = x - x.mean(axes, keepdim=True)
    r = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + EPS)
    return centred * r, r


def standardised_reference(x: Array, axes: tuple[int, ...]) -> Array:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + EPS)


def inner(g: Tensor, hat: Tensor, r: Tensor, axes: tuple[int, ...]) -> Tensor:
    """r (g - mean g - hat mean(g hat))."""
    return r * (g - g.mean(axes, keepdim=True) - hat * (g * hat).mean(axes, keepdim=True))


# --- layer norm ---


def layer(ctx, x, w, b):
    hat, r = standardised(x, (-1,))
    ctx.save_for_backward(hat, r, w)
    return hat * w + b


def layer_backward(ctx, g):
    hat, r, w = ctx.saved_tensors
    return inner(g * w, hat, r, (-1,)), (g * hat).sum((0, 1)), g.sum((0, 1))


def layer_without_mean(ctx, g):
    hat, r, w = ctx.saved_tensors
    gw = g * w
    return r * (gw - hat * (gw * hat).mean(-1, keepdim=True)), (g * hat).sum((0, 1)), g.sum((0, 1))


def layer_without_projection(ctx, g):
    hat, r, w = ctx.saved_tensors
    gw = g * w
    return r * (gw - gw.mean(-1, keepdim=True)), (g * hat).sum((0, 1)), g.sum((0, 1))


def layer_weight_averaged(ctx, g):
    hat, r, w = ctx.saved_tensors
    return inner(g * w, hat, r, (-1,)), (g * hat).mean((0, 1)), g.sum((0, 1))


def layer_weight_after(ctx, g):
    hat, r, w = ctx.saved_tensors
    return w * inner(g, hat, r, (-1,)), (g * hat).sum((0, 1)), g.sum((0, 1))


def layer_reference(x: Array, w: Array, b: Array) -> Array:
    return standardised_reference(x, (-1,)) * w + b


# --- rms norm of small numbers ---


def rms(ctx, x):
    r = torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS)
    ctx.save_for_backward(x, r)
    return x * r


def rms_backward(ctx, g):
    x, r = ctx.saved_tensors
    return r * (g - x * r * r * (g * x).mean(-1, keepdim=True))


def rms_without_eps(ctx, g):
    x, _ = ctx.saved_tensors
    r = torch.rsqrt((x * x).mean(-1, keepdim=True))
    return r * (g - x * r * r * (g * x).mean(-1, keepdim=True))


def rms_reference(x: Array) -> Array:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPS)


# --- group norm of (N, C, L) in two groups ---


def group(ctx, x):
    hat, r = standardised(x.reshape(len(x), 2, -1), (2,))
    ctx.save_for_backward(hat, r)
    return hat.reshape(x.shape)


def group_backward(ctx, g):
    hat, r = ctx.saved_tensors
    return inner(g.reshape(hat.shape), hat, r, (2,)).reshape(g.shape)


def group_over_all_channels(ctx, g):
    hat, r = ctx.saved_tensors
    return inner(g.reshape(hat.shape), hat, r, (1, 2)).reshape(g.shape)


def group_reference(x: Array) -> Array:
    return standardised_reference(x.reshape(x.shape[0], 2, -1), (2,)).reshape(x.shape)


# --- batch norm of (N, C) ---


def batch(ctx, x):
    hat, r = standardised(x, (0,))
    ctx.save_for_backward(hat, r)
    return hat


def batch_backward(ctx, g):
    hat, r = ctx.saved_tensors
    return inner(g, hat, r, (0,))


def batch_statistics_constant(ctx, g):
    _, r = ctx.saved_tensors
    return r * g


def batch_unbiased(ctx, g):
    hat, r = ctx.saved_tensors
    n = len(g)
    return r * (g - g.mean(0) - hat * (g * hat).sum(0) / (n - 1))


# --- unit vectors, weight norm ---


def unit(ctx, x):
    n = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    ctx.save_for_backward(x, n)
    return x / n


def unit_backward(ctx, g):
    x, n = ctx.saved_tensors
    y = x / n
    return (g - y * (g * y).sum(-1, keepdim=True)) / n


def unit_projected_on_x(ctx, g):
    x, n = ctx.saved_tensors
    return (g - x * (g * x).sum(-1, keepdim=True)) / n


def unit_reference(x: Array) -> Array:
    return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))


def weight_norm(ctx, v, s):
    n = torch.linalg.vector_norm(v, dim=1, keepdim=True)
    ctx.save_for_backward(v, s, n)
    return v * (s / n)


def weight_norm_backward(ctx, g):
    v, s, n = ctx.saved_tensors
    u = v / n
    along = (g * u).sum(1, keepdim=True)
    return s / n * (g - u * along), along


def weight_norm_not_tangent(ctx, g):
    v, s, n = ctx.saved_tensors
    return s / n * g, (g * v / n).sum(1, keepdim=True)


def weight_norm_reference(v: Array, s: Array) -> Array:
    return v * (s / np.sqrt(np.sum(v * v, axis=1, keepdims=True)))


# --- softmax ---


def softmax(ctx, x):
    y = torch.softmax(x, -1)
    ctx.save_for_backward(y)
    return y


def softmax_backward(ctx, g):
    (y,) = ctx.saved_tensors
    return y * (g - (g * y).sum(-1, keepdim=True))


def softmax_diagonal(ctx, g):
    (y,) = ctx.saved_tensors
    return y * (1 - y) * g


def log_softmax(ctx, x):
    y = torch.log_softmax(x, -1)
    ctx.save_for_backward(y)
    return y


def log_softmax_backward(ctx, g):
    (y,) = ctx.saved_tensors
    return g - torch.exp(y) * g.sum(-1, keepdim=True)


def log_softmax_sum_over_rows(ctx, g):
    (y,) = ctx.saved_tensors
    return g - torch.exp(y) * g.sum(0, keepdim=True)


_LAYER = (layer_reference, normal((2, 3, 5), (5,), (5,)))
_BATCH = (lambda x: standardised_reference(x, (0,)), normal((6, 3)))


def _of_layer(name, backward):
    return Specimen(
        name, Kind.MATHEMATICS, function(layer, layer_backward), function(layer, backward), *_LAYER
    )


SPECIMENS = (
    _of_layer("layer norm without the mean of the cotangent", layer_without_mean),
    _of_layer("layer norm without the projection", layer_without_projection),
    _of_layer("layer norm, weight's gradient averaged", layer_weight_averaged),
    _of_layer("layer norm, weight applied last", layer_weight_after),
    Specimen("rms norm without eps", Kind.MATHEMATICS, function(rms, rms_backward), function(rms, rms_without_eps),
             rms_reference, normal((4, 6), scale=0.0625)),
    Specimen("group norm over all channels", Kind.MATHEMATICS, function(group, group_backward),
             function(group, group_over_all_channels), group_reference, normal((2, 4, 3))),
    Specimen("batch norm with constant statistics", Kind.MATHEMATICS, function(batch, batch_backward),
             function(batch, batch_statistics_constant), *_BATCH),
    Specimen("batch norm divided by n - 1", Kind.MATHEMATICS, function(batch, batch_backward), function(batch, batch_unbiased), *_BATCH),
    Specimen("unit vectors projected on x", Kind.MATHEMATICS, function(unit, unit_backward), function(unit, unit_projected_on_x),
             unit_reference, normal((4, 5))),
    Specimen("weight norm without the projection", Kind.MATHEMATICS, function(weight_norm, weight_norm_backward),
             function(weight_norm, weight_norm_not_tangent), weight_norm_reference, normal((4, 5), (4, 1))),
    Specimen("softmax, diagonal of the Jacobian", Kind.MATHEMATICS, function(softmax, softmax_backward),
             function(softmax, softmax_diagonal), nn.softmax, normal((4, 5))),
    Specimen("log_softmax summed over rows", Kind.MATHEMATICS, function(log_softmax, log_softmax_backward),
             function(log_softmax, log_softmax_sum_over_rows), nn.log_softmax, normal((4, 5))),
)  # fmt: skip
