"""Inputs that have a .grad already: a backward that takes another path there, or writes into it, is caught."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402

GENERATOR = torch.Generator().manual_seed(0)
X, W = torch.randn(3, 4, generator=GENERATOR), torch.randn(2, 4, generator=GENERATOR)


def linear(change):
    """x wᵀ, whose backward calls ``change(w, w_bar)`` where w has a .grad, and returns what that gives."""

    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            ctx.w = w
            return x @ w.mT

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.saved_tensors
            w_bar = y_bar.mT @ x
            again = ctx.w.is_leaf and ctx.w.grad is not None
            return y_bar @ w, change(ctx.w, w_bar) if again else w_bar

    return Linear.apply


def judged(change):
    return gradcheck(linear(change), (X, W), reference=lambda x, w: x @ w.T, raise_exception=False)


def added(w, w_bar):
    w.grad.add_(w_bar)
    return w_bar


def taken_away(w, w_bar):
    w.grad = None
    return w_bar


def raising(w, w_bar):
    raise ValueError("a second gradient")


def test_a_backward_that_adds_to_it_and_returns_the_gradient_is_caught() -> None:
    report = judged(added)
    assert report.status == "disagree"
    assert (
        "with inputs that have a .grad already: func wrote into the .grad of input 1, to which torch adds"
        in report.summary()
    )
    assert "the .grad of input 0" not in report.summary()


def test_so_is_one_that_takes_it_away() -> None:
    assert "func wrote into the .grad of input 1" in judged(taken_away).summary()


def test_so_is_a_wrong_gradient() -> None:
    report = judged(lambda w, w_bar: w_bar / 2)
    assert report.status == "disagree"
    assert "gradient of input 1[" in report.summary()
    assert "with inputs that have a .grad already got" in report.summary()


def test_a_backward_that_raises_is_an_error() -> None:
    report = judged(raising)
    assert report.status == "error"
    assert "backward raised ValueError: a second gradient with inputs that have a .grad" in report.summary()


def test_a_func_that_refuses_them_is_noted() -> None:
    def func(x):
        assert x.grad is None
        return x * x

    report = gradcheck(func, (X,), reference=np.square, dtypes=("float64",))
    (note,) = [n for n in report.notes if "already" in n]
    assert note.startswith("not judged with inputs that have a .grad already: call raised AssertionError")


@pytest.mark.parametrize("change", [lambda w, w_bar: w_bar, lambda w, w_bar: w_bar + 0])
def test_a_right_backward_agrees(change) -> None:
    assert judged(change).status == "agree"
