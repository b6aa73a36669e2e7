"""New arrays like a traced one: zeros_like, ones_like, empty_like, full_like.

They are traced as well, with a derivative of zero, so that a program may write traced numbers into them, as in
``y = np.zeros_like(x); y[0] = x[1]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import implements, operand
from refgrad.op import Traced
from refgrad.tracing.array import TracedArray


def _constant(prototype: Array, y: Array) -> Array:
    """y as an array of the transformation that the prototype belongs to, where it can hold traced numbers."""
    return prototype._constant(y) if isinstance(prototype, TracedArray) and y.dtype.kind in "fc" else y


def _plain(x: Array) -> Array:
    while isinstance(x, Traced):
        x = x._value
    return x


@implements(np.zeros_like)
def zeros_like(a: Array, *args: Any, **kwargs: Any) -> Array:
    return _constant(a, np.zeros_like(_plain(a), *args, **kwargs))


@implements(np.ones_like)
def ones_like(a: Array, *args: Any, **kwargs: Any) -> Array:
    return _constant(a, np.ones_like(_plain(a), *args, **kwargs))


@implements(np.empty_like)
def empty_like(prototype: Array, *args: Any, **kwargs: Any) -> Array:
    return _constant(prototype, np.empty_like(_plain(prototype), *args, **kwargs))


@implements(np.full_like)
def full_like(
    a: Array, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Array:  # fmt: skip
    a, fill_value = operand(a), operand(fill_value)
    shape = a.shape if shape is None else tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    y = np.broadcast_to(fill_value, shape).astype(a.dtype if dtype is None else dtype).copy()
    return y if isinstance(y, Traced) else _constant(a, y)
