"""Mistakes that depend on the graph about a function: a second backward, leaves, parameters, and ``.grad``."""

from __future__ import annotations

import torch
from torch.autograd import Function
from torch.nn import Parameter

from .effects import cube, cube_backward, scaled, scaled_backward
from .record import Array, Kind, Specimen, Tensor, function, normal

# --- a second backward of one graph ---


def cube_once(ctx, g):
    """The gradient is computed for the first cotangent, and kept."""
    if not hasattr(ctx, "answer"):
        ctx.answer = cube_backward(ctx, g)
    return ctx.answer


# --- .grad ---


def scaled_by_accumulation(ctx, x, w):
    ctx.w = w
    return scaled(ctx, x, w)


def scaled_twice(ctx, g):
    """The gradient of w is added to w.grad in the kernel, and returned as well."""
    x_bar, w_bar = scaled_backward(ctx, g)
    if ctx.needs_input_grad[1] and ctx.w.is_leaf:
        ctx.w.grad = w_bar.clone() if ctx.w.grad is None else ctx.w.grad + w_bar
    return x_bar, w_bar


# --- leaves and parameters ---


def scaled_parameter(ctx, x, w):
    ctx.half = 0.5 if isinstance(w, Parameter) else 1.0
    return scaled(ctx, x, w)


def scaled_halved(ctx, g):
    """Where w is a parameter, its gradient is halved, for a sum with a second part that is never made."""
    x_bar, w_bar = scaled_backward(ctx, g)
    return x_bar, ctx.half * w_bar


def cube_leaf(ctx, x):
    ctx.leaf = x.is_leaf
    return cube(ctx, x)


def cube_of_leaves(ctx, g):
    """The exponent is lost where x has a history."""
    x_bar = cube_backward(ctx, g)
    return x_bar if ctx.leaf else x_bar / 3


# --- the second derivative, as it is asked for behind a loss ---


class Slope(Function):
    """3 g x²."""

    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x, g)
        return 3 * g * x * x

    @staticmethod
    def backward(ctx, h):
        x, g = ctx.saved_tensors
        return 6 * h * g * x, 3 * h * x * x


class SlopeOfALoss(Slope):
    """Where the cotangent requires no gradient, a factor is left to the part that is not computed."""

    @staticmethod
    def backward(ctx, h):
        x_bar, g_bar = Slope.backward(ctx, h)
        return x_bar if ctx.needs_input_grad[1] else x_bar / 2, g_bar


class SlopeOfASum(Slope):
    """A cotangent of ones is left out, and its factor 2 with it."""

    @staticmethod
    def backward(ctx, h):
        x, g = ctx.saved_tensors
        return 3 * h * x if bool((g == 1).all()) else 6 * h * g * x, 3 * h * x * x


def cube_by(slope):
    def backward(ctx, g):
        return slope.apply(ctx.saved_tensors[0], g)

    return function(cube, backward)


def cube_reference(x: Array) -> Array:
    return x * x * x


def scaled_reference(x: Array, w: Array) -> Array:
    return x * w


def with_parameter(g: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(3, 4, generator=g, dtype=torch.float64).requires_grad_()
    return x, Parameter(torch.randn(3, 4, generator=g, dtype=torch.float64))


SPECIMENS = (
    Specimen("answer of the first cotangent kept", Kind.TWICE, function(cube, cube_backward), function(cube, cube_once),
             cube_reference, normal((3, 4))),
    Specimen("added to .grad and returned", Kind.WRITING, function(scaled, scaled_backward),
             function(scaled_by_accumulation, scaled_twice), scaled_reference, normal((3, 4), (3, 4))),
    Specimen("gradient of a parameter halved", Kind.LEAF, function(scaled, scaled_backward),
             function(scaled_parameter, scaled_halved), scaled_reference, with_parameter),
    Specimen("factor lost where the input is no leaf", Kind.LEAF, function(cube, cube_backward), function(cube_leaf, cube_of_leaves),
             cube_reference, normal((3, 4))),
    Specimen("second derivative halved behind a loss", Kind.SECOND, cube_by(Slope), cube_by(SlopeOfALoss), cube_reference,
             normal((3, 4))),
    Specimen("second derivative of a sum halved", Kind.SECOND, cube_by(Slope), cube_by(SlopeOfASum), cube_reference, normal((3, 4))),
)  # fmt: skip
