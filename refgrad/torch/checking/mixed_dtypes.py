"""Inputs that keep a dtype finer than the judged one, such as the float32 weights of a kernel whose activations are bfloat16.

A kernel may use such an input as it is, or round it to the judged format first. So the reference gets a Ball that holds both numbers. Of
an input that the judged format holds exactly both are the same, and its Ball is exact.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.bounds.rounding import nearest
from refgrad.errors import ArgumentError
from refgrad.quiet import quiet
from refgrad.torch.checking.layouts import cast
from refgrad.tracing.ball import Ball, exact


def kept_inputs(given: object, arguments: Sequence[Any], names: Sequence[str]) -> frozenset[int]:
    """``keep_dtype`` as a set of positions.

    Raises ArgumentError for anything but positions of floating-point tensors, and where the dtype of one is coarser than one of ``names``.
    """
    floating = [k for k, x in enumerate(arguments) if _is_floating(x)]
    if not isinstance(given, Collection) or not all(type(k) is int and k in floating for k in given):
        raise ArgumentError(
            f"keep_dtype is {given!r}; a tuple of positions of floating-point tensors is expected, some of {floating}"
        )
    for k in given:
        for name in names:
            dtype, judged = arguments[k].dtype, _storage(name, arguments[k].device.type)
            if torch.finfo(dtype).eps > torch.finfo(judged).eps:
                raise ArgumentError(
                    f"keep_dtype names input {k} of {dtype}, which is coarser than the judged {name}: give the input in a finer dtype, or "
                    f"leave {name} out of dtypes"
                )
    return frozenset(given)


def keeping(kept: Collection[int]) -> str:
    """The keyword as a report repeats it; "" where there is none."""
    return f", keep_dtype={tuple(sorted(kept))}" if kept else ""


def notes_of(kept: Collection[int], arguments: Sequence[Any], dtype: str) -> list[str]:
    """What a report says of the inputs that have another dtype than the judged one."""
    return [
        f"{dtype}: input {k} keeps dtype {arguments[k].dtype}, and its gradient is judged by the bounds of {dtype}"
        for k in sorted(kept)
        if arguments[k].dtype != _storage(dtype, arguments[k].device.type)
    ]


def dtypes_of(arguments: Sequence[Any], judged: torch.dtype, due: torch.dtype) -> dict[str, Any]:
    """The fields of Evidence that name dtypes other than the judged one: of the arguments, and of the array that is due."""
    found = tuple(_name(x.dtype) if _is_floating(x) and x.dtype != judged else "" for x in arguments)
    return {"dtypes": found if any(found) else (), "dtype": "" if due == judged else _name(due)}


def finer_dtypes(arguments: Sequence[Any], judged: torch.dtype) -> set[torch.dtype]:
    """The dtypes of the arguments that keep one other than the judged: an output may have one of them."""
    return {x.dtype for x in arguments if _is_floating(x) and x.dtype != judged}


def in_dtype(arguments: Sequence[Any], dtype: torch.dtype, kept: Collection[int]) -> tuple[Any, ...]:
    """The arguments with every floating-point tensor in ``dtype``, but for those at ``kept``, each in its own memory layout.

    A parameter of a module remains one: a func may take another path for it.
    """

    def converted(x: Any, dtype: torch.dtype) -> Any:
        found = cast(x, dtype)
        return Parameter(found, False) if isinstance(x, Parameter) else found

    return tuple(
        converted(x, x.dtype if k in kept else dtype) if _is_floating(x) else x
        for k, x in enumerate(arguments)
    )


def enclosed(arguments: Sequence[Any], plain: Sequence[Any], fmt: Format) -> list[Any]:
    """The arguments of the reference: Balls for floating-point tensors, other objects as given.

    arguments, plain   the arguments of the callable, and the same with arrays in place of tensors
    """
    judged: torch.dtype = getattr(torch, fmt.storage)
    return [
        (exact(x, fmt) if t.dtype == judged else _either(x, fmt)) if _is_floating(t) else x
        for t, x in zip(arguments, plain, strict=True)
    ]


def _either(x: PlainArray, fmt: Format) -> Ball:
    """A Ball around x that holds its nearest number of the format, too."""
    value = np.asarray(x).astype(fmt.wide)
    with quiet():
        apart = np.abs(nearest(x, fmt) - value)
    apart = np.where(np.isnan(apart), 0.0, apart)  # NaN and infinity are the same in both formats
    ball = exact(value, fmt)
    if not np.any(apart):
        return ball
    return Ball(value, apart if ball.radius is None else np.maximum(apart, ball.radius), fmt)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_floating(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _storage(name: str, device: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, format_of(name, device).storage)
    return dtype
