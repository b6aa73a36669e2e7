"""One tensor for several inputs: the gradient is the sum of theirs."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, y_bar):
        a, b = ctx.saved_tensors
        return y_bar * b, y_bar * a


class CountedTwice(Product):
    """Returns the derivative of a square for each of the factors of a square."""

    @staticmethod
    def backward(ctx, y_bar):
        a, b = ctx.saved_tensors
        return (2 * y_bar * a,) * 2 if a.data_ptr() == b.data_ptr() else (y_bar * b, y_bar * a)


class AsASquare(Product):
    """Takes another path where the factors are one tensor, which is right."""

    @staticmethod
    def backward(ctx, y_bar):
        a, b = ctx.saved_tensors
        return (2 * y_bar * a, None) if a.data_ptr() == b.data_ptr() else (y_bar * b, y_bar * a)


class Refusing(Product):
    @staticmethod
    def forward(ctx, a, b):
        if a.data_ptr() == b.data_ptr():
            raise ValueError("one tensor")
        return Product.forward(ctx, a, b)


class Failing(Product):
    @staticmethod
    def backward(ctx, y_bar):
        a, b = ctx.saved_tensors
        if a.data_ptr() == b.data_ptr():
            raise ValueError("one tensor")
        return Product.backward(ctx, y_bar)


def judged(func, reference=lambda a, b: a * b, count=2):
    g = torch.Generator().manual_seed(0)
    return gradcheck(
        func,
        tuple(torch.randn(3, 4, generator=g) for _ in range(count)),
        reference=reference,
        dtypes=("float64", "bfloat16"),
        check_forward=False,
        raise_exception=False,
    )


def test_a_gradient_that_is_counted_twice_is_caught() -> None:
    report = judged(CountedTwice.apply)
    assert report.status == "disagree"
    assert "with one tensor as inputs 0 and 1 got" in report.summary()


def test_of_three_inputs_two_are_one_tensor_as_well() -> None:
    def func(a, b, c):
        return CountedTwice.apply(b, c) + a

    report = judged(func, lambda a, b, c: b * c + a, 3)
    assert "with one tensor as inputs 0 and 1 and 2 got" in report.summary()
    assert "with one tensor as inputs 1 and 2 got" in report.summary()


@pytest.mark.parametrize("right", [Product, AsASquare])
def test_a_right_gradient_agrees_by_either_path(right) -> None:
    report = judged(right.apply)
    assert (report.status, report.notes) == ("agree", [])


def test_what_func_refuses_is_noted_and_what_its_backward_cannot_is_an_error() -> None:
    assert (
        "not judged with one tensor as inputs 0 and 1: call raised ValueError: one tensor"
        in judged(Refusing.apply).notes
    )
    report = judged(Failing.apply)
    assert report.status == "error"
    assert "one tensor with one tensor as inputs 0 and 1" in report.summary()


@pytest.mark.parametrize(
    ("func", "reference"),
    [
        (lambda a, b: (a - b).abs(), lambda a, b: np.abs(a - b)),
        (torch.maximum, np.maximum),
        (lambda a, b: ((a - b) ** 2).sum(-1).sqrt(), lambda a, b: np.sqrt(np.sum((a - b) ** 2, -1))),
        (lambda a, b: a / (a - b), lambda a, b: a / (a - b)),
    ],
)
def test_equal_inputs_that_meet_a_kink_or_a_pole_flag_no_right_function(func, reference) -> None:
    assert judged(func, reference).status == "agree"
