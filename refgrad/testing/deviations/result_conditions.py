"""Named conditions on the operands and the value of an op that limit a recorded disagreement. The value is the last of the arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import Format
from refgrad.op import Params
from refgrad.testing.deviations.condition import Operands, Place


def _not_finite(xs: Operands, params: Params, _fmt: Format) -> Array:
    """An operand is infinite or NaN, or the value that it goes into. Of a reduction: some element of those that are reduced."""
    unbounded: list[Any] = [~np.isfinite(x) for x in xs]
    if "axis" in params:
        axis, keepdims = params["axis"], params["keepdims"]
        unbounded = [*[np.any(x, axis=axis, keepdims=keepdims) for x in unbounded[:-1]], unbounded[-1]]
    return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*unbounded)))


def _nothing(xs: Operands, _params: Params, _fmt: Format) -> Array:
    """The value has no elements."""
    return np.asarray(np.size(xs[-1]) == 0)


RESULT_PLACES: dict[str, Place] = {
    "an operand or the value is not finite": _not_finite,
    "a value without elements": _nothing,
}

__all__ = ["RESULT_PLACES"]
