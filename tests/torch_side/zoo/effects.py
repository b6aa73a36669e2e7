"""Arguments that are written to, answers that depend on earlier calls, wrong tangents, wrong second derivatives."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch.autograd import Function

from .layouts import as_dense
from .record import BOTH, Array, Kind, Specimen, Tensor, function, normal

# --- writing into an argument ---


def cube(ctx, x):
    ctx.save_for_backward(x)
    return x * x * x


def cube_backward(ctx, g):
    (x,) = ctx.saved_tensors
    return 3 * g * x * x


def cube_into_cotangent(ctx, g):
    (x,) = ctx.saved_tensors
    return g.mul_(x).mul_(3 * x)


def cube_into_saved(ctx, g):
    """The saved tensor serves as the buffer of the result."""
    (x,) = ctx.saved_tensors
    x.data.mul_(x).mul_(3 * g)
    return x.clone()


def cube_into_input(ctx, x):
    """The square is kept in the memory of x, of which nobody is told."""
    ctx.save_for_backward(x.clone())
    y = x * x * x
    x.data.mul_(x)
    return y


def scaled(ctx, x, w):
    ctx.save_for_backward(x, w)
    return x * w


def scaled_backward(ctx, g):
    x, w = ctx.saved_tensors
    return g * w, g * x


def scaled_one_buffer(ctx, g):
    """The gradient of x is stored over the cotangent; that of w is computed before, and right."""
    x, w = ctx.saved_tensors
    w_bar = g * x
    return g.mul_(w), w_bar


# --- another answer when asked again ---


def _accumulating():
    """The buffer of the gradient is made once and never cleared."""
    kept: list[Tensor] = []

    def backward(ctx, g):
        x_bar = cube_backward(ctx, g)
        if kept and kept[0].shape == g.shape and kept[0].dtype == g.dtype:
            x_bar = x_bar + kept[0]
        kept[:] = [x_bar]
        return x_bar

    return function(cube, backward)


def _noisy():
    def backward(ctx, g):
        return cube_backward(ctx, g) * (1 + 1e-3 * torch.rand(()).to(g.dtype))

    return function(cube, backward)


def _every_third():
    """Every third call of the backward loses an element, as a race would."""
    calls = itertools.count(1)

    def backward(ctx, g):
        x_bar = cube_backward(ctx, g)
        if next(calls) % 3 == 0:
            x_bar[0] = 0
        return x_bar

    return function(cube, backward)


def cube_by_mode(ctx, g):
    """Where torch records the backward, a second path runs, which has lost its factor."""
    (x,) = ctx.saved_tensors
    return g * x * x if torch.is_grad_enabled() else 3 * g * x * x


def _running():
    """A running mean that belongs to the state of a module shifts the value of every call."""
    state = [0.0]

    def forward(ctx, x):
        ctx.save_for_backward(x)
        state[0] += 0.125
        return x * x * x + (state[0] - 0.125)

    return function(forward, cube_backward)


# --- forward mode ---


def ratio(ctx, a, b):
    ctx.set_materialize_grads(False)  # else zeros stand for tangents that are not given
    ctx.a, ctx.b = a, b
    ctx.save_for_backward(a, b)
    return a / b


def ratio_backward(ctx, g):
    if g is None:
        return None, None
    a, b = ctx.saved_tensors
    return g / b, -g * a / (b * b)


def _zero(tangent, like):
    return torch.zeros_like(like) if tangent is None else tangent


def ratio_jvp(ctx, a_dot, b_dot):
    return (_zero(a_dot, ctx.a) - ctx.a / ctx.b * _zero(b_dot, ctx.b)) / ctx.b


def ratio_jvp_sign(ctx, a_dot, b_dot):
    return (_zero(a_dot, ctx.a) + ctx.a / ctx.b * _zero(b_dot, ctx.b)) / ctx.b


def ratio_jvp_numerator(ctx, a_dot, b_dot):
    return _zero(a_dot, ctx.a) / ctx.b


def ratio_jvp_through_bfloat16(ctx, a_dot, b_dot):
    return ratio_jvp(ctx, _zero(a_dot, ctx.a).to(torch.bfloat16).to(ctx.a.dtype), b_dot)


def ratio_jvp_needs_both(ctx, a_dot, b_dot):
    """Without a tangent of one input there is no work to do, the kernel thinks."""
    return torch.zeros_like(ctx.a) if a_dot is None or b_dot is None else ratio_jvp(ctx, a_dot, b_dot)


def ratio_jvp_first_alone(ctx, a_dot, b_dot):
    """Where the divisor has no tangent, the reciprocal is left out."""
    return a_dot if b_dot is None else ratio_jvp(ctx, a_dot, b_dot)


def ratio_jvp_flushed(ctx, a_dot, b_dot):
    small = [torch.where(t.abs() < 1e-3, 0.0, t) for t in (_zero(a_dot, ctx.a), _zero(b_dot, ctx.b))]
    return ratio_jvp(ctx, *small)


def ratio_jvp_of_ones(ctx, a_dot, b_dot):
    """Tangents of ones, with which a directional derivative begins, take a path of their own, which forgets the divisor's."""
    ones = a_dot is not None and bool((a_dot == 1).all())
    return ratio_jvp(ctx, a_dot, None if ones else b_dot)


