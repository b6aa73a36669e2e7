"""Functions of torch for tests of second derivatives: x^3, right and wrong in one place each. Needs torch."""

from __future__ import annotations

import torch
from torch.autograd.function import once_differentiable


class Cube(torch.autograd.Function):
    """x^3 with both modes, for every order that torch offers."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * y_bar

    @staticmethod
    def jvp(ctx, x_dot):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * x_dot

    @classmethod
    def vmap(cls, info, in_dims, x):
        return cls.apply(x), in_dims[0]


class BackwardOnly(torch.autograd.Function):
    """x^3 without forward mode, in the older style: forward receives the context."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    backward = staticmethod(Cube.backward)


class Once(BackwardOnly):
    """Says that its backward has no derivative."""

    backward = staticmethod(once_differentiable(Cube.backward))


class NoGraph(BackwardOnly):
    """Its backward leaves no graph, and does not say so."""

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return (3 * x**2 * y_bar).detach()


class LostSquare(Cube):
    """The gradient is right; that x is in it, too, is lost to further derivatives."""

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * y_bar


class CubeBackward(torch.autograd.Function):
    """3 x^2 y_bar with a derivative of its own: the factor 6 x of the first input became 3 x."""

    @staticmethod
    def forward(ctx, x, y_bar):
        ctx.save_for_backward(x, y_bar)
        return 3 * x**2 * y_bar

    @staticmethod
    def backward(ctx, g):
        x, y_bar = ctx.saved_tensors
        return 3 * x * y_bar * g, 3 * x**2 * g


def twice_differentiated_by(double_backward):
    """x^3 with a right derivative, of which the derivative is ``double_backward(x, y_bar, g)``: gradients of x and y_bar."""

    class Backward(CubeBackward):
        @staticmethod
        def backward(ctx, g):
            return double_backward(*ctx.saved_tensors, g)

    class Twice(BackwardOnly):
        @staticmethod
        def backward(ctx, y_bar):
            (x,) = ctx.saved_tensors
            return Backward.apply(x, y_bar)

    return Twice


class HalvedSecond(BackwardOnly):
    """The first derivative is right, the written double backward is half of what it should be."""

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return CubeBackward.apply(x, y_bar)


class LostSquareForward(Cube):
    """The tangent is right; that x is in it, too, is lost to further derivatives."""

    @staticmethod
    def jvp(ctx, x_dot):
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * x_dot


class Overwriting(BackwardOnly):
    """Its double backward uses the memory of the tangent that it is given."""

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return _OverwritingBackward.apply(x, y_bar)


class _OverwritingBackward(CubeBackward):
    @staticmethod
    def backward(ctx, g):
        x, y_bar = ctx.saved_tensors
        found = 6 * x * y_bar * g, 3 * x**2 * g
        g.zero_()
        return found


class Failing(BackwardOnly):
    """Its double backward raises an exception of its own."""

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return _FailingBackward.apply(x, y_bar)


class _FailingBackward(CubeBackward):
    @staticmethod
    def backward(ctx, g):
        raise ValueError("no such shape")
