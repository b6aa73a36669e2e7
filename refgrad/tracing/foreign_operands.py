"""Operators of a traced array and an operand that is neither a number nor an ordinary array.

NumPy calls the reflected operator of some operands, converts others to arrays, and makes object arrays of the rest.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.op import Op, Traced, apply
from refgrad.operands import NUMBERS, NUMERIC, USUAL, overrides
from refgrad.tracing.dispatch import operand, plain

_SCALAR_PRIORITY = -1_000_000.0  # NumPy's, of scalars and of objects that name none
_REFLECTED = {  # the operator of the right operand, by that of the left one
    "lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne",
}  # fmt: skip


def met(op: Op, python: Callable[[Any, Any], Any], x: Traced, other: Any, swapped: bool) -> Any:
    """``python(x, other)``, or ``python(other, x)`` if swapped, for any operand; NotImplemented where it is left to the other one.

    Raises DtypeError, which names the kind of operand, and what NumPy raises for the same operands.
    """
    value = x._sample()
    scalar = isinstance(value, np.generic)
    if python is operator.matmul and (scalar or type(other) in NUMBERS):
        python(plain(other), value) if swapped else python(value, plain(other))  # NumPy's error
    if type(other) in USUAL or isinstance(other, Traced):
        return apply(op, (other, x) if swapped else (x, other), op.signature.defaults)
    if _left_to(other, scalar, python.__name__, swapped):
        return NotImplemented
    if overrides(other):
        return op.numpy[0](other, x) if swapped else op.numpy[0](x, other)
    if isinstance(other, numbers.Rational) and scalar:
        other = float(other)
    elif value is not None and _known_to_numpy(other):
        below = plain(other)
        y = python(below, value) if swapped else python(value, below)  # NumPy's own error, where it has one
        if not op.signature.differentiable and not _numeric(other):
            return y
    other = operand(other, op.name)
    return apply(op, (other, x) if swapped else (x, other), op.signature.defaults)


def _left_to(other: Any, scalar: bool, name: str, swapped: bool) -> bool:
    """Whether NumPy leaves the operation to the reflected operator of ``other``."""
    kind = type(other)
    if hasattr(kind, "__array_ufunc__"):
        return kind.__array_ufunc__ is None
    if isinstance(other, np.generic) or kind.__module__ == "builtins":
        return False
    own = _SCALAR_PRIORITY if scalar else 0.0
    priority = getattr(other, "__array_priority__", _SCALAR_PRIORITY)
    if own < priority:
        return True
    reflected = f"__{_REFLECTED.get(name, 'r' + name.strip('_'))}__"
    unknown = scalar and not isinstance(other, numbers.Number) and not hasattr(kind, "__array__")
    if unknown and name in {"eq", "ne"}:
        return True
    return unknown and not swapped and getattr(kind, reflected, None) is not getattr(object, reflected, None)


def _known_to_numpy(other: Any) -> bool:
    """Whether NumPy can be asked what it makes of an operand without running anybody's code: not for objects of a user's class."""
    return isinstance(other, np.generic) or type(other).__module__ in {
        "builtins",
        "decimal",
        "fractions",
        "datetime",
    }


def _numeric(other: Any) -> bool:
    """Whether an operand comes to numbers."""
    return np.asarray(plain(other)).dtype.kind in NUMERIC
