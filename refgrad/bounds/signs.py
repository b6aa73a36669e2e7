"""Infinite products whose sign is not known: an infinity times a number that may lie on either side of zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.rules import product
from refgrad.bounds.small_arrays import every


def signed_product(run: Evaluation) -> Any:
    """Rule of multiplication: that of ``product``. The value is undefined where an infinity meets a number of unknown sign.

    A kernel may come to either infinity there, or to NaN. An example is a power of a complex number, whose modulus overflows while its
    phase keeps no digit.
    """
    radius = product(run)
    _, _, y, (x1, x2), (e1, e2), _ = run
    if (e1 is None and e2 is None) or every(np.abs(y) < np.inf):
        return radius
    unsure = _either_sign(x1, e1) | _either_sign(x2, e2)
    return np.where(np.isinf(y) & unsure, y.dtype.type(np.nan), y), radius


def _either_sign(x: Any, e: Any) -> Any:
    """Where a finite operand may be zero or change its sign within its radius."""
    return np.False_ if e is None else np.isfinite(x) & (np.abs(x) <= e)


__all__ = ["signed_product"]
