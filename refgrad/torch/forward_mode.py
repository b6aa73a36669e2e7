"""torch's forward mode. Its first use compiles decompositions, by a compiler that torch calls deprecated: a warning to nobody here."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd import forward_ad


def dual_level() -> AbstractContextManager[Any]:
    """Where duals live. A project whose tests make every warning an error would else fail over torch's own, at the first tangent."""
    _compiled()
    level: AbstractContextManager[Any] = forward_ad.dual_level()
    return level


def func_jvp(f: Callable[..., Any], xs: Sequence[Any], x_dots: Sequence[Any]) -> tuple[Any, Any]:
    """torch.func.jvp: value and tangent of f. It may be nested."""
    _compiled()
    found: tuple[Any, Any] = torch.func.jvp(f, tuple(xs), tuple(x_dots))
    return found


@functools.cache
def _compiled() -> None:
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
