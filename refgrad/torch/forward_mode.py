"""Forward mode of torch, without the warning of its first use.

The first use compiles decompositions with torch.jit, which warns that it is deprecated.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

Outputs = TypeVar("Outputs")  # a tensor, or a tuple of tensors


def dual_level() -> AbstractContextManager[object]:
    """A level for dual tensors, entered without the warning of the first use: a project's tests may turn warnings into errors."""
    compile_once()
    level: AbstractContextManager[object] = forward_ad.dual_level()
    return level


def func_jvp(
    f: Callable[..., Outputs], xs: Sequence[Tensor], x_dots: Sequence[Tensor]
) -> tuple[Outputs, Outputs]:
    """torch.func.jvp: value and tangent of f. It may be nested."""
    compile_once()
    found: tuple[Outputs, Outputs] = torch.func.jvp(f, tuple(map(dense, xs)), tuple(x_dots))
    return found


def make_dual(x: Tensor, x_dot: Tensor) -> Tensor:
    """A dual tensor. Where elements of x share memory, as those of x.expand do, torch cannot make one, and a dense copy is used."""
    dual: Tensor = forward_ad.make_dual(dense(x), x_dot)
    return dual


def dense(x: Tensor) -> Tensor:
    """The tensor; a contiguous copy where ``overlaps``."""
    return x.clone(memory_format=torch.contiguous_format) if overlaps(x) else x


def overlaps(x: Tensor) -> bool:
    """Whether elements of a strided tensor share memory along an axis of stride 0."""
    return (
        x.layout == torch.strided
        and x.numel() > 0
        and any(n > 1 and stride == 0 for n, stride in zip(x.shape, x.stride(), strict=True))
    )


@functools.cache
def compile_once() -> None:
    """Compile the decompositions of forward mode, which takes seconds on a busy machine. Later calls do nothing."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
