"""gradcheck: compares the gradient of a torch callable, in each dtype, with the derivative of a NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch

from refgrad.arrays import Tree
from refgrad.testing.checks.check_report import Report
from refgrad.testing.judging.verdict import DISAGREE, ERROR, UNDECIDED, Verdict
from refgrad.torch.check_script import rerun
from refgrad.torch.checking import mapped
from refgrad.torch.checking.arguments import active_of, stated, title, usage
from refgrad.torch.checking.batched import BATCHED_FORWARD, BATCHED_REVERSE, MAPPED_REVERSE
from refgrad.torch.checking.check import Check, Settings
from refgrad.torch.checking.complex_tensors import in_real_numbers
from refgrad.torch.checking.keywords import GRADCHECK, Keywords, dtype_name, read
from refgrad.torch.checking.mixed_dtypes import keeping, kept_inputs
from refgrad.torch.checking.nested import verdicts
from refgrad.torch.checking.orders import REVERSE_OVER_REVERSE
from refgrad.torch.checking.subject import Subject
from refgrad.torch.devices import plain_arithmetic


def gradcheck(
    func: Callable[..., Any],
    inputs: object,
    *,
    reference: Callable[..., Tree] | None = None,
    dtypes: Sequence[str | torch.dtype] = ("float64", "float32"),
    repeats: int = 3,
    seed: int = 0,
    keep_dtype: Collection[int] = (),
    check_forward: bool = True,
    raise_exception: bool = True,
    strict: bool = False,
    allow_undecided: bool = False,
    **keywords: object,
) -> Report:
    """Check the value and the gradients of ``func`` against the derivative of ``reference``, in each dtype, without tolerances.

    func             any torch callable or ``torch.autograd.Function.apply``; one tensor, or a tuple of tensors, as result
    inputs           a tensor or a tuple; floating-point tensors with requires_grad are differentiated (all floating-point ones where none
                     has it), cast to each dtype in turn, in their own memory layout; everything else is passed unchanged. A complex tensor
                     is judged by its real and imaginary parts, along a last axis of length 2; func and reference get it as complex
    reference        the same function in NumPy (``import numpy as np`` and refgrad.nn), called with arrays in place of tensors
    dtypes           the formats to judge, as names or torch dtypes; the gradients in each are compared within bounds of its own rounding
    repeats          the number of random cotangents that use the whole significand, at least 1; other kinds of cotangents are used, too
    keep_dtype       positions of the inputs that are not cast: float32 weights beside bfloat16 activations. The gradient of such an input
                     has its dtype, and is judged by the bounds of the judged format
    strict           whether an imprecise gradient is a failure, too
    allow_undecided  whether a gradient that could not be judged passes
    keywords         those of torch.autograd.gradcheck; the report names those without an effect here

    The bound holds for every evaluation of the reference's formula in that dtype, in any order of summation. A gradient outside it that
    another correct formula explains is ``imprecise``: it has fewer correct digits than the dtype allows.

    Returns a truthy Report; raises GradientMismatch (an AssertionError) naming the input, element, got, expected and bound,
    GradientUndecided (an AssertionError) where a gradient could not be judged, ArgumentError without a reference and for arguments of the
    wrong kind, DtypeError for missing floating-point inputs, and for complex results of real inputs. An exception that func raises in every
    dtype propagates, with a note on how func was called.
    """
    keyword_settings = read(keywords, GRADCHECK, gradcheck.__kwdefaults__ or ())
    reference = stated(GRADCHECK, reference)
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    usage(GRADCHECK, func, reference, dtypes, repeats, seed)
    names = [dtype_name(dtype) for dtype in dtypes]
    name = title(func)
    func, reference, arguments, complex_notes = in_real_numbers(func, reference, arguments)
    kept = kept_inputs(keep_dtype, arguments, names)
    active = tuple(active_of(arguments, GRADCHECK))
    settings = Settings(
        repeats=repeats,
        seed=seed,
        reverse=keyword_settings.reverse,
        forward=check_forward and keyword_settings.forward,
        fast=keyword_settings.fast,
        undefined=keyword_settings.undefined,
        nondet_tol=keyword_settings.nondet_tol,
    )
    report = Report(
        f"gradcheck({name})",
        source=f"gradcheck(func, inputs, reference=..., dtypes={tuple(names)}, seed={seed}{keeping(kept)})",
        notes=[*keyword_settings.notes, *complex_notes],
    )
    raised: list[Exception | None] = []
    for dtype in names:
        plain_arithmetic(dtype)
        check = Check(func, reference, arguments, active, dtype, settings, kept)
        report.device = check.device
        first = check.verdicts()
        report.verdicts += [(dtype, v) for v in first]
        raised.append(check.raised)
        notes = check.notes
        del check  # frees the arrays that its questions share
        if not {v.status for v in first} & {DISAGREE, ERROR, UNDECIDED}:
            # where the first derivative is wrong, the others are wrong, too
            subject = Subject(func, reference, arguments, active, dtype, kept)
            report.verdicts += [(dtype, v) for v in _batched(subject, keyword_settings, seed)]
            notes = [*notes, *_double_backward(subject, keyword_settings, seed), *subject.notes]
        report.notes += [note for note in notes if note not in report.notes]
    if raise_exception and all(raised) and not any(v.elements for _, v in report.verdicts):
        error = raised[0]
        assert error is not None
        error.add_note(
            f"gradcheck called func with tensors of {dtypes[0]} that require gradients. dtypes= says which formats to judge, and "
            "keep_dtype= which inputs keep their own. Where func writes into its input, judge lambda x: func(x.clone())."
        )
        raise error
    report.script = rerun(func, report.name, report.device)
    try:
        return report.settle(raise_exception, strict=strict, allow_undecided=allow_undecided)
    except AssertionError as mismatch:
        mismatch.__cause__ = next((error for error in raised if error is not None), None)
        raise


def _batched(subject: Subject, keyword_settings: Keywords, seed: int) -> list[Verdict]:
    """The verdicts for several cotangents, tangents or inputs at once, where the keywords or a rule for vmap ask for them."""
    orders = [BATCHED_REVERSE, MAPPED_REVERSE] * keyword_settings.batched
    orders += [BATCHED_FORWARD] * keyword_settings.batched_forward
    found = verdicts(subject, orders, seed=seed, nondet_tol=keyword_settings.nondet_tol) if orders else []
    demanded = bool(orders)
    if keyword_settings.fast and not demanded:
        return found
    inputs = mapped.verdict(subject, seed=seed, demanded=demanded, gradients=keyword_settings.reverse)
    return found if inputs is None else [*found, inputs]


def _double_backward(subject: Subject, keyword_settings: Keywords, seed: int) -> list[str]:
    """A note where the second derivative is wrong. The verdict on the gradient does not depend on it."""
    if keyword_settings.fast or not keyword_settings.reverse:
        return []
    orders = [REVERSE_OVER_REVERSE]
    (second,) = verdicts(subject, orders, seed=seed, nondet_tol=keyword_settings.nondet_tol, demanded=False)
    if second.status != DISAGREE:
        return []
    note = (
        f"{subject.dtype}: the second derivative is wrong, and torch gives it without a warning: {second.message}. gradgradcheck judges "
        "it; where none is meant, mark the backward with once_differentiable"
    )
    return [note]
