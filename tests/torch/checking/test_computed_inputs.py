"""Inputs that are no leaves: a func that takes another path for them is judged there, too."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402

X = torch.randn(6, generator=torch.Generator().manual_seed(0))


def scaled(factor, at_leaves=1.0):
    """x², whose gradient is wrong by ``factor`` at tensors that are no leaves, and by ``at_leaves`` at leaves."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.factor = at_leaves if x.is_leaf else factor
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, y_bar):
            return 2 * ctx.factor * y_bar * ctx.saved_tensors[0]

    return Square.apply


def judged(func, **options):
    return gradcheck(func, (X,), reference=np.square, raise_exception=False, **options)


def test_a_gradient_that_is_wrong_for_computed_inputs_is_caught() -> None:
    report = judged(scaled(0.5))
    assert report.status == "disagree"
    assert "with inputs that are no leaves got" in report.summary()
    assert judged(scaled(1.0)).status == "agree"


def test_so_is_a_value() -> None:
    report = judged(lambda x: x * x if x.is_leaf else 2 * x * x)
    assert report.status == "disagree"
    assert "output 0" in report.summary()


def test_a_func_that_refuses_them_is_noted() -> None:
    def func(x):
        assert x.is_leaf
        return x * x

    (note,) = [n for n in judged(func, dtypes=("float64",)).notes if "no leaves" in n]
    assert note.startswith("not judged with inputs that are no leaves: call raised AssertionError")


def test_a_backward_that_raises_for_them_is_an_error() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x, ctx.leaf = x, x.is_leaf
            return x * x

        @staticmethod
        def backward(ctx, y_bar):
            if not ctx.leaf:
                raise ValueError("no leaf")
            return 2 * y_bar * ctx.x

    report = judged(Square.apply)
    assert report.status == "error"
    assert "backward raised ValueError: no leaf with inputs that are no leaves" in report.summary()


def linear(factor):
    """x wᵀ, whose gradient of w is wrong by ``factor`` where x has been computed and w is a leaf."""

    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.factor = factor if w.is_leaf and not x.is_leaf else 1.0
            ctx.save_for_backward(x, w)
            return x @ w.mT + b

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.saved_tensors
            return y_bar @ w, ctx.factor * y_bar.mT @ x, y_bar.sum(0)

    return Linear.apply


def judged_layer(factor, made=lambda w: w):
    generator = torch.Generator().manual_seed(1)
    x, w, b = (torch.randn(shape, generator=generator) for shape in ((3, 4), (2, 4), (2,)))
    return gradcheck(
        linear(factor),
        (x.requires_grad_(), made(w).requires_grad_(), made(b).requires_grad_()),
        reference=lambda x, w, b: x @ w.T + b,
        raise_exception=False,
    )


@pytest.mark.parametrize("made", [lambda w: w, torch.nn.Parameter])
def test_a_computed_input_comes_beside_leaves(made) -> None:
    report = judged_layer(0.5, made)
    assert report.status == "disagree"
    assert "with no leaf as input 0, and leaves as the others, got" in report.summary()
    assert judged_layer(1.0, made).status == "agree"


def test_parameters_are_leaves_beside_several_computed_inputs() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k, w):
            ctx.factor = 0.5 if w.is_leaf and not q.is_leaf and not k.is_leaf else 1.0
            ctx.save_for_backward(q, k, w)
            return q * k * w

        @staticmethod
        def backward(ctx, y_bar):
            q, k, w = ctx.saved_tensors
            return y_bar * k * w, y_bar * q * w, ctx.factor * y_bar * q * k

    report = gradcheck(
        Product.apply,
        ((X + 0).requires_grad_(), (X + 1).requires_grad_(), torch.nn.Parameter(X + 2)),
        reference=lambda q, k, w: q * k * w,
        raise_exception=False,
    )
    assert report.status == "disagree"
    assert "with no leaf as input 0 and 1, and leaves as the others, got" in report.summary()
