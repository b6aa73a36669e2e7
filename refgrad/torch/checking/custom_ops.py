"""Ops of torch.library that take part in func, and whether one of them has a rule for vmap (``register_vmap``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_AUTOGRAD = "torch._library.autograd"  # the module of the Functions that register_autograd makes
_VMAP = "FuncTorchBatched"  # torch's dispatch key of the rules for vmap


def have_rule_for_vmap(
    functions: Sequence[type[torch.autograd.Function]], call: Callable[[], object]
) -> bool:
    """Whether an op of torch.library among those that ``call`` runs has a rule for vmap.

    functions   the Functions in the graph of func; without one that ``register_autograd`` made there is no such op
    """
    if all(f.__module__ != _AUTOGRAD for f in functions):
        return False
    recording = _Recording()
    try:
        with torch.no_grad(), recording:
            call()
    except Exception:  # noqa: BLE001 - func may fail under a dispatch mode of torch: its ops are unknown then
        return False
    return any(torch._C._dispatch_has_kernel_for_dispatch_key(name, _VMAP) for name in recording.names)


class _Recording(TorchDispatchMode):
    """Records the names of ops that are not torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace not in ("aten", "prims"):
            self.names.add(func.name())
        return func(*args, **(kwargs or {}))
