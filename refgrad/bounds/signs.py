"""Infinite products whose sign is not known: an infinity times a number that may lie on either side of zero.

A kernel may come to either infinity there, or to NaN. An example is a power of a complex number whose modulus overflows while its phase
keeps no digit. Single ops are asked about the sign otherwise (testing/judging/infinite_derivatives.py), so the rule looks at it on demand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.rules import product


class _Asked(threading.local):
    """Whether the signs are asked for. Balls are computed in a context of their own (quiet.py), so no context variable serves."""

    here = False


_ASKED = _Asked()


@contextmanager
def unknown_signs_undefined() -> Iterator[None]:
    """Inside, an infinite product of unknown sign is undefined (NaN)."""
    before, _ASKED.here = _ASKED.here, True
    try:
        yield
    finally:
        _ASKED.here = before


def signed_product(run: Evaluation) -> Any:
    """Rule of multiplication: that of ``product``, and inside ``unknown_signs_undefined`` a moved centre."""
    radius = product(run)
    if not _ASKED.here:
        return radius
    _, _, y, (x1, x2), (e1, e2), _ = run
    unsure = _either_sign(x1, e1) | _either_sign(x2, e2)
    return np.where(np.isinf(y) & unsure, y.dtype.type(np.nan), y), radius


def _either_sign(x: Any, e: Any) -> Any:
    """Where a finite operand may be zero or change its sign within its radius."""
    return np.False_ if e is None else np.isfinite(x) & (np.abs(x) <= e)


__all__ = ["signed_product", "unknown_signs_undefined"]
