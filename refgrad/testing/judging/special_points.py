"""Elements without a derivative: those whose value is NaN, or overflowed, whatever the op."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.op import Op, Params
from refgrad.tracing.ball import Ball, parts

Array = Any


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


def without(expected: Any, missing: Array | None) -> Any:
    """A tangent, with nothing defined where the value has no derivative."""
    if missing is None:
        return expected
    value, radius = parts(expected)
    return Ball(np.where(missing, np.nan, value), radius, expected.fmt)


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
