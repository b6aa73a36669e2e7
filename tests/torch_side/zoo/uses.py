"""Mistakes that show in some uses alone: an input without a gradient, an output without a cotangent, cotangents of a certain kind."""

from __future__ import annotations

import numpy as np
import torch

from refgrad import nn

from .record import Array, Kind, Specimen, function, normal

# --- which inputs require a gradient: y = x w + b ---


def affine(ctx, x, w, b):
    ctx.save_for_backward(x, w)
    return x @ w + b


def affine_backward(ctx, g):
    x, w = ctx.saved_tensors
    return g @ w.T, x.T @ g, g.sum(0)


def affine_flags_swapped(ctx, g):
    """The gradient of x is computed where w asks for one, and the other way round."""
    x, w = ctx.saved_tensors
    need = ctx.needs_input_grad
    return g @ w.T if need[1] else None, x.T @ g if need[0] else None, g.sum(0)


def affine_bias_decides(ctx, g):
    """Without a gradient for the bias the kernel takes the path for inference, which leaves out the last column."""
    x, w = ctx.saved_tensors
    if not ctx.needs_input_grad[2]:
        g = torch.cat([g[:, :-1], torch.zeros_like(g[:, :1])], 1)
    return g @ w.T, x.T @ g, g.sum(0)


def affine_weight_alone(ctx, g):
    """Where the weight alone asks, its gradient is left transposed."""
    x, w = ctx.saved_tensors
    need = ctx.needs_input_grad
    return g @ w.T, g.T @ x if need == (False, True, False) else x.T @ g, g.sum(0)


def affine_frozen_input(ctx, g):
    """Where the input asks for nothing, its rows are halved for a sum that is never made."""
    x, w = ctx.saved_tensors
    half = 1.0 if ctx.needs_input_grad[0] else 0.5
    return g @ w.T, half * x.T @ g, half * g.sum(0)


def affine_reference(x: Array, w: Array, b: Array) -> Array:
    return x @ w + b


# --- which outputs are used ---


def powers(ctx, x):
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x)
    return x * x, x * x * x


def _powers(ctx, g, h, square, cube):
    (x,) = ctx.saved_tensors
    if h is None:
        return None if g is None else square * g * x
    if g is None:
        return cube * h * x * x
    return 2 * g * x + 3 * h * x * x


def powers_backward(ctx, g, h):
    return _powers(ctx, g, h, 2, 3)


def powers_square_alone(ctx, g, h):
    return _powers(ctx, g, h, 1, 3)


def powers_cube_alone(ctx, g, h):
    return _powers(ctx, g, h, 2, 2)


def powers_needs_both(ctx, g, h):
    return None if g is None or h is None else _powers(ctx, g, h, 2, 3)


def powers_reference(x: Array) -> tuple[Array, Array]:
    return x * x, x * x * x


def normed(ctx, x):
    """Unit vectors, and their lengths before."""
    n = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    ctx.save_for_backward(x, n)
    return x / n, n


def normed_backward(ctx, g, h):
    x, n = ctx.saved_tensors
    y = x / n
    return (g - y * (g * y).sum(-1, keepdim=True)) / n + h * y


def normed_without_length(ctx, g, h):
    """Zeros stand for a cotangent that is not given; the kernel then skips the projection, too."""
    n = ctx.saved_tensors[1]
    return g / n if not h.any() else normed_backward(ctx, g, h)


def normed_reference(x: Array) -> tuple[Array, Array]:
    n = np.sqrt(np.sum(x * x, -1, keepdims=True))
    return x / n, n


def thirds(ctx, x):
    ctx.save_for_backward(x)
    return torch.sin(x), torch.cos(x), torch.exp(x)


def thirds_backward(ctx, a, b, c):
    (x,) = ctx.saved_tensors
    return a * torch.cos(x) - b * torch.sin(x) + c * torch.exp(x)


def thirds_middle_unused(ctx, a, b, c):
    (x,) = ctx.saved_tensors
    return thirds_backward(ctx, a, b, c) if b.any() else a * torch.cos(x)


