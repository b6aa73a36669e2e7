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
    found: tuple[Outputs, Outputs] = torch.func.jvp(f, tuple(xs), tuple(x_dots))
    return found


@functools.cache
def compile_once() -> None:
    """Compile the decompositions of forward mode, which takes seconds on a busy machine. Later calls do nothing."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
