"""gradgradcheck: the second derivatives of a torch callable, in each order of nesting, against those of a NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from refgrad.arguments import kind
from refgrad.arrays import Tree
from refgrad.errors import ArgumentError
from refgrad.testing.checks.check_report import Report
from refgrad.torch.check_script import rerun
from refgrad.torch.checking.arguments import active_of, stated, title, usage
from refgrad.torch.checking.batched import BATCHED_REVERSE_OVER_REVERSE
from refgrad.torch.checking.complex_tensors import in_real_numbers
from refgrad.torch.checking.keywords import GRADGRADCHECK, Keywords, dtype_name, read
from refgrad.torch.checking.mixed_dtypes import keeping, kept_inputs, notes_of
from refgrad.torch.checking.nested import verdicts
from refgrad.torch.checking.orders import FORWARD_OVER_REVERSE, ORDERS, REVERSE_OVER_REVERSE, Order
from refgrad.torch.checking.subject import Subject
from refgrad.torch.devices import plain_arithmetic
from refgrad.torch.side_effects import settings_restored


def gradgradcheck(
    func: Callable[..., Any],
    inputs: object,
    grad_outputs: object = None,
    *,
    reference: Callable[..., Tree] | None = None,
    dtypes: Sequence[str | torch.dtype] = ("float64", "float32"),
    repeats: int = 3,
    seed: int = 0,
    keep_dtype: Collection[int] = (),
    orders: Sequence[str] | None = None,
    raise_exception: bool = True,
    strict: bool = False,
    allow_undecided: bool = False,
    **keywords: object,
) -> Report:
    """Check the second derivatives of ``func`` against those of ``reference``, in each order of nesting that torch offers.

    func          any torch callable or ``torch.autograd.Function.apply``; one tensor, or a tuple of tensors, as result
    inputs        a tensor or a tuple; floating-point tensors with requires_grad are differentiated (all floating-point ones where none
                  has it), cast to each dtype in turn; everything else is passed unchanged. A complex tensor is judged by its real and
                  imaginary parts, along a last axis of length 2, which cotangents for complex results have as well
    grad_outputs  the cotangents, a tensor or a tuple with one entry for each output, None for an output that is not used; random ones
                  of the whole significand where it is not given
    reference     the same function in NumPy, called with arrays in place of tensors
    dtypes        the formats to judge, as names or torch dtypes
    repeats       the number of random seeds, at least 1. Seeds and inputs are contiguous, permuted and expanded in memory in turn
    keep_dtype    positions of the inputs that are not cast, as in gradcheck
    orders        the orders of nesting: "reverse over reverse" (double backward), "forward over reverse", "reverse over forward",
                  "forward over forward" (nested torch.func.jvp); all of them unless given
    keywords      those of torch.autograd.gradgradcheck; the report names those without an effect here

    Each order is a mode of its own in the report. An order that torch does not offer for this function is ``unsupported``, with torch's
    message. gradcheck judges first derivatives; this check does not.

    Returns a truthy Report. Raises GradientMismatch for a wrong second derivative, and where func fails in one order; GradientUndecided
    where nothing could be judged, unless ``allow_undecided``; ArgumentError and DtypeError for arguments of the wrong kind.
    """
    settings = read(keywords, GRADGRADCHECK, gradgradcheck.__kwdefaults__ or ())
    reference = stated(GRADGRADCHECK, reference)
    usage(GRADGRADCHECK, func, reference, dtypes, repeats, seed)
    names = [dtype_name(dtype) for dtype in dtypes]
    chosen = _orders(orders, settings)
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = title(func)
    func, reference, arguments, complex_notes = in_real_numbers(func, reference, arguments)
    kept = kept_inputs(keep_dtype, arguments, names)
    active = active_of(arguments, GRADGRADCHECK)
    given = None if grad_outputs is None else _cotangents(grad_outputs)
    report = Report(
        f"gradgradcheck({name})",
        source=f"gradgradcheck(func, inputs, reference=..., dtypes={tuple(names)}, seed={seed}{keeping(kept)})",
    )
    report.notes += [*settings.notes, *complex_notes]
    for dtype in names:
        plain_arithmetic(dtype)
        subject = Subject(func, reference, arguments, active, dtype, kept)
        report.notes += notes_of(kept, subject.arguments, dtype)
        report.device = subject.device
        with settings_restored("seed") as changes:
            found = verdicts(
                subject,
                chosen,
                repeats=1 if settings.fast else repeats,
                seed=seed,
                alone=settings.undefined and not settings.fast,
                cotangents=given,
                nondet_tol=settings.nondet_tol,
            )
        report.notes += [f"{change}; gradcheck judges that" for change in changes]
        report.verdicts += [(dtype, verdict) for verdict in found]
        report.notes += [note for note in subject.notes if note not in report.notes]
    report.script = rerun(func, report.name, report.device)
    return report.settle(raise_exception, strict=strict, allow_undecided=allow_undecided)


def _orders(given: Sequence[str] | None, settings: Keywords) -> list[Order]:
    """The orders to judge, by their names or all of them, without those that torch's keywords leave out. Raises ArgumentError."""
    if given is not None and (isinstance(given, str) or not given or not set(given) <= set(ORDERS)):
        raise ArgumentError(f"orders is {given!r}; a tuple of names is expected, some of {list(ORDERS)}")
    out = [] if settings.forward_over_reverse else [FORWARD_OVER_REVERSE.name]
    out += [] if settings.reverse_over_reverse else [REVERSE_OVER_REVERSE.name]
    chosen = [order for name, order in ORDERS.items() if name in (given or ORDERS) and name not in out]
    if not chosen:
        raise ArgumentError(f"no order is left to check: orders is {given!r}, and keywords leave out {out}")
    return [*chosen, *([BATCHED_REVERSE_OVER_REVERSE] if settings.batched else [])]


def _cotangents(given: object) -> tuple[Tensor | None, ...]:
    """grad_outputs as a tuple with an entry for each output. Raises ArgumentError for anything but floating-point tensors and None."""
    entries = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    for k, y_bar in enumerate(entries):
        if y_bar is not None and not (isinstance(y_bar, Tensor) and y_bar.is_floating_point()):
            what = y_bar.dtype if isinstance(y_bar, Tensor) else kind(y_bar)
            raise ArgumentError(
                f"grad_outputs holds {what} at position {k}; a floating-point tensor of the shape of output {k}, or None, is expected"
            )
    if all(y_bar is None for y_bar in entries):
        raise ArgumentError("grad_outputs holds no tensor; at least one output has to carry a cotangent")
    return entries
