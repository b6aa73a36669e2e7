"""The devices that torch finds on this machine, and the settings of its arithmetic that the bounds assume."""

from __future__ import annotations

import os

import torch

from refgrad.bounds.formats import FORMATS, format_of
from refgrad.errors import DeviceMissingError, DtypeError

VERSION = str(torch.__version__)
_SHORT_OPERANDS = (8, 0)  # the compute capability from which CUDA devices have such units
KERNELS = str(torch.backends.cpu.get_cpu_capability())  # the vector unit that CPU kernels are chosen for


def device(name: str) -> torch.device:
    """The torch device of this name. Raises DeviceMissingError where torch finds none."""
    kind = name.partition(":")[0]
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    if kind == "cpu" and found is not None:
        if found.index is not None:
            raise DeviceMissingError(
                f"device {name!r} was asked for, but torch counts no CPUs: there is one, named 'cpu'"
            )
        return found
    module = getattr(torch, kind, None)
    if found is None or module is None or not hasattr(module, "is_available") or not module.is_available():
        raise DeviceMissingError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees none on this machine"
        )
    count = module.device_count() if hasattr(module, "device_count") else None
    if found.index is not None and count is not None and found.index >= count:
        raise DeviceMissingError(
            f"device {name!r} was asked for, but torch sees {count} of {kind!r}, counted from 0, on this machine"
        )
    return found


def supported(name: str, dtype: str) -> bool:
    """Whether the device computes in the dtype. Raises DeviceMissingError where there is no such device."""
    where = device(name)
    try:
        x = torch.ones(2, 2, dtype=getattr(torch, format_of(dtype, name).storage), device=where)
        x @ x
    except (DtypeError, RuntimeError):
        return False
    return not short_operands(dtype) or torch.cuda.get_device_capability(where) >= _SHORT_OPERANDS


def describe(name: str) -> str:
    """A description of the device, for the report."""
    try:
        found = device(name)
    except DeviceMissingError:
        return f"not present: {name} was not judged"
    if found.type == "cuda":
        major, minor = torch.cuda.get_device_capability(found)
        return f"{torch.cuda.get_device_name(found)}, compute capability {major}.{minor}"
    if found.type == "cpu":
        return f"{os.cpu_count() or 1} core(s), {torch.backends.cpu.get_cpu_capability()}"
    return f"a device that {torch_module(found.type)} provides"


def torch_module(kind: str) -> str:
    """The name of the module that torch has for a kind of device, such as the one that a package registers."""
    module = getattr(torch, kind, None)
    return str(getattr(module, "__name__", None) or type(module).__module__)


def free_memory(name: str) -> int | None:
    """The free memory of a CUDA device in bytes; None for other devices."""
    found = device(name)
    return int(torch.cuda.mem_get_info(found)[0]) if found.type == "cuda" else None


def short_operands(dtype: str) -> bool:
    """Whether matrix products of the dtype shorten their operands, as torch's setting allow_tf32 permits."""
    return dtype in FORMATS and FORMATS[dtype].u_operand > 0


def plain_arithmetic(dtype: str = "") -> None:
    """Switch off the arithmetic that the bounds do not cover.

    These are reduced-precision reductions on CUDA, and short operands unless the dtype has them.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = short_operands(dtype)
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
