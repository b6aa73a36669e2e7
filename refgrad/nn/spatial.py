"""Arguments of layers over one to three spatial axes: sizes, strides and padding, one number for each axis or one for all."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn.arguments import array_of

Numbers = tuple[int, ...]


def numbers(given: Any, axes: int, least: int, who: str, name: str) -> Numbers:
    """``given`` as one integer for each axis. Raises ArgumentError for another count, no integers, or one below ``least``."""
    several = isinstance(given, (tuple, list))
    try:
        found = tuple([operator.index(n) for n in (given if several else (given,))])
    except TypeError:
        found = ()
    if (several and len(found) == 1) or not several:
        found = found * axes
    if len(found) != axes or min(found) < least:
        many = f" or {axes} of them" if axes > 1 else ""
        raise ArgumentError(f"{who}: {name} must be an integer of at least {least}{many}, got {given!r}")
    return found


def batched(x: Any, axes: int, who: str, least: int = 0) -> tuple[Array, bool]:
    """An input (n, c, d1, ...) as it is, one (c, d1, ...) with n = 1, and whether it had no batch.

    Raises ArgumentError for another number of dimensions, or where a dimension other than the batch is below ``least``.
    """
    x = array_of(x)
    names = ", ".join(f"d{k + 1}" for k in range(axes))
    if x.ndim not in (axes + 1, axes + 2):
        raise ArgumentError(
            f"{who}: an input of shape (n, c, {names}) or (c, {names}) is expected, got shape {x.shape}"
        )
    if any(n < least for n in x.shape[x.ndim - axes - 1 :]):
        raise ArgumentError(f"{who}: only the batch may be empty, got an input of shape {x.shape}")
    return (x[np.newaxis], True) if x.ndim == axes + 1 else (x, False)


def unbatched(y: Array, single: bool) -> Array:
    """y, without the batch axis that ``batched`` added."""
    return y[0] if single else y


def places(
    size: Numbers, window: Numbers, stride: Numbers, padding: Numbers, dilation: Numbers, ceil: bool = False
) -> Numbers:
    """How many windows there are along each axis.

    With ``ceil`` also one that reaches over the end, if it starts within the input or its padding at the start.
    """
    found = []
    for n, k, s, p, d in zip(size, window, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (room + (s - 1 if ceil else 0)) // s + 1
        if ceil and (count - 1) * s >= n + p:
            count -= 1
        found.append(count)
    return tuple(found)
