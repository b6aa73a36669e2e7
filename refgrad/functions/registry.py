"""Helpers of all compositions: registration, conversion of operands, axes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.tracing.dispatch import array, implements


def operand(x: Any) -> Any:
    """An array, traced or not, of an array, a number or a sequence."""
    return array(x)


def moved(x: Array, source: Any, destination: Any) -> Array:
    """np.moveaxis, which NumPy's stubs declare for np.ndarray alone."""
    move: Callable[..., Array] = np.moveaxis
    return move(x, source, destination)


def axes_within(axis: Any, ndim: int, what: str = "axis") -> tuple[int, ...]:
    """The axes as non-negative numbers. Raises NumPy's AxisError for one that is not there."""
    try:
        axes: tuple[int, ...] = (operator.index(axis),)
    except TypeError:
        axes = tuple([operator.index(a) for a in axis])
    for a in axes:
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim, what)
    return tuple([a % ndim for a in axes])


def axis_within(axis: Any, ndim: int) -> int:
    """One axis, as a non-negative number. Raises TypeError for anything but an integer, AxisError for one that is not there."""
    return axes_within(operator.index(axis), ndim)[0]


def reduced(axis: Any, ndim: int) -> tuple[int, ...] | None:
    """The axes of a statistic as NumPy reads them: None, an integer, or a sequence of different ones."""
    if axis is None:
        return None
    axes = axes_within(tuple(axis) if isinstance(axis, (tuple, list)) else operator.index(axis), ndim)
    if len(set(axes)) < len(axes):
        raise ValueError("repeated axis")
    return axes


def lined_up(a: Array, axis: Any) -> tuple[Array, int]:
    """An array and one of its axes, as NumPy's functions along an axis read them: flat for None, a 0-d array as one of a single element."""
    if axis is None or (a.ndim == 0 and axis in (0, -1)):
        return a.reshape((-1,)), 0
    return a, axis_within(axis, a.ndim)


def given(keepdims: Any) -> bool:
    """keepdims as a boolean; NumPy's marker of an argument left away means False."""
    return keepdims is not np._NoValue and bool(keepdims)


__all__ = ["axes_within", "axis_within", "given", "implements", "lined_up", "moved", "operand", "reduced"]
