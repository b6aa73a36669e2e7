"""A probe of torch: whether nested torch.func.jvp loses the outer tangent at a torch.autograd.Function."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from refgrad.torch.forward_mode import func_jvp


class _Cube(torch.autograd.Function):
    """x^3 with correct derivatives."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG004  torch's signature
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * x_dot


@functools.cache
def loses_outer_tangents() -> bool:
    """Whether nested torch.func.jvp returns zero for a Function with a nonzero second derivative, in this release of torch."""
    one = torch.ones(())

    def tangent(x: Tensor) -> Tensor:
        found: Tensor = func_jvp(_Cube.apply, (x,), (one,))[1]
        return found

    return bool(func_jvp(tangent, (one,), (one,))[1] == 0)
