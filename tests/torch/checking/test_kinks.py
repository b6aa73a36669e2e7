"""Wrong elements at a branch of the reference have a note that names it; those of a wrong gradient have none."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd.function import once_differentiable  # noqa: E402

from refgrad.torch import gradcheck  # noqa: E402


class Relu(torch.autograd.Function):
    """The larger of x and 0, with the slope 1 at 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return y_bar * (x >= 0)


class Shared(torch.autograd.Function):
    """The largest element of a row; equal ones share its gradient."""

    @staticmethod
    def forward(ctx, x):
        y = x.amax(-1)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, y_bar):
        x, y = ctx.saved_tensors
        largest = x == y[:, None]
        return y_bar[:, None] * largest / largest.sum(-1, keepdim=True)


def notes(func, x, reference):
    report = gradcheck(
        func, (torch.tensor(x),), reference=reference, dtypes=("float64",), raise_exception=False
    )
    return report.status, [n for n in report.notes if n.startswith("the reference has a branch")]


@pytest.mark.parametrize("reference", [lambda x: np.where(x > 0, x, 0), lambda x: x * (x > 0)])
def test_a_comparison_is_named(reference) -> None:
    status, (note,) = notes(Relu.apply, [-1.0, 0.0, 0.0, 2.0], reference)
    assert status == "disagree"
    assert "at input 0[1]" in note
    assert "np.maximum" in note
    assert notes(Relu.apply, [-1.0, 0.0, 0.0, 2.0], lambda x: np.maximum(x, 0)) == ("agree", [])


def test_a_choice_of_one_of_equal_elements_is_named() -> None:
    def taken(x):
        return np.take_along_axis(x, np.argmax(x, -1)[:, None], -1)[:, 0]

    status, (note,) = notes(Shared.apply, [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]], taken)
    assert status == "disagree"
    assert "np.max" in note


def test_a_wrong_gradient_has_no_such_note() -> None:
    assert notes(lambda x: x.detach() * x, [-1.0, 0.5, 2.0], lambda x: x * x) == ("disagree", [])
    status, found = notes(
        lambda x: 2 * Relu.apply(x), [-1.0, 0.0, 2.0], lambda x: 2 * np.where(x > 0, x, 0) + x
    )
    assert (status, found) == ("disagree", [])
