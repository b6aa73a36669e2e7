"""gradcheck: the gradient of a torch callable, in the dtypes that are shipped, against the derivative of a NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.arguments import kind
from refgrad.errors import ArgumentError, DtypeError
from refgrad.formats import DTYPES
from refgrad.testing.outcome import Report
from refgrad.torch.checking.check import Check, Settings
from refgrad.torch.observe import plain_arithmetic
from refgrad.tree import flatten


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    reference: Callable[..., Any] | None = None,
    dtypes: Sequence[Any] = ("float64", "float32"),
    repeats: int = 3,
    seed: int = 0,
    check_forward: bool = True,
    raise_exception: bool = True,
    strict: bool = False,
    allow_undecided: bool = False,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    fast_mode: bool = False,
) -> Report:
    """Check the value and the gradients of ``func`` against the derivative of ``reference``, in each dtype, without tolerances.

    func             any torch callable or ``torch.autograd.Function.apply``; one tensor, or a tuple of tensors, as result
    inputs           a tensor or a tuple; floating-point tensors with requires_grad are differentiated (all floating-point ones where none
                     says so), cast to each dtype in turn, in the memory layout that they have; everything else is passed as it is
    reference        the same function in NumPy (``import numpy as np`` and refgrad.nn), called with arrays in place of tensors
    dtypes           which formats to judge, names or torch dtypes: each is asked for its own gradients, within bounds of its own rounding
    repeats          how many random cotangents of the whole significand, at least 1; other kinds are tried beside them
    strict           whether an imprecise gradient is refused, too
    allow_undecided  whether a gradient that could not be judged passes
    nondet_tol       how far the answers to the same question, asked twice, may differ
    check_undefined_grad  whether outputs are also left without a cotangent, one by one
    fast_mode        ask one question in each mode: no layouts, subsets or other kinds of cotangents

    The bound is what rounding can do to a run of the reference's formula in that dtype, in any order of summation. A gradient that another
    right formula explains is ``imprecise``: it has fewer correct digits than the dtype allows.

    Returns a truthy Report; raises GradientMismatch (an AssertionError) naming the input, element, got, expected and bound,
    GradientUndecided (an AssertionError) where a gradient could not be judged, ArgumentError without a reference and for arguments of the
    wrong kind, DtypeError for complex or missing floating-point inputs. What func raises in each dtype comes through, with a note on how
    it was called.
    """
    if reference is None:
        raise ArgumentError(
            "gradcheck needs reference=, the same function written in NumPy: refgrad does not read torch's own formulas. "
            "Example: gradcheck(MyTanh.apply, (x,), reference=np.tanh)"
        )
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    _usage(func, reference, dtypes, repeats)
    active = tuple(_active(arguments))
    settings = Settings(
        repeats=repeats,
        seed=seed,
        forward=check_forward,
        fast=fast_mode,
        undefined=check_undefined_grad,
        nondet_tol=nondet_tol,
    )
    report = Report(
        f"gradcheck({_title(func)})",
        source=f"gradcheck(func, inputs, reference=..., dtypes={tuple(dtypes)}, seed={seed})",
    )
    raised: list[Exception | None] = []
    for dtype in dtypes:
        plain_arithmetic(dtype)
        check = Check(func, reference, arguments, active, dtype, settings)
        report.device = check.device
        report.verdicts += [(dtype, v) for v in check.verdicts()]
        report.notes += [note for note in check.notes if note not in report.notes]
        raised.append(check.raised)
    if raise_exception and all(raised) and not any(v.elements for _, v in report.verdicts):
        error = raised[0]
        assert error is not None
        error.add_note(
            f"gradcheck called func with tensors of {dtypes[0]} that require gradients. dtypes= says which formats to judge. Where func "
            "writes into its input, judge lambda x: func(x.clone())."
        )
        raise error
    try:
        return report.settle(raise_exception, strict=strict, allow_undecided=allow_undecided)
    except AssertionError as mismatch:
        mismatch.__cause__ = next((error for error in raised if error is not None), None)
        raise


def _usage(func: Any, reference: Any, dtypes: Any, repeats: int) -> None:
    if isinstance(func, type) and issubclass(func, torch.autograd.Function):
        raise ArgumentError(
            f"func is the class {func.__name__}; a callable is expected. Pass {func.__name__}.apply"
        )
    for name, given in (("func", func), ("reference", reference)):
        if not callable(given):
            raise ArgumentError(
                f"{name} is {kind(given)}; a callable is expected: gradcheck(func, (x,), reference=...)"
            )
    if isinstance(dtypes, (str, torch.dtype)) or not dtypes:
        raise ArgumentError(
            f"dtypes is {dtypes!r}; a tuple of names is expected, such as ('float64', 'float32')"
        )
    for dtype in dtypes:
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise DtypeError(f"dtype {dtype!r} is not judged; a name is expected, one of {list(DTYPES)}")
    if repeats < 1:
        raise ArgumentError(
            f"repeats is {repeats}; at least 1 is expected, for no gradient is compared otherwise"
        )


def _active(arguments: tuple[Any, ...]) -> list[int]:
    for k, x in enumerate(arguments):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            raise DtypeError(
                f"input {k} is a NumPy array; a tensor is expected, which is cast to each dtype. Pass torch.tensor(x)"
            )
        if isinstance(x, (tuple, list, dict)) and any(isinstance(leaf, Tensor) for leaf in flatten(x)[0]):
            raise ArgumentError(
                f"input {k} is a {type(x).__name__} of tensors; each tensor is an input of its own: gradcheck(lambda a, b: func([a, b]), "
                "(a, b), reference=...)"
            )
    tensors = [k for k, x in enumerate(arguments) if isinstance(x, Tensor)]
    for k in tensors:
        if arguments[k].is_complex():
            raise DtypeError(
                f"input {k} has dtype {arguments[k].dtype}: complex is not supported. Pass real and imaginary parts as two tensors."
            )
    floating = [k for k in tensors if arguments[k].is_floating_point()]
    asked = [k for k in floating if arguments[k].requires_grad]
    if not floating:
        raise DtypeError(
            f"no input can be differentiated: got {[_kind(x) for x in arguments]}; a floating-point tensor is expected, such as "
            "torch.randn(3, requires_grad=True)"
        )
    return asked or floating


def _title(func: Any) -> str:
    owner = getattr(func, "__self__", None)  # of SomeFunction.apply: the Function
    return str(owner.__name__ if isinstance(owner, type) else getattr(func, "__qualname__", repr(func)))


def _kind(x: Any) -> str:
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
