"""Inputs and outputs that are overwritten between forward and backward: one that is kept as ctx.x is noted, a saved one is not."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402


class Product(torch.autograd.Function):
    """Saves its inputs."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, y_bar):
        x, w = ctx.saved_tensors
        return y_bar * w, (y_bar * x).sum(0)


class Keeping(Product):
    """Keeps both as they are."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.kept = x, w
        return x * w

    @staticmethod
    def backward(ctx, y_bar):
        x, w = ctx.kept
        return y_bar * w, (y_bar * x).sum(0)


class KeepingOne(Product):
    """Keeps one of them as it is, and saves the other."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x)
        ctx.kept = w
        return x * w

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return y_bar * ctx.kept, (y_bar * x).sum(0)


class Copying(Keeping):
    """Keeps copies."""

    @staticmethod
    def forward(ctx, x, w):
        return Keeping.forward(ctx, x.clone(), w.clone())


def notes(func):
    g = torch.Generator().manual_seed(0)
    x, w = torch.randn(3, 4, generator=g), torch.randn(4, generator=g)
    report = gradcheck(func, (x, w), reference=lambda x, w: x * w)
    assert report.status == "agree"
    return [note for note in report.notes if "between forward and backward" in note]


@pytest.mark.parametrize(("func", "inputs"), [(Keeping, "input 0 or input 1"), (KeepingOne, "input 1")])
def test_an_input_that_is_kept_as_it_is_is_noted_once(func, inputs) -> None:
    (note,) = notes(func.apply)
    assert note.startswith(f"what is written into {inputs} between")


@pytest.mark.parametrize("func", [Product, Copying])
def test_a_saved_input_and_a_copy_are_not_noted(func) -> None:
    assert notes(func.apply) == []


class Tanh(torch.autograd.Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, y_bar):
        (y,) = ctx.saved_tensors
        return y_bar * (1 - y * y)


class KeepingTheOutput(Tanh):
    """Keeps it as it is."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.kept = y.detach()
        return y

    @staticmethod
    def backward(ctx, y_bar):
        return y_bar * (1 - ctx.kept * ctx.kept)


@pytest.mark.parametrize(("func", "count"), [(KeepingTheOutput, 1), (Tanh, 0)])
def test_an_output_that_is_kept_as_it_is_is_noted(func, count) -> None:
    x = torch.randn(5, generator=torch.Generator().manual_seed(0))
    report = gradcheck(func.apply, (x,), reference=np.tanh)
    assert report
    found = [note for note in report.notes if note.startswith("what is written into output 0 between")]
    assert len(found) == count
