"""Sums of contributions to gradients, for many values at once. The sum of the contributions of all users of a value is elementwise."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.blocks import BLOCK
from refgrad.bounds import magnitudes
from refgrad.bounds.formats import Format
from refgrad.ops import arithmetic
from refgrad.tracing.ball import Ball, exact

Terms = Sequence[Any]  # the contributions to one value, Balls or plain arrays of one shape


def most_elements(fmt: Format) -> int:
    """The number of elements from which arrays are not evaluated together: radii of larger ones may be computed in another format."""
    return BLOCK if fmt.wide == np.float64 else magnitudes.LARGE


def limited(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Consecutive places of arrays of these sizes, in groups with fewer than ``most`` elements together, or of one array."""
    start = total = 0
    for k, size in enumerate(sizes):
        if k > start and total + size >= most:
            yield range(start, k)
            start, total = k, 0
        total += size
    if len(sizes):
        yield range(start, len(sizes))


def total(fmt: Format, terms: Terms) -> Any:
    """The sum of the contributions of all users of a value. Plain arrays are exact."""
    balls = [exact(x, fmt) if type(x) is np.ndarray else x for x in terms]
    return arithmetic.fan_in(*balls) if len(balls) > 1 else balls[0]


def totals(sums: Sequence[tuple[Format, Terms]]) -> list[Any]:
    """The sum of the terms of each entry in its format. Entries of several small arrays are computed together."""
    found: list[Any] = [None] * len(sums)
    groups: dict[Hashable, list[int]] = {}
    for k, (fmt, terms) in enumerate(sums):
        key = _key(fmt, terms) if len(terms) > 1 and len(sums) > 1 else None
        if key is None:
            found[k] = total(fmt, terms)
        else:
            groups.setdefault(key, []).append(k)
    for group in groups.values():
        fmt = sums[group[0]][0]
        for places in limited([sums[k][1][0].size for k in group], most_elements(fmt)):
            some = [group[i] for i in places]
            for k, y in zip(some, _added(fmt, [sums[k][1] for k in some]), strict=True):
                found[k] = y
    return found


def _key(fmt: Format, terms: Terms) -> Hashable | None:
    """Sums of equal keys can be computed together; None for one that cannot."""
    if fmt.zeroed or any(x.shape != terms[0].shape for x in terms):
        return None  # what may be flushed is for ``exact`` to say, term by term
    radii: list[Any] = []
    for x in terms:
        if type(x) is np.ndarray:
            radii.append(None)
        elif type(x) is not Ball or (x.radius is not None and np.shape(x.radius) != x.value.shape):
            return None
        else:
            radii.append(None if x.radius is None else x.radius.dtype)
    return id(fmt), tuple(radii)


def _added(fmt: Format, sums: Sequence[Terms]) -> list[Any]:
    """The sums of equal keys."""
    joined = []
    for xs in zip(*sums, strict=True):
        value = np.concatenate([(x if type(x) is np.ndarray else x.value).ravel() for x in xs])
        exactly = type(xs[0]) is np.ndarray or xs[0].radius is None
        radius = None if exactly else np.concatenate([x.radius.ravel() for x in xs])
        joined.append(Ball(value.astype(fmt.wide, copy=False), radius, fmt))
    y = arithmetic.fan_in(*joined)
    found, start = [], 0
    for terms in sums:
        shape, stop = terms[0].shape, start + terms[0].size
        radius = None if y.radius is None else y.radius[start:stop].reshape(shape)
        found.append(Ball(y.value[start:stop].reshape(shape), radius, fmt))
        start = stop
    return found


__all__ = ["limited", "most_elements", "total", "totals"]