def ratio_jvp_as_dense(ctx, a_dot, b_dot):
    return ratio_jvp(ctx, None if a_dot is None else as_dense(a_dot), b_dot)


def positive(g: torch.Generator) -> tuple[Tensor, Tensor]:
    return torch.randn(3, 4, generator=g).requires_grad_(), (
        1 + torch.rand(3, 4, generator=g)
    ).requires_grad_()


def _forward(name, jvp):
    return Specimen(name, Kind.FORWARD, function(ratio, ratio_backward, ratio_jvp), function(ratio, ratio_backward, jvp),
                    lambda a, b: a / b, positive)  # fmt: skip


# --- the first derivative is right, the second is not ---


def tanh(ctx, x):
    y = torch.tanh(x)
    ctx.save_for_backward(y)
    return y


def tanh_backward(ctx, g):
    (y,) = ctx.saved_tensors
    return g * (1 - y * y)


def tanh_detached(ctx, g):
    """The slope is cut off from the input: to the double backward it is a constant."""
    (y,) = ctx.saved_tensors
    return g * (1 - y * y).detach()


class HalfSecond(Function):
    """2 x g, whose own backward forgets the factor for x."""

    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x, g)
        return 2 * x * g

    @staticmethod
    def backward(ctx, h):
        x, g = ctx.saved_tensors
        return h * g, 2 * h * x


def square(ctx, x):
    ctx.save_for_backward(x)
    return x * x


def square_backward(ctx, g):
    return 2 * ctx.saved_tensors[0] * g


def square_wrong_second(ctx, g):
    return HalfSecond.apply(*ctx.saved_tensors, g)


class OfCotangent(Function):
    """x g, whose own backward gives nothing for g."""

    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x, g)
        return x * g

    @staticmethod
    def backward(ctx, h):
        _, g = ctx.saved_tensors
        return h * g, None


def product(ctx, a, b):
    ctx.save_for_backward(a, b)
    return a * b


def product_backward(ctx, g):
    a, b = ctx.saved_tensors
    return b * g, a * g


def product_cotangent_lost(ctx, g):
    a, b = ctx.saved_tensors
    return OfCotangent.apply(b, g), OfCotangent.apply(a, g)


def _second(name, forward, right, wrong, reference, inputs):
    return Specimen(name, Kind.SECOND, function(forward, right), function(forward, wrong), reference, inputs)


def cubed(x: Array) -> Array:
    return x * x * x


X = normal((3, 4))


def _cube(name, kind, wrong):
    return Specimen(name, kind, function(cube, cube_backward), wrong, cubed, X, BOTH)


SPECIMENS = (
    _cube("cotangent overwritten", Kind.WRITING, function(cube, cube_into_cotangent)),
    _cube("saved input overwritten", Kind.WRITING, function(cube, cube_into_saved)),
    _cube("input overwritten in the forward", Kind.WRITING, function(cube_into_input, cube_backward)),
    Specimen("gradient stored over the cotangent", Kind.WRITING, function(scaled, scaled_backward), function(scaled, scaled_one_buffer),
             lambda x, w: x * w, normal((3, 4), (3, 4))),
    _cube("buffer never cleared", Kind.TWICE, _accumulating()),
    _cube("noise of one part in a thousand", Kind.TWICE, _noisy()),
    _cube("an element lost in every third call", Kind.TWICE, _every_third()),
    _cube("another gradient with create_graph", Kind.TWICE, function(cube, cube_by_mode)),
    _cube("value that counts its calls", Kind.TWICE, _running()),
    _forward("tangent of a quotient, sign", ratio_jvp_sign),
    _forward("tangent of a quotient, numerator alone", ratio_jvp_numerator),
    _forward("tangent through bfloat16", ratio_jvp_through_bfloat16),
    _forward("one tangent of two gives zero", ratio_jvp_needs_both),
    _forward("tangent of the numerator alone", ratio_jvp_first_alone),
    _forward("tangent read as if dense", ratio_jvp_as_dense),
    _forward("small tangents flushed", ratio_jvp_flushed),
    _forward("tangents of ones on a path of their own", ratio_jvp_of_ones),
    _second("slope detached", tanh, tanh_backward, tanh_detached, np.tanh, X),
    _second("second derivative halved", square, square_backward, square_wrong_second, np.square, X),
    _second("second derivative, cotangent lost", product, product_backward, product_cotangent_lost, lambda a, b: a * b,
            normal((3, 4), (3, 4))),
)  # fmt: skip
