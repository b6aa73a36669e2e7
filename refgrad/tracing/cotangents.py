"""Cotangents between rules and the walk back: reduced to the shape and dtype of their operand, and summed over its uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.evaluation import Repeated
from refgrad.op import Op, Traced, in_dtype
from refgrad.ops import arithmetic, reduction
from refgrad.ops import shape as layout


def fit(x_bar: Array, shape: tuple[int, ...], dtype: Any, op: Op) -> Array:
    """Cotangent shape equals input shape: where an operand was broadcast, sum over what it was repeated along."""
    if x_bar.shape != shape:
        if not op.broadcasts:
            raise AssertionError(
                f"op {op.name!r}: its VJP rule gave a cotangent of shape {x_bar.shape} for an operand of shape {shape}"
            )
        x_bar = unbroadcast(x_bar, shape)
    return x_bar if x_bar.dtype == dtype else in_dtype(x_bar, dtype, op)


def unbroadcast(x_bar: Array, shape: tuple[int, ...]) -> Array:
    """The transpose of broadcasting ``shape`` to ``x_bar.shape``; an operand that a rule left narrower is broadcast first."""
    full = np.broadcast_shapes(x_bar.shape, shape)
    if x_bar.shape != full:
        x_bar = np.broadcast_to(x_bar, full)
    lead = len(full) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + k for k, n in enumerate(shape) if n == 1 and full[lead + k] != 1)
    if isinstance(x_bar, Traced):  # the ops themselves: nobody else sees the sum, so it shares no memory
        x_bar = reduction.sum(x_bar, axis=Repeated(axes), keepdims=True) if axes else x_bar
        return layout.reshape(x_bar, shape=shape) if lead else x_bar
    if axes:
        x_bar = np.add.reduce(x_bar, axis=axes, keepdims=True)
    return np.reshape(x_bar, shape) if lead else x_bar


def accumulate(bars: list[Any], i: int, x_bar: Array) -> None:
    """Add a cotangent to the place of its value. Traced ones are gathered, so that the bound of their sum holds in any order."""
    old = bars[i]
    if old is None:
        bars[i] = x_bar
    elif type(old) is list:
        old.append(x_bar)
    elif isinstance(x_bar, Traced) or isinstance(old, Traced):
        bars[i] = [old, x_bar]
    else:
        bars[i] = old + x_bar


def summed(bars: list[Any], k: int) -> Any:
    """The cotangent at place k, of several uses their sum, which takes its place; None where there is none."""
    if type(bars[k]) is list:
        bars[k] = arithmetic.fan_in(*bars[k])
    return bars[k]
