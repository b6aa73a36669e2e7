"""The README's table beside torch.autograd.gradcheck: each row, shown."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad import GradientMismatch  # noqa: E402  after the import that may skip
from refgrad.torch import gradcheck  # noqa: E402

theirs = torch.autograd.gradcheck
Tensor = torch.Tensor


def x_of(dtype: str = "float64", n: int = 64) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(n, dtype=getattr(torch, dtype), requires_grad=True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.filterwarnings("ignore:Input #0 requires gradient and is not a double")
def test_a_correct_tanh_in_the_dtypes_that_are_shipped(dtype: str) -> None:
    assert not theirs(torch.tanh, (x_of(dtype),), raise_exception=False)
    assert gradcheck(torch.tanh, (x_of(dtype),), reference=np.tanh, dtypes=(dtype,))


class OneEntry(torch.autograd.Function):
    """tanh, with one entry of the gradient wrong by one part in a thousand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        factor = torch.ones_like(x)
        factor[3] = 1.001
        return factor * y_bar * (1 - torch.tanh(x) ** 2)


def test_one_of_64_entries_wrong_by_one_part_in_a_thousand() -> None:
    assert theirs(OneEntry.apply, (x_of(),))
    assert theirs(OneEntry.apply, (x_of(),), fast_mode=True)
    for dtype in ("float64", "float32"):
        with pytest.raises(GradientMismatch, match=r"\[3\]"):
            gradcheck(OneEntry.apply, (x_of(),), reference=np.tanh, dtypes=(dtype,))


def test_forward_and_backward_wrong_together() -> None:
    def wrong(x: Tensor) -> Tensor:
        return torch.tanh(1.01 * x)

    assert theirs(wrong, (x_of(),))
    with pytest.raises(GradientMismatch):
        gradcheck(wrong, (x_of(),), reference=np.tanh)


def test_relu_at_its_kink() -> None:
    x = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    assert not theirs(torch.relu, (x,), raise_exception=False)
    assert gradcheck(torch.relu, (x,), reference=lambda x: np.maximum(x, 0))
