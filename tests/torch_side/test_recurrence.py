"""A long recurrence: its bounds are sharp, and no formula of a kernel explains a wrong gradient of it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402


class Recurrent(torch.autograd.Function):
    """h = tanh(x[t] w + h u) over all rows of x. The gradient of u is multiplied by ``factor``, which is no gradient."""

    @staticmethod
    def forward(ctx, x, w, u, factor):
        ctx.save_for_backward(x, w, u)
        ctx.factor = factor
        return recurrent(torch.tanh, torch.zeros(w.shape[1], dtype=x.dtype), x, w, u)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        with torch.enable_grad():
            x, w, u = (t.detach().requires_grad_() for t in ctx.saved_tensors)
            h = recurrent(torch.tanh, torch.zeros(w.shape[1], dtype=x.dtype), x, w, u)
        x_bar, w_bar, u_bar = torch.autograd.grad(h, (x, w, u), g)
        return x_bar, w_bar, ctx.factor * u_bar, None


def recurrent(tanh, h, x, w, u):
    for row in x:
        h = tanh(row @ w + h @ u)
    return h


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_a_long_recurrence_is_judged_by_sharp_bounds_whatever_its_answer(factor) -> None:
    """The bounds of (1 - y)(1 + y) once grew along the rows, and explained any number."""
    rng = torch.Generator().manual_seed(3)
    sizes, scales = ((64, 4), (4, 8), (8, 8)), (1.0, 1.0, 0.3)
    x, w, u = (scale * torch.randn(size, generator=rng) for size, scale in zip(sizes, scales, strict=True))
    found = gradcheck(
        lambda *a: Recurrent.apply(*a, factor), (x.requires_grad_(), w.requires_grad_(), u.requires_grad_()),
        reference=lambda x, w, u: recurrent(np.tanh, np.zeros(8, x.dtype), x, w, u), raise_exception=False, dtypes=("float64",),
    )  # fmt: skip
    assert found.status in ({"agree", "imprecise"} if factor == 1 else {"disagree"})
