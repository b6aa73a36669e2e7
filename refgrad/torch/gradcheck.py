"""gradcheck: the gradient of a torch callable, in the dtypes that are shipped, against the derivative of a NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.errors import ArgumentError
from refgrad.testing.checks.check_report import Report
from refgrad.testing.judging.verdict import DISAGREE, ERROR, UNDECIDED, Verdict
from refgrad.torch.check_script import rerun
from refgrad.torch.checking.arguments import active_of, title, usage
from refgrad.torch.checking.batched import BATCHED_FORWARD, BATCHED_REVERSE
from refgrad.torch.checking.check import Check, Settings
from refgrad.torch.checking.keywords import GRADCHECK, Keywords, dtype_name, read
from refgrad.torch.checking.nested import verdicts
from refgrad.torch.checking.orders import REVERSE_OVER_REVERSE
from refgrad.torch.checking.subject import Subject
from refgrad.torch.devices import plain_arithmetic


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
    **keywords: Any,
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
    keywords         those of torch.autograd.gradcheck; the report says which of them mean nothing here

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
    usage(GRADCHECK, func, reference, dtypes, repeats)
    names = [dtype_name(dtype) for dtype in dtypes]
    asked = read(keywords, GRADCHECK)
    active = tuple(active_of(arguments, GRADCHECK))
    settings = Settings(
        repeats=repeats,
        seed=seed,
        reverse=asked.reverse,
        forward=check_forward and asked.forward,
        fast=asked.fast,
        undefined=asked.undefined,
        nondet_tol=asked.nondet_tol,
    )
    report = Report(
        f"gradcheck({title(func)})",
        source=f"gradcheck(func, inputs, reference=..., dtypes={tuple(names)}, seed={seed})",
        notes=list(asked.notes),
    )
    raised: list[Exception | None] = []
    for dtype in names:
        plain_arithmetic(dtype)
        check = Check(func, reference, arguments, active, dtype, settings)
        report.device = check.device
        first = check.verdicts()
        report.verdicts += [(dtype, v) for v in first]
        raised.append(check.raised)
        notes = check.notes
        del check  # with all that its questions shared
        if not {v.status for v in first} & {DISAGREE, ERROR, UNDECIDED}:  # else the rest says nothing
            subject = Subject(func, reference, arguments, active, dtype)
            report.verdicts += [(dtype, v) for v in _batched(subject, asked, seed)]
            notes = [*notes, *_double_backward(subject, asked, seed), *subject.notes]
        report.notes += [note for note in notes if note not in report.notes]
    if raise_exception and all(raised) and not any(v.elements for _, v in report.verdicts):
        error = raised[0]
        assert error is not None
        error.add_note(
            f"gradcheck called func with tensors of {dtypes[0]} that require gradients. dtypes= says which formats to judge. Where func "
            "writes into its input, judge lambda x: func(x.clone())."
        )
        raise error
    report.script = rerun(func, report.name, report.device)
    try:
        return report.settle(raise_exception, strict=strict, allow_undecided=allow_undecided)
    except AssertionError as mismatch:
        mismatch.__cause__ = next((error for error in raised if error is not None), None)
        raise


def _batched(subject: Subject, asked: Keywords, seed: int) -> list[Verdict]:
    """Several cotangents or tangents at once, where the caller asks for that."""
    orders = [BATCHED_REVERSE] * asked.batched + [BATCHED_FORWARD] * asked.batched_forward
    return verdicts(subject, orders, seed=seed, nondet_tol=asked.nondet_tol) if orders else []


def _double_backward(subject: Subject, asked: Keywords, seed: int) -> list[str]:
    """A note where the second derivative is wrong. A gradient that is right is not wrong for that."""
    if asked.fast or not asked.reverse:
        return []
    orders = [REVERSE_OVER_REVERSE]
    (second,) = verdicts(subject, orders, seed=seed, nondet_tol=asked.nondet_tol, demanded=False)
    if second.status != DISAGREE:
        return []
    note = (
        f"{subject.dtype}: the second derivative is wrong, and torch gives it without a warning: {second.message}. gradgradcheck judges "
        "it; where none is meant, mark the backward with once_differentiable"
    )
    return [note]
