"""Inputs that are overwritten between two calls: a copy that is kept from the first one is caught."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import refgrad as rg  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402

KEPT = {}  # the copies, by address
SLOPES = {}  # those of FirstSlope


class Linear(torch.autograd.Function):
    """Multiplies by a transposed copy of the weight."""

    @classmethod
    def copied(cls, w):
        return w.detach().T.contiguous()

    @classmethod
    def forward(cls, ctx, x, w):
        transposed = cls.copied(w)
        ctx.save_for_backward(x, transposed)
        return x @ transposed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, y_bar):
        x, transposed = ctx.saved_tensors
        return y_bar @ transposed.T, y_bar.T @ x


class Keeping(Linear):
    """Keeps the copy as long as the address and the shape are the same."""

    @classmethod
    def copied(cls, w):
        key = w.data_ptr(), w.shape, w.dtype, w.requires_grad
        held, copy = KEPT.get(key, (None, None))
        if held is None:
            # The tensor itself keeps its address from others.
            KEPT[key] = held, copy = (w.detach(), super().copied(w))
        return copy


class KeepingForTheBackward(Keeping):
    """Keeps it for the backward alone: the value is right."""

    @classmethod
    def forward(cls, ctx, x, w):
        ctx.save_for_backward(x, cls.copied(w))
        return x @ w.T


def judged(func):
    g = torch.Generator().manual_seed(0)
    return gradcheck(
        func,
        (torch.randn(4, 5, generator=g), torch.randn(3, 5, generator=g)),
        reference=lambda x, w: x @ w.T,
        dtypes=("float64",),
        raise_exception=False,
    )


@pytest.mark.parametrize(
    ("wrong", "what"), [(Keeping, "output 0"), (KeepingForTheBackward, "gradient of input 0")]
)
def test_a_copy_of_the_former_weight_is_caught(wrong, what) -> None:
    report = judged(wrong.apply)
    assert report.status == "disagree"
    notes = [note for _, _, part in report.parts() for note in part.notes]
    assert any(
        note.startswith(what) and "after the inputs were overwritten in place" in note for note in notes
    )


@pytest.mark.parametrize("place", [id, torch.Tensor.data_ptr])
def test_a_slope_that_is_found_by_its_place_alone_is_caught(place) -> None:
    slopes = {}

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.slope = slopes.setdefault((place(x), x.shape), 2 * x.detach())
            return x * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, y_bar):
            return y_bar * ctx.slope

    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    report = gradcheck(Square.apply, (x,), reference=np.square, dtypes=("float64",), raise_exception=False)
    assert report.status == "disagree"


class SoftLabels(torch.autograd.Function):
    """The cross-entropy of labels that add up to 1: so they do as given, and not times 0.625."""

    @staticmethod
    def forward(ctx, x, labels):
        logarithms = x.log_softmax(-1)
        ctx.save_for_backward(logarithms, labels)
        return -(labels * logarithms).sum(-1)

    @staticmethod
    def backward(ctx, y_bar):
        logarithms, labels = ctx.saved_tensors
        return y_bar[:, None] * (logarithms.exp() - labels), -y_bar[:, None] * logarithms


def test_what_func_may_assume_of_its_inputs_is_not_held_against_it() -> None:
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.softmax(x.flip(0), -1)

    def reference(x, labels):
        return -np.sum(labels * rg.nn.log_softmax(x, -1), -1)

    assert (
        gradcheck(SoftLabels.apply, (x, labels), reference=reference, dtypes=("float32",)).status == "agree"
    )


class FirstSlope(torch.autograd.Function):
    """Keeps its first slope, as a cache by address does where torch uses the memory of the first call again."""

    @staticmethod
    def forward(ctx, x):
        ctx.slope = SLOPES.setdefault(x.dtype, 2 * x.detach())
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, y_bar):
        return y_bar * ctx.slope


def test_what_is_kept_from_a_call_long_before_is_caught() -> None:
    x = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
    report = gradcheck(FirstSlope.apply, (x,), reference=np.square, raise_exception=False)
    assert report.status == "disagree"
    assert "with the inputs times 0.625 got" in report.summary()


def test_a_copy_in_each_call_agrees() -> None:
    report = judged(Linear.apply)
    assert (report.status, report.notes) == ("agree", [])


def test_a_func_that_refuses_other_numbers_is_not_asked() -> None:
    x = torch.tensor([1.0, 2.0])

    def func(given):
        assert torch.equal(given.detach().float(), x)
        return given * given

    assert gradcheck(func, (x,), reference=np.square, dtypes=("float32",)).status == "agree"
