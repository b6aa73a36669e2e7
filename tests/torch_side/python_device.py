"""A device of torch written in Python, as a package would register it: its memory and its kernels are those of the CPU.

KERNELS holds its own kernels, by the operator of torch. A module that puts a wrong one there is a device with a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

NAME = "pydevice"
KERNELS: dict[Any, Callable[..., Any]] = {}

backend_registration._setup_privateuseone_for_python_backend(NAME)


class DeviceTensor(torch.Tensor):
    """A tensor of the device. ``held`` is the tensor of the CPU that has its numbers; views of it are views here."""

    held: torch.Tensor

    def __new__(cls, held: torch.Tensor) -> Self:
        made: Self = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=f"{NAME}:0",
        )
        return made

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator on the numbers, by the device's kernel or that of the CPU."""
        kwargs, given = kwargs or {}, {}

        def held(x: Any) -> Any:
            if isinstance(x, cls):
                given[id(x.held)] = x
                return x.held
            return torch.device("cpu") if isinstance(x, torch.device) else x

        def made(y: Any) -> Any:
            if not isinstance(y, torch.Tensor):
                return y
            return given[id(y)] if id(y) in given else cls(y)

        where = kwargs.get("device")
        found = KERNELS.get(op, op)(*tree_map(held, args), **tree_map(held, kwargs))
        leaves = where is not None and torch.device(where).type == "cpu"
        return found if leaves else tree_map(made, found)


def _empty(size: Sequence[int], *, dtype: Any = None, **_: Any) -> DeviceTensor:
    return DeviceTensor(torch.empty(size, dtype=dtype))


def _empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, **_: Any
) -> DeviceTensor:
    return DeviceTensor(torch.empty_strided(size, stride, dtype=dtype))


LIBRARY = torch.library.Library("aten", "IMPL")
LIBRARY.impl("empty.memory_format", _empty, "PrivateUse1")
LIBRARY.impl("empty_strided", _empty_strided, "PrivateUse1")
