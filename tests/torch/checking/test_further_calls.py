"""Further calls before the backward of the first: a static workspace is caught, memory of its own is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd.function import once_differentiable  # noqa: E402

from refgrad.torch import gradcheck  # noqa: E402

X = torch.randn(6, generator=torch.Generator().manual_seed(0))

PLACES = {}  # the static workspaces


class Sine(torch.autograd.Function):
    """Keeps its cosine in new memory."""

    @classmethod
    def place(cls, x):
        return torch.empty_like(x)

    @classmethod
    def forward(cls, ctx, x):
        ctx.cosine = cls.place(x).copy_(torch.cos(x))
        return torch.sin(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, y_bar):
        return y_bar * ctx.cosine


class Workspace(Sine):
    """Keeps it in the same memory in each call."""

    @classmethod
    def place(cls, x):
        return PLACES.setdefault((cls, x.shape, x.dtype), torch.empty_like(x))


class OutputWorkspace(Workspace):
    """Returns its output in the same memory in each call."""

    @classmethod
    def forward(cls, ctx, x):
        ctx.cosine = torch.cos(x)
        return cls.place(x.detach()).copy_(torch.sin(x)).detach()


class GradientWorkspace(Workspace):
    """Returns its gradient in the same memory in each call."""

    @classmethod
    def forward(cls, ctx, x):
        ctx.cosine = torch.cos(x)
        return torch.sin(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, y_bar):
        return torch.mul(y_bar, ctx.cosine, out=GradientWorkspace.place(y_bar))


def judged(func, reference=np.sin, **options):
    return gradcheck(
        func,
        (X,),
        reference=reference,
        dtypes=("float64",),
        check_forward=False,
        raise_exception=False,
        **options,
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Workspace, "with further calls of func between forward and backward got"),
        (OutputWorkspace, "output 0 of one call is overwritten by a later call"),
        (GradientWorkspace, "the gradient of input 0 of one call is overwritten by a later call"),
    ],
)
def test_a_static_workspace_is_caught(wrong, words) -> None:
    report = judged(wrong.apply)
    assert report.status == "disagree"
    assert words in report.summary()


def test_memory_of_its_own_agrees() -> None:
    report = judged(Sine.apply)
    assert (report.status, report.notes) == ("agree", [])


def test_a_wrong_gradient_is_not_blamed_on_further_calls() -> None:
    assert "further calls" not in judged(torch.cos).summary()


def test_inputs_that_func_refuses_are_noted() -> None:
    def func(x):
        assert torch.equal(x.detach().float(), X)
        return torch.sin(x)

    (note,) = [n for n in judged(func).notes if "further calls" in n]
    assert note.startswith("not judged with further calls: call raised AssertionError")


class Ring(Sine):
    """Keeps it in the next of a few places."""

    places, following = 3, itertools.count()

    @classmethod
    def place(cls, x):
        key = cls, next(cls.following) % cls.places, x.shape, x.dtype
        return PLACES.setdefault(key, torch.empty_like(x))


class OutputRing(Ring, OutputWorkspace):
    pass


class GradientRing(Ring):
    @classmethod
    def forward(cls, ctx, x):
        ctx.cosine = torch.cos(x)
        return torch.sin(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, y_bar):
        return torch.mul(y_bar, ctx.cosine, out=GradientRing.place(y_bar))


@pytest.mark.parametrize("wrong", [Ring, OutputRing, GradientRing])
def test_a_ring_of_workspaces_is_caught(wrong) -> None:
    assert judged(wrong.apply).status == "disagree"


class LinearGradientWorkspace(Workspace):
    """Its gradient, which depends on the cotangent alone, is in the same memory in each call."""

    @staticmethod
    def forward(_, x):
        return 3 * x

    @staticmethod
    @once_differentiable
    def backward(_, y_bar):
        return torch.mul(y_bar, 3, out=LinearGradientWorkspace.place(y_bar))


def test_the_static_gradient_of_a_linear_function_is_caught() -> None:
    report = judged(LinearGradientWorkspace.apply, lambda x: 3 * x)
    assert report.status == "disagree"
    assert "the gradient of input 0 of one call is overwritten by a later call" in report.summary()


def test_outputs_whose_shape_depends_on_the_numbers_agree() -> None:
    report = judged(lambda x: x[x.abs() > 0.5], lambda x: x[np.abs(x) > 0.5])
    assert (report.status, report.notes) == ("agree", [])


class Buffered(torch.autograd.Function):
    """Saves a static buffer that the next call overwrites: torch's version counter ends the backward of the first."""

    buffer = torch.empty(0)

    @classmethod
    def forward(cls, ctx, x):
        if cls.buffer.shape != x.shape or cls.buffer.dtype != x.dtype:
            cls.buffer = torch.empty_like(x)
        cls.buffer.copy_(x)
        ctx.save_for_backward(cls.buffer)
        return x * x

    @staticmethod
    def backward(ctx, y_bar):
        return 2 * y_bar * ctx.saved_tensors[0]


def test_a_backward_that_raises_after_another_call_is_an_error() -> None:
    report = judged(Buffered.apply, np.square)
    assert report.status == "error"
    assert "after further calls of func" in report.summary()
