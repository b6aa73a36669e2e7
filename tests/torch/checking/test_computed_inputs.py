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
