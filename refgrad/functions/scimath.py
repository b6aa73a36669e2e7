"""np.emath: roots, logarithms and inverse functions that are complex where no real number is their value.

A traced array within the real domain takes the function of NumPy itself. Any other one becomes complex first, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib import scimath

from refgrad.arrays import Array
from refgrad.functions.registry import implements, operand
from refgrad.tracing.differentiable_arguments import plain


def _complex(x: Array) -> Array:
    return x.astype(np.result_type(x.dtype, np.complex64))


def _not_negative(x: Any) -> Array:
    """x, complex where an element is a negative number."""
    x = operand(x)
    return _complex(x) if np.any(np.isreal(plain(x)) & (plain(x) < 0)) else x


def _within_one(x: Any) -> Array:
    """x, complex where an element is a real number beyond 1 or -1."""
    x = operand(x)
    return _complex(x) if np.any(np.isreal(plain(x)) & (np.abs(plain(x)) > 1)) else x


def _of(function: Any, domain: Any) -> Any:
    def call(x: Any) -> Array:
        return function(domain(x))

    call.__name__ = function.__name__
    return call


_ROOTS_AND_LOGARITHMS: tuple[Any, ...] = (np.sqrt, np.log, np.log10, np.log2)
_INVERSES: tuple[Any, ...] = (np.arccos, np.arcsin, np.arctanh)
for _function in (*_ROOTS_AND_LOGARITHMS, *_INVERSES):
    _domain = _not_negative if _function in _ROOTS_AND_LOGARITHMS else _within_one
    implements(getattr(scimath, _function.__name__))(_of(_function, _domain))


@implements(scimath.logn)
def logn(n: Any, x: Any) -> Array:
    return np.log(_not_negative(x)) / np.log(_not_negative(n))


@implements(scimath.power)
def power(x: Any, p: Any) -> Array:
    p = operand(p)
    p = p * 1.0 if np.any(np.isreal(plain(p)) & (plain(p) < 0)) else p
    return np.power(_not_negative(x), p)
