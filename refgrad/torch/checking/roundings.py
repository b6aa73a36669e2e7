"""The number of rounding operations that torch runs for an answer, see testing/judging/imprecision.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from refgrad.torch.checking.arguments import outputs_of
from refgrad.torch.forward_mode import dual_level, make_dual

# Operations of torch that compute no new floating-point number.
_VIEWS = {"view", "_unsafe_view", "reshape", "expand", "transpose", "t", "permute", "squeeze", "unsqueeze"}
_SLICES = {"slice", "select", "unbind", "split", "detach", "alias", "as_strided"}
_COPIES = {"clone", "copy_", "cat", "stack", "index", "gather", "where", "flip", "roll", "lift_fresh"}
_FILLS = {"empty", "zeros", "ones", "full", "fill_", "zeros_like", "ones_like", "empty_like"}
_SIGNS = {"neg", "abs", "sign"}
_EXACT = frozenset(_VIEWS | _SLICES | _COPIES | _FILLS | _SIGNS)


class _Counting(TorchDispatchMode):
    """Counts the operations that compute new floating-point numbers. Operations that move elements or change signs do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        some = found if isinstance(found, (tuple, list)) else (found,)
        if func.overloadpacket.__name__ not in _EXACT and any(
            isinstance(x, Tensor) and x.is_floating_point() for x in some
        ):
            self.count += 1
        return found


def counted(func: Callable[..., Any], arguments: Sequence[Any], active: Sequence[int], mode: str) -> int:
    """The number of rounding operations of func and of its derivative in a mode; 0 where they cannot be counted.

    A compiled kernel counts as one operation, so the number is a lower bound.
    """
    counting = _Counting()
    xs = [x.detach().clone() if isinstance(x, Tensor) else x for x in arguments]
    try:
        if mode == "forward":
            with dual_level(), counting:
                for k in active:
                    xs[k] = make_dual(xs[k], torch.ones_like(xs[k]))
                func(*xs)
            return counting.count
        for k in active:
            xs[k].requires_grad_()
        with counting:
            y = func(*xs)
            outputs = [x for x in outputs_of(y, "func") if x.requires_grad]
            if mode == "reverse" and outputs:
                torch.autograd.grad(
                    outputs, [xs[k] for k in active], [torch.ones_like(x) for x in outputs], allow_unused=True
                )
    except Exception:  # noqa: BLE001 - func may fail under a dispatch mode of torch: the number is unknown then
        return 0
    return counting.count


def counted_while(ask: Callable[[], Any]) -> int:
    """The number of rounding operations of a call of ``ask``; 0 where they cannot be counted."""
    counting = _Counting()
    try:
        with counting:
            ask()
    except Exception:  # noqa: BLE001 - torch may fail under a dispatch mode: the number is unknown then
        return 0
    return counting.count
