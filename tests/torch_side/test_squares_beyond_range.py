"""Intermediate results beyond the range of float16: kernels that keep them in float32 are judged, others are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from tests.torch_side.zoo.record import function  # noqa: E402

Array = Any
EPS = 1e-6


def reference(x: Array) -> Array:
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + EPS)


def root(x: Array, dtype: Any) -> Array:
    return torch.rsqrt(x.to(dtype).square().mean(-1, keepdim=True) + EPS)


def forward(ctx: Any, x: Array) -> Array:
    r = root(x, torch.float32)
    ctx.save_for_backward(x, r)
    return (x.float() * r).to(x.dtype)


def backward(ctx: Any, g: Array) -> Array:
    x, r = ctx.saved_tensors
    y, g = x.float() * r, g.float()
    return (r * (g - y * (g * y).mean(-1, keepdim=True))).to(x.dtype)


def without_projection(ctx: Any, g: Array) -> Array:
    x, r = ctx.saved_tensors
    return (r * g.float()).to(x.dtype)


def in_float16(ctx: Any, g: Array) -> Array:
    """Here the squares overflow: the gradient is zero."""
    x, _ = ctx.saved_tensors
    r = root(x, x.dtype)
    return r * (g - x * r * (g * x * r).mean(-1, keepdim=True))


def of_dense_rows(ctx: Any, g: Array) -> Array:
    """Of a cotangent whose rows are not dense, every row is the first one."""
    return backward(ctx, g if g.stride(-1) == 1 else g[:1].expand(g.shape))


def status(formula: Callable[..., Any], scale: float) -> str:
    x = scale * torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel = function(forward, formula)
    assert float(x.square().max()) > 65504 or scale == 1
    return str(gradcheck(kernel, x, reference=reference, dtypes=("float16",), raise_exception=False).status)


def test_a_kernel_that_keeps_them_in_float32_agrees() -> None:
    assert status(backward, 400.0) == "agree"


@pytest.mark.parametrize("formula", [without_projection, in_float16])
def test_of_any_other_nothing_is_known(formula: Callable[..., Any]) -> None:
    assert status(formula, 400.0) == "undecided"


def test_a_kernel_that_agreed_is_held_to_it() -> None:
    assert status(of_dense_rows, 400.0) == "disagree"


@pytest.mark.parametrize("formula", [without_projection, of_dense_rows])
def test_within_the_range_the_wrong_ones_are_wrong(formula: Callable[..., Any]) -> None:
    assert status(formula, 1.0) == "disagree"
