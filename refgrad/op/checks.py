"""The checks of a record at registration: each message says what was given, what was expected, and what to do."""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.domain import Interval, Special
from refgrad.errors import RegistrationError
from refgrad.op.record import OpRecord
from refgrad.op.signature import parameter_names, plain_function
from refgrad.op.traits import COMPLEX_RULES, POOLS, SINGULAR


def check(op: OpRecord) -> None:
    """Raise RegistrationError for the first fault of a record."""
    for faults in (_of_functions, _of_domain, _of_special_points, _of_traits, _of_derivatives):
        for fault in faults(op):
            raise RegistrationError(f"op {op.name!r}: {fault}")


def _arity(op: OpRecord) -> int | None:
    """The number of operands; None for a variadic op."""
    return None if op.signature.variadic else len(op.signature.operands)


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(parameter_names(function))


def _takes(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    if plain_function(function):
        names = parameter_names(function)
        given = {*names[: len(args)], *kwargs}
        needed = names[: len(names) - len(function.__defaults__ or ())]
        fits = len(args) <= len(names) and len(given) == len(args) + len(kwargs)
        return fits and given.issuperset(needed) and given.issubset(names)
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


# --- functions --------------------------------------------------------------------------------------------------------


def _of_functions(op: OpRecord) -> Iterator[str]:
    sig = op.signature
    if not callable(op.rounding):
        yield f"a rounding rule is required (see refgrad.bounds), got {op.rounding!r}"
    elif not _takes(op.rounding, None):
        yield (
            f"the rounding rule takes one argument, an Evaluation (run.fmt, run.y, run.xs, run.es ...); got parameters "
            f"{_parameters(op.rounding)}"
        )
    else:
        for name in _figures(op.rounding):
            bounds.figure(name)  # raises for a function without a figure
    operands = [None] * (3 if sig.variadic else len(sig.operands))
    if op.torch is not None and not _takes(op.torch, None, *operands, **sig.defaults):
        star = "*" if sig.variadic else ""
        expected = ("torch", *[star + name for name in sig.operands], *sig.defaults)
        yield f"the twin takes {expected} like forward, got parameters {_parameters(op.torch)}"
    for function in op.numpy:
        if not callable(function):
            yield f"numpy lists functions, got {function!r}; write numpy=(np.exp,)"
    for field in ("reduces", "accumulates"):
        ufunc = getattr(op, field)
        if ufunc is not None and not (isinstance(ufunc, np.ufunc) and ufunc.nin == 2):
            yield f"{field} names a NumPy ufunc of two operands, got {ufunc!r}"


def _figures(rule: Any) -> Iterator[str]:
    """The names that a rule looks up as ``fmt.ulp("exp")``."""
    rule = rule.func if isinstance(rule, functools.partial) else rule
    code = getattr(rule, "__code__", None)
    if code is None or "ulp" not in code.co_names:
        return
    strings = [c for c in code.co_consts if isinstance(c, str)]
    if all(bounds.has_figure(c) for c in strings):
        # mostly; to find out which of them are names of figures takes long
        yield from strings
        return
    before = None
    for step in dis.get_instructions(code):
        if step.opname == "PUSH_NULL":
            continue
        if before == "ulp" and isinstance(step.argval, str) and "CONST" in step.opname:
            yield step.argval
        before = step.argval


# --- domain and special points ------------------------------------------------------------------------------------------


def _of_domain(op: OpRecord) -> Iterator[str]:
    count, given = _arity(op), len(op.domain.intervals)
    if not given:
        yield "the domain has no interval; leave domain away for all real numbers"
    if count is not None and given > count:
        yield f"the domain has {given} intervals for {count} operand{'s'[: count > 1]} {op.signature.operands}; give one an operand"
    for interval in op.domain.intervals:
        yield from _of_interval(interval)


def _of_interval(interval: Interval) -> Iterator[str]:
    low, high, hole = interval.low, interval.high, interval.hole
    if not low < high:
        yield f"the domain has the interval from {low} to {high}; the lower end comes first, and lies below the upper one"
    elif hole is not None and not low < hole < high:
        yield f"the interval from {low} to {high} leaves out {hole}, which does not lie inside"


def _of_special_points(op: OpRecord) -> Iterator[str]:
    for point in op.special:
        for fault in _of_point(op, point):
            yield f"special point {point.why!r}: {fault}"


def _of_point(op: OpRecord, point: Special) -> Iterator[str]:
    count, operands = _arity(op), op.signature.operands
    if count is not None and len(point.at) != count:
        yield f"at gives {len(point.at)} operands, expected {count}: {operands}"
    if len(point.allowed) != len(point.at):
        yield (
            f"allowed gives {len(point.allowed)} intervals for {len(point.at)} operands; give (low, high) for each, or None where "
            "nothing is defined"
        )
    unknown = {name for name, _ in point.params} - op.signature.defaults.keys()
    if unknown:
        yield f"unknown parameter {sorted(unknown)}; the op has {tuple(op.signature.defaults)}"
    for ends in point.allowed:
        if ends is None:
            continue
        if len(ends) != 2:
            yield f"allowed is an interval (low, high), got {ends!r}"
        elif np.any(np.greater(*ends)):
            yield f"allowed has the reversed interval {ends!r}; the lower end comes first"


# --- traits -----------------------------------------------------------------------------------------------------------


def _of_traits(op: OpRecord) -> Iterator[str]:
    sig, count = op.signature, _arity(op)
    several = count is None or count > 1
    if op.broadcasts and not several:
        yield f"broadcasts says that operands broadcast against each other, and there is one: {sig.operands}; leave it away"
    if op.commutes and not several:
        yield f"commutes speaks of the order of operands, and there is one: {sig.operands}; leave it away"
    if op.core and not op.broadcasts:
        yield f"core={op.core} says which axes do not broadcast; it needs broadcasts=True"
    if op.core and op.elementwise:
        yield f"core={op.core} contradicts elementwise=True: an elementwise op has no axes of its own"
    if op.elementwise and several and count is not None and not op.broadcasts:
        yield "an elementwise op of several operands broadcasts them; add broadcasts=True"
    if op.singular is not None and op.singular not in SINGULAR:
        yield f"singular is one of {SINGULAR} or None, got {op.singular!r}"
    if op.singular is not None and op.elementwise:
        yield f"singular={op.singular!r} speaks of matrices and contradicts elementwise=True"
    if op.complex_rules not in (None, *COMPLEX_RULES) and not callable(op.complex_rules):
        yield f"complex_rules is one of {COMPLEX_RULES}, a function or None, got {op.complex_rules!r}"
    if op.by_parts is not None and op.complex_rules is None:
        yield "by_parts says how complex values are bounded, and the op refuses complex operands (complex_rules=None)"
    if op.view and _arity(op) != 1:
        yield f"view says that the value shares the memory of its one operand; there are {sig.operands}"
    if op.helper and op.numpy:
        yield f"a helper stands in rules alone, and numpy={op.numpy} gives users a way to it; leave one of the two away"
    yield from _of_drawing(op)


def _of_drawing(op: OpRecord) -> Iterator[str]:
    """Faults of what drawings and random graphs read."""
    count = _arity(op)
    if op.notation.with_number is not None and count != 2:
        yield f"notation.with_number is for ops of two operands, and there are {op.signature.operands}"
    place = op.in_graphs
    if place is None:
        return
    if place.pool not in POOLS:
        yield f"in_graphs names the pool {place.pool!r}; one of {POOLS} is expected"
    if op.torch is None:
        yield "in_graphs draws the op for a comparison with torch, and it has no twin; leave in_graphs away"
    if place.weight < 1:
        yield f"in_graphs has weight {place.weight}; a positive number is expected"


def _of_derivatives(op: OpRecord) -> Iterator[str]:
    """Faults of what is said of derivatives."""
    differentiable = op.signature.differentiable
    for trait in ("picks", "selects", "branch_free", "unit_slopes", "slopes"):
        if getattr(op, trait) and not differentiable:
            yield f"{trait} speaks of derivatives, and the op has none (jvp=None); leave it away"
    if op.branch_free and op.picks:
        yield "branch_free contradicts picks: at a tie the derivative is a choice"
    for point in op.special:
        if op.branch_free and any(ends is not None and np.any(np.not_equal(*ends)) for ends in point.allowed):
            yield f"branch_free contradicts the special point {point.why!r}, which allows several derivatives"
    for trait in ("unit_slopes", "slopes"):
        if getattr(op, trait) and not op.elementwise:
            yield f"{trait} speaks of one operand's element; it needs elementwise=True"
    if op.slopes and op.unit_slopes:
        yield "slopes and unit_slopes both say what the derivatives are; leave one of the two away"
    if op.slopes and len(op.slopes) != _arity(op):
        yield f"slopes gives {len(op.slopes)} functions for the operands {op.signature.operands}; give one for each"
    for slope in op.slopes:
        if not _takes(slope, *[None] * (1 + len(op.signature.operands))):
            yield f"a slope takes mpmath and the operands {op.signature.operands}, got parameters {_parameters(slope)}"
    for formula in op.usual:
        if formula.jvp is not None:
            formula.of(op)  # raises where a rule does not fit the op
