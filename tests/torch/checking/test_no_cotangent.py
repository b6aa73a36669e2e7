"""Backwards without any cotangent: None for every output, and zero is due."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402


class Cube(torch.autograd.Function):
    """Gets None in place of a cotangent that is not given, and is prepared for it."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return None if y_bar is None else 3 * y_bar * x * x


class Unprepared(Cube):
    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return 3 * y_bar * x * x


class TakesOnes(Cube):
    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return 3 * x * x if y_bar is None else 3 * y_bar * x * x


def judged(func, **options):
    return gradcheck(
        func,
        (torch.tensor([0.5, -1.25, 2.0]),),
        reference=lambda x: x * x * x,
        dtypes=("float64",),
        raise_exception=False,
        **options,
    )


def test_a_backward_that_takes_ones_for_none_is_caught() -> None:
    report = judged(TakesOnes.apply)
    assert report.status == "disagree"
    assert (
        "gradient of input 0[0]: without a cotangent for any output got 0.75, expected 0.0"
        in report.summary()
    )


def test_a_backward_that_fails_without_a_cotangent_is_an_error_that_names_the_keyword() -> None:
    report = judged(Unprepared.apply)
    assert report.status == "error"
    assert "check_undefined_grad=False leaves this out" in report.summary()


@pytest.mark.parametrize("func", [TakesOnes.apply, Unprepared.apply])
def test_the_question_is_left_out_on_request(func) -> None:
    assert judged(func, check_undefined_grad=False).status == "agree"


def hooked(x):
    y = x * x * x
    if y.requires_grad:
        y.register_hook(lambda y_bar: y_bar.clone())
    return y


@pytest.mark.parametrize("func", [Cube.apply, hooked, lambda x: x * x * x])
def test_none_and_zeros_agree_and_a_hook_need_not_be_prepared_for_none(func) -> None:
    report = judged(func)
    assert (report.status, report.notes) == ("agree", [])


def test_values_beside_are_not_asked_for() -> None:
    def func(x):
        return Cube.apply(x), x.detach() * 2, x.detach() > 0

    report = gradcheck(
        func, (torch.randn(4),), reference=lambda x: (x * x * x, 2 * x, x > 0), dtypes=("float32",)
    )
    assert report.status == "agree"


def test_none_is_right_at_a_pole_of_the_gradient() -> None:
    """torch sends nothing there, and zero times an infinite slope is no number."""
    report = gradcheck(
        torch.sqrt, (torch.tensor([0.0, 4.0], requires_grad=True),), reference=np.sqrt, raise_exception=False
    )
    assert all(verdict.status != "disagree" for _, verdict in report.verdicts)