def thirds_last_unused(ctx, a, b, c):
    """Where the last cotangent alone is missing, the kernel for one output runs."""
    (x,) = ctx.saved_tensors
    return a * torch.cos(x) if a.any() and b.any() and not c.any() else thirds_backward(ctx, a, b, c)


def thirds_reference(x: Array) -> tuple[Array, ...]:
    return np.sin(x), np.cos(x), np.exp(x)


# --- cotangents of a certain kind: y = sin(x), y = relu(x) w ---


def sine(ctx, x):
    ctx.save_for_backward(x)
    return torch.sin(x)


def sine_backward(ctx, g):
    return g * torch.cos(ctx.saved_tensors[0])


def _changed(change):
    def backward(ctx, g):
        return sine_backward(ctx, change(g))

    return function(sine, backward)


def clamped(g):
    return g.clamp(-1000, 1000)


def flushed(g):
    return torch.where(g.abs() < 1e-5, torch.zeros_like(g), g)


def divided_by_its_norm(g):
    n = torch.linalg.vector_norm(g)
    return g / n * n


def multiplied_and_divided(g):
    return g * g / g


def one_entry_is_a_one(g):
    """A shortcut for one-hot cotangents: the entry that is not zero is taken for 1."""
    return (g != 0).to(g.dtype) if torch.count_nonzero(g) == 1 else g


def quarters(g):
    """Cotangents in fixed point: multiples of 1/256."""
    return torch.round(g * 256) / 256


def _sine(name, change, **more):
    return Specimen(
        name, Kind.DRAW, function(sine, sine_backward), _changed(change), np.sin, normal((12,)), **more
    )


def _affine(name, wrong):
    return Specimen(name, Kind.SUBSET, function(affine, affine_backward), function(affine, wrong), affine_reference,
                    normal((4, 3), (3, 3), (3,)))  # fmt: skip


def _powers_of(name, wrong):
    return Specimen(
        name,
        Kind.OUTPUT,
        function(powers, powers_backward),
        function(powers, wrong),
        powers_reference,
        normal((3, 4)),
    )


def gated(ctx, x, w):
    ctx.save_for_backward(x, w)
    return torch.relu(x) * w


def gated_backward(ctx, g):
    x, w = ctx.saved_tensors
    return g * w * (x > 0).to(g.dtype), g * torch.relu(x)


def gated_skips_frozen_gate(ctx, g):
    x_bar, w_bar = gated_backward(ctx, g)
    return g * ctx.saved_tensors[1] if not ctx.needs_input_grad[1] else x_bar, w_bar


SPECIMENS = (
    _affine("flags of two inputs swapped", affine_flags_swapped),
    _affine("frozen bias, last column left out", affine_bias_decides),
    _affine("weight alone, transposed", affine_weight_alone),
    _affine("frozen input, weight's gradient halved", affine_frozen_input),
    Specimen("frozen gate, mask left out", Kind.SUBSET, function(gated, gated_backward), function(gated, gated_skips_frozen_gate),
             lambda x, w: nn.relu(x) * w, normal((8,), (8,))),
    _powers_of("first of two outputs alone", powers_square_alone),
    _powers_of("second of two outputs alone", powers_cube_alone),
    _powers_of("one of two outputs gives nothing", powers_needs_both),
    Specimen("length of the vectors unused", Kind.OUTPUT, function(normed, normed_backward), function(normed, normed_without_length),
             normed_reference, normal((3, 4))),
    Specimen("middle one of three outputs unused", Kind.OUTPUT, function(thirds, thirds_backward),
             function(thirds, thirds_middle_unused), thirds_reference, normal((7,))),
    Specimen("last one of three outputs unused", Kind.OUTPUT, function(thirds, thirds_backward),
             function(thirds, thirds_last_unused), thirds_reference, normal((7,))),
    _sine("large cotangents clamped", clamped),
    _sine("small cotangents flushed", flushed),
    _sine("zero cotangents divided by their norm", divided_by_its_norm),
    _sine("a zero in the cotangent divided by itself", multiplied_and_divided),
    _sine("one entry taken for 1", one_entry_is_a_one),
    _sine("cotangents in fixed point", quarters),
)  # fmt: skip
