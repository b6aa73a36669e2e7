"""How many operations torch runs for an answer. Each of them rounds (testing/judging/imprecision.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

from refgrad.torch.forward_mode import dual_level

_MOVES = frozenset(
    {"view", "_unsafe_view", "reshape", "expand", "transpose", "t", "permute", "squeeze", "unsqueeze", "slice", "select", "clone",
     "detach", "alias", "as_strided", "copy_", "cat", "stack", "empty", "zeros", "ones", "full", "fill_", "zeros_like", "ones_like",
     "empty_like", "index", "gather", "where", "neg", "abs", "sign", "unbind", "split", "flip", "roll", "lift_fresh"}
)  # fmt: skip


class _Counting(TorchDispatchMode):
    """Counts operations whose result is floating-point numbers that no operand holds."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        some = found if isinstance(found, (tuple, list)) else (found,)
        if func.overloadpacket.__name__ not in _MOVES and any(
            isinstance(x, Tensor) and x.is_floating_point() for x in some
        ):
            self.count += 1
        return found


def counted(func: Callable[..., Any], arguments: Sequence[Any], active: Sequence[int], mode: str) -> int:
    """The number of rounding operations of func's value, and of its derivative in that mode; 0 where they cannot be counted.

    A compiled kernel is one operation, however often it rounds: the number is a lower estimate.
    """
    counting = _Counting()
    xs = [x.detach().clone() if isinstance(x, Tensor) else x for x in arguments]
    try:
        if mode == "forward":
            with dual_level(), counting:
                for k in active:
                    xs[k] = forward_ad.make_dual(xs[k], torch.ones_like(xs[k]))
                func(*xs)
            return counting.count
        for k in active:
            xs[k].requires_grad_()
        with counting:
            y = func(*xs)
            outputs = [x for x in (y if isinstance(y, (tuple, list)) else (y,)) if x.requires_grad]
            if mode == "reverse" and outputs:
                torch.autograd.grad(
                    outputs, [xs[k] for k in active], [torch.ones_like(x) for x in outputs], allow_unused=True
                )
    except Exception:  # noqa: BLE001 - func may not run under a mode of torch: then nothing is known
        return 0
    return counting.count


def counted_while(ask: Callable[[], Any]) -> int:
    """The number of rounding operations of a question, asked once more; 0 where they cannot be counted."""
    counting = _Counting()
    try:
        with counting:
            ask()
    except Exception:  # noqa: BLE001 - torch may not do under a mode what it did without: then nothing is known
        return 0
    return counting.count
