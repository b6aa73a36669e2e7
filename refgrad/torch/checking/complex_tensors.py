"""Complex tensors among the inputs of a check: each becomes a real one, with real and imaginary parts along a last axis of length 2.

A gradient of torch for z = a + i b is dL/da + i dL/db, so the gradient of the real tensor holds its parts, and the bounds of real numbers
judge them. Complex results become real ones in the same way.

torch conjugates and negates without writing memory: z.conj() is a view with a bit (is_conj), and so is the cotangent of z in a function of
z.conj(). func is also called with such inputs, and gets such cotangents.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.ops.complex_numbers import from_parts

Function = Callable[..., Any]
Change = Callable[[Tensor], Tensor]
CONJUGATED, NEGATED = "lazily conjugated", "lazily negated"


def in_real_numbers(
    func: Function, reference: Function, arguments: Sequence[Any]
) -> tuple[Function, Function, tuple[Any, ...], list[str]]:
    """The callable, its reference and its arguments without complex tensors, and notes for the report; as they are where there are none."""
    complex_ones = [k for k, x in enumerate(arguments) if isinstance(x, Tensor) and x.is_complex()]
    if not complex_ones:
        return func, reference, tuple(arguments), []

    def of_tensors(*xs: Any) -> Any:
        given = [torch.complex(x[..., 0], x[..., 1]) if k in complex_ones else x for k, x in enumerate(xs)]
        return _results(func(*given), lambda y: torch.stack([y.real, y.imag], -1) if y.is_complex() else y)

    def of_lazy(enter: Change, leave: Change) -> Function:
        """The same function, with a bit on each complex input, and on the cotangent of each complex output."""

        def changed(*xs: Any) -> Any:
            given = [enter(x) if k in complex_ones else x for k, x in enumerate(xs)]
            return _results(func(*given), lambda y: leave(y) if y.is_complex() else y)

        return changed

    _LAZY[of_tensors] = {
        CONJUGATED: of_lazy(_conjugated, _conjugated_parts),
        NEGATED: of_lazy(_negated, _negated_parts),
    }

    def of_arrays(*xs: Any) -> Any:
        given = [from_parts(x[..., 0], x[..., 1]) if k in complex_ones else x for k, x in enumerate(xs)]
        return _results(reference(*given), _real_parts)

    notes = [
        f"input {k} is complex: real and imaginary parts stand along its last axis" for k in complex_ones
    ]
    return (
        of_tensors,
        of_arrays,
        tuple([_as_real(x) if k in complex_ones else x for k, x in enumerate(arguments)]),
        notes,
    )


_LAZY: weakref.WeakKeyDictionary[Function, dict[str, Function]] = weakref.WeakKeyDictionary()


def lazy_variants(func: Function) -> dict[str, Function]:
    """The variants of a function from in_real_numbers with lazily conjugated and negated tensors, by name; none for any other callable."""
    return _LAZY.get(func, {}) if isinstance(func, FunctionType) else {}


def _conjugated(x: Tensor) -> Tensor:
    return torch.complex(x[..., 0], -x[..., 1]).conj()


def _conjugated_parts(y: Tensor) -> Tensor:
    c = y.conj()
    return torch.stack([c.real, -c.imag], -1)


def _negated(x: Tensor) -> Tensor:
    return torch._neg_view(torch.complex(-x[..., 0], -x[..., 1]))


def _negated_parts(y: Tensor) -> Tensor:
    seen = y.view_as(y)
    if seen.requires_grad:  # torch's own backward of _neg_view writes the negated numbers to memory
        seen.register_hook(lambda y_bar: torch._neg_view(-y_bar))
    return torch.stack([seen.real, seen.imag], -1)


def _as_real(z: Tensor) -> Tensor:
    x = torch.view_as_real(z.detach().resolve_conj().resolve_neg())
    return x.requires_grad_(z.requires_grad)


def _real_parts(y: Any) -> Any:
    return np.stack([np.real(y), np.imag(y)], -1) if getattr(y, "dtype", np.dtype(float)).kind == "c" else y


def _results(y: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(y, (tuple, list)):
        return tuple(x if x is None else change(x) for x in y)
    return change(y)
