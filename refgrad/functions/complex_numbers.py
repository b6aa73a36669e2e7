"""NumPy's functions of complex numbers as compositions of ops: real, imag, angle, real_if_close. np.conjugate and np.absolute are ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import implements, operand


@implements(np.real)
def real(val: Array) -> Array:
    """np.real: the real parts; a real array itself, no copy (``x += 1`` is seen through both names)."""
    return val.real


@implements(np.imag)
def imag(val: Array) -> Array:
    """np.imag: the imaginary parts; of a real array zeros, which have no derivative."""
    return val.imag


@implements(np.angle)
def angle(z: Array, deg: bool = False) -> Array:
    """np.angle: the argument of complex numbers. Its derivative is that of arctan2, which has none at 0."""
    z = operand(z)
    a = np.arctan2(np.imag(z), np.real(z))
    return a * (180 / np.pi) if deg else a


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Array:
    """np.real_if_close: a real array itself; of a scalar a 0-d array, as in NumPy.

    Raises NoRuleError for complex arrays: whether the result is real would depend on the values, and the derivative on it.
    """
    x: Any = operand(a)
    if x.dtype.kind == "c":
        raise NoRuleError(
            "np.real_if_close of complex numbers has no rule in refgrad: the dtype of its result depends on the values. Write z.real."
        )
    scalar = isinstance(x, np.generic)
    return x[...] if scalar else x
