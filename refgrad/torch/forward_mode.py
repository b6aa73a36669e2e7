"""torch's forward mode. Its first use compiles decompositions with torch.jit, which warns that it is deprecated; the warning is ignored."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd import forward_ad


def dual_level() -> AbstractContextManager[Any]:
    """A level for dual tensors, entered without the warning of the first use: a project's tests may turn warnings into errors."""
    compile_once()
    level: AbstractContextManager[Any] = forward_ad.dual_level()
    return level


def func_jvp(f: Callable[..., Any], xs: Sequence[Any], x_dots: Sequence[Any]) -> tuple[Any, Any]:
    """torch.func.jvp: value and tangent of f. It may be nested."""
    compile_once()
    found: tuple[Any, Any] = torch.func.jvp(f, tuple(xs), tuple(x_dots))
    return found


@functools.cache
def compile_once() -> None:
    """Compile the decompositions of forward mode, which takes seconds on a busy machine. Later calls do nothing."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
