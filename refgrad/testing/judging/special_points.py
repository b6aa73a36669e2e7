"""Elements without a derivative: those whose value is NaN or overflows, for any op."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.op import OpRecord, Params
from refgrad.tracing.ball import Ball, parts


def without_derivative(y: Any, got: PlainArray) -> PlainArray | None:
    """A mask of the elements of a value that have no derivative; None where every element has one.

    These are NaN, and elements that are finite in the reference (``y``) and overflow in the framework (``got``).
    """
    value = np.asarray(getattr(y, "value", y))
    if value.dtype.kind != "f":
        return None
    finite = np.isfinite(value)
    in_range = np.isfinite(got) if np.shape(got) == value.shape else np.ones(value.shape, bool)
    if np.count_nonzero(finite) == np.count_nonzero(in_range) == value.size:
        return None  # the common case
    missing = np.isnan(value) | (finite & ~in_range)
    return missing if missing.any() else None


def undefined_outputs(missing: PlainArray | None, y_bar: PlainArray) -> PlainArray:
    """The cotangent with NaN where the value has no derivative, so that everything that depends on such an element is undefined."""
    return y_bar if missing is None else np.where(missing, np.nan, y_bar)


def without(expected: Ball, missing: PlainArray | None) -> Any:
    """The tangent, undefined (NaN) where the value has no derivative."""
    if missing is None:
        return expected
    value, radius = parts(expected)
    return Ball(np.where(missing, np.nan, value), radius, expected.fmt)


def in_a_set(op: OpRecord, x: PlainArray, params: Params) -> bool:
    """Whether a vector has an element at a special point that allows a set of derivatives for any other elements (a zero in a p-norm)."""
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
