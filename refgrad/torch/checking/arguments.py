"""Validation of the arguments of gradcheck and gradgradcheck, and the choice of the differentiated inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import BuiltinFunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.arguments import kind, whole_number
from refgrad.arrays import Tree
from refgrad.errors import ArgumentError, DtypeError
from refgrad.tree import flatten, is_leaf


def stated(who: str, reference: Callable[..., Tree] | None) -> Callable[..., Tree]:
    """The reference. Raises ArgumentError where there is none."""
    if reference is None:
        raise ArgumentError(
            f"{who} needs reference=, the same function written in NumPy: refgrad does not read torch's own formulas. "
            f"Example: {who}(MyTanh.apply, (x,), reference=np.tanh)"
        )
    return reference


def usage(who: str, func: object, reference: object, dtypes: object, repeats: object, seed: object) -> None:
    """Raise ArgumentError for arguments of the wrong kind. ``dtype_name`` validates the single dtypes."""
    if isinstance(func, type) and issubclass(func, torch.autograd.Function):
        raise ArgumentError(
            f"func is the class {func.__name__}; a callable is expected. Pass {func.__name__}.apply"
        )
    if isinstance(func, type) and issubclass(func, torch.nn.Module):
        raise ArgumentError(
            f"func is the class {func.__name__}; a module is expected. Pass {func.__name__}() with its arguments"
        )
    for name, given in (("func", func), ("reference", reference)):
        if not callable(given):
            raise ArgumentError(
                f"{name} is {kind(given)}; a callable is expected: {who}(func, (x,), reference=...)"
            )
    if not isinstance(dtypes, Collection) or isinstance(dtypes, str) or not dtypes:
        raise ArgumentError(
            f"dtypes is {dtypes!r}; a tuple is expected, such as ('float64', 'float32') or (torch.float64,)"
        )
    whole_number(repeats, "repeats", 1)
    whole_number(seed, "seed", 0)


def outputs_of(y: object, who: str) -> tuple[Any, ...]:
    """The entries of what ``who`` returned: one, or a tuple or list of several, of which those that are None are left out."""
    outputs = tuple(x for x in y if x is not None) if isinstance(y, (tuple, list)) else (y,)
    if not outputs:
        raise ArgumentError(f"{who} returned {y!r}, which holds no array; at least one is expected")
    return outputs


def active_of(arguments: Sequence[Any], who: str) -> list[int]:
    """The positions of the differentiated inputs: those that require a gradient, or all floating-point tensors where none does.

    Raises DtypeError for NumPy arrays and where there is no floating-point tensor; ArgumentError for tensors in lists, and for
    sparse ones and those without numbers.
    """
    for k, x in enumerate(arguments):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            raise DtypeError(
                f"input {k} is a NumPy array; a tensor is expected, which is cast to each dtype. Pass torch.tensor(x)"
            )
        if isinstance(x, Tensor) and x.is_meta:
            raise ArgumentError(
                f"input {k} is on the device meta, which holds no numbers; a tensor with numbers is expected"
            )
        if isinstance(x, Tensor) and x.is_nested:
            raise ArgumentError(
                f"input {k} is a nested tensor; dense tensors are expected. Nest them inside: {who}(lambda *xs: "
                f"func(torch.nested.as_nested_tensor(xs, layout={x.layout})), x.unbind(), reference=...)"
            )
        if isinstance(x, Tensor) and x.layout != torch.strided:
            raise ArgumentError(
                f"input {k} has the layout {x.layout}; a dense tensor is expected. Convert it inside: {who}(lambda x: "
                f"func(x.to_sparse(layout={x.layout})), (x.to_dense(),), reference=...)"
            )
        if not is_leaf(x) and any(isinstance(leaf, Tensor) for leaf in flatten(x)[0]):
            together = "dict(a=a, b=b)" if isinstance(x, dict) else "[a, b]"
            raise ArgumentError(
                f"input {k} is a {type(x).__name__} of tensors; each tensor is an input of its own: {who}(lambda a, b: func({together}), "
                "(a, b), reference=...)"
            )
    tensors = [k for k, x in enumerate(arguments) if isinstance(x, Tensor)]
    floating = [k for k in tensors if arguments[k].is_floating_point()]
    if not floating:
        kinds = [str(x.dtype) if isinstance(x, Tensor) else type(x).__name__ for x in arguments]
        raise DtypeError(
            f"no input can be differentiated: got {kinds}; a floating-point tensor is expected, such as torch.randn(3, requires_grad=True)"
        )
    return [k for k in floating if arguments[k].requires_grad] or floating


def tensors_of(y: object) -> tuple[Tensor, ...]:
    """The entries of what func returned. Raises ArgumentError for an entry that is no dense tensor with numbers."""
    outputs = outputs_of(y, "func")
    for k, x in enumerate(outputs):
        if not isinstance(x, Tensor):
            raise ArgumentError(f"func returned {kind(x)}; a tensor, or a tuple of tensors, is expected")
        if x.is_meta:
            raise ArgumentError(
                f"output {k} of func is on the device meta, which holds no numbers; a tensor with numbers is expected"
            )
        if x.is_nested:
            raise ArgumentError(
                f"output {k} of func is a nested tensor; dense tensors are expected. Judge lambda *xs: func(*xs).unbind()"
            )
        if x.is_quantized:
            raise ArgumentError(
                f"output {k} of func has the quantized dtype {x.dtype}; a floating-point dtype is expected. Judge lambda *xs: "
                "func(*xs).dequantize()"
            )
        if x.layout != torch.strided:
            raise ArgumentError(
                f"output {k} of func has the layout {x.layout}; a dense tensor is expected. Judge lambda *xs: func(*xs).to_dense()"
            )
    return outputs


def title(func: object) -> str:
    """The name of a callable; for SomeFunction.apply the name of the Function, and for torch.tanh just tanh."""
    owner = getattr(func, "__self__", None)
    if isinstance(owner, type):
        return owner.__name__
    if isinstance(func, BuiltinFunctionType):
        return func.__name__
    return str(getattr(func, "__qualname__", repr(func)))
