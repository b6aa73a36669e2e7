"""Special points: where the record of an op replaces its rule by the set of acceptable derivatives, or says that there is none.

An element whose value is NaN, or overflowed, has no derivative, whatever the op. A point with nothing allowed (None) is not judged: NaN is
expected there, which counts as nothing compared. A set wider than one number becomes a Ball that spans it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.bounds import Format
from refgrad.domain import Special
from refgrad.op import Op, Params
from refgrad.rounding import Ball, parts

Array = Any
# What is allowed at some places of an operand: (places, low, high); low > high stands for nothing.
Patch = tuple[Array, Array, Array]
NOTHING = (np.inf, -np.inf)


def without_derivative(y: Any, got: Array) -> Array | None:
    """Which elements of a value have no derivative: NaN, and finite ones (y) that the framework's format could not hold (got).

    None where every element has one.
    """
    value = np.asarray(getattr(y, "value", y))
    if value.dtype.kind != "f":
        return None
    finite = np.isfinite(value)
    held = np.isfinite(got) if np.shape(got) == value.shape else np.ones(value.shape, bool)
    if np.count_nonzero(finite) == np.count_nonzero(held) == value.size:
        return None  # the usual case
    missing = np.isnan(value) | (finite & ~held)
    return missing if missing.any() else None


def undefined_outputs(missing: Array | None, y_bar: Array) -> Array:
    """The cotangent, with NaN where the value has no derivative: what depends on such an element is not defined."""
    return y_bar if missing is None else np.where(missing, np.nan, y_bar)


def patches(op: Op, operands: tuple[Any, ...], params: Params, position: int) -> list[Patch]:
    """The special points that the operands meet, as seen by the operand at ``position``; empty for ordinary ones."""
    found: list[Patch] = []
    if op.special:
        xs = [np.asarray(getattr(x, "value", x)) for x in operands]
        if all(x.dtype.kind == "f" for x in xs):
            for s in op.special:
                if (
                    len(s.at) == len(xs)
                    and position < len(s.allowed)
                    and all(np.array_equal(np.asarray(params.get(k)), v) for k, v in s.params)
                ):
                    patch = _patch(s, xs, params, position)
                    if patch is not None:
                        found.append(patch)
    return found


def _patch(s: Special, xs: list[Array], params: Params, position: int) -> Patch | None:
    allowed = s.allowed[position]
    if allowed is not None and type(allowed[0]) is float and allowed[0] == allowed[1]:
        return None  # a single derivative: the rule gives it, with its bound
    for x, a in zip(xs, s.at, strict=True):
        if type(a) is float and not (math.isnan(a) or np.count_nonzero(x == a)):
            return None  # the usual case: no element is there
    at = [np.asarray(a, float) for a in s.at]
    low, high = NOTHING if allowed is None else (np.asarray(allowed[0], float), np.asarray(allowed[1], float))
    x = xs[position]
    if np.all(low == high):
        return None  # a single derivative everywhere
    if all(a.ndim == 0 for a in at):
        places: Array = np.ones((), bool)
        for z, a in zip(xs, at, strict=True):
            places = places & _equal(z, a)
        spread = places.ndim - x.ndim
        along = tuple(
            k for k in range(places.ndim) if k < spread or (x.shape[k - spread] == 1 and places.shape[k] != 1)
        )
        if along:  # a broadcast operand gathers a sum: one element without a derivative leaves none
            places, (low, high) = places.any(axis=along, keepdims=True), NOTHING
        places = np.broadcast_to(places.reshape(places.shape[spread:]), x.shape)
    elif (
        len(at) == 1
        and at[0].ndim == 1
        and at[0].size > 1
        and np.all(_equal(at[0], at[0][0]))
        and np.ndim(params.get("axis", ())) == 0
    ):
        places = np.broadcast_to(
            np.all(_equal(x, at[0][0]), axis=params["axis"], keepdims=True), x.shape
        )  # any number of equal elements
        low, high = np.ravel(low)[0], np.ravel(high)[0]
    elif all(z.shape == a.shape and np.all(_equal(z, a)) for z, a in zip(xs, at, strict=True)):
        places = np.ones(x.shape, bool)
    else:
        return None
    return (places, np.broadcast_to(low, x.shape), np.broadcast_to(high, x.shape)) if places.any() else None


def in_a_set(op: Op, x: Array, params: Params) -> bool:
    """Whether a vector has an element to which a special point of its op allows a set, whatever stands beside it (a zero in a p-norm)."""
    for s in op.special:
        at, allowed = np.asarray(s.at[0], float), s.allowed[0]
        if (
            len(s.at) == 1
            and at.ndim == 1
            and allowed is not None
            and all(np.array_equal(np.asarray(params.get(k)), v) for k, v in s.params)
        ):
            free = at[np.broadcast_to(np.asarray(allowed[0]) != np.asarray(allowed[1]), at.shape)]
            if np.isin(x, free).any():
                return True
    return False


def _equal(x: Array, a: Array) -> Array:
    return (x == a) | (np.isnan(x) & np.isnan(a))


def settled(expected: Any, seed: Array, found: list[Patch], fmt: Format, *, single: bool) -> Any:
    """The expected cotangent of an operand, by the sets at its special points.

    seed     what multiplies the derivative: the cotangent of the value, of the operand's shape or a single number
    single   whether each element of the operand meets one element of the value (else sets are left to the rule)
    """
    if not found:
        return expected
    value, radius = (np.array(a) for a in parts(expected))
    for places, low, high in found:
        with np.errstate(invalid="ignore", over="ignore"):
            nothing = places & ((low > high) | (~np.isfinite(low) | ~np.isfinite(high)) & (low != high))
            value[nothing] = np.nan
            if single:
                ends = low * seed, high * seed
                some = places & ~nothing & (low != high) & np.isfinite(ends[0]) & np.isfinite(ends[1])
                reach = np.abs(ends[0] - ends[1]) / 2 + fmt.store(
                    np.maximum(np.abs(ends[0]), np.abs(ends[1]))
                )
                value[some], radius[some] = ((ends[0] + ends[1]) / 2)[some], reach[some]
    return Ball(value, radius, fmt)
