"""Sums of contributions to gradients, for many values at once. The sum of the contributions of all users of a value is elementwise."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.blocks import BLOCK
from refgrad.bounds import magnitudes
from refgrad.bounds.formats import Format
from refgrad.ops import arithmetic
from refgrad.tracing.ball import Ball

Terms = Sequence[Any]  # the contributions to one value, arrays of one shape


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


def total(terms: Terms) -> Any:
    """The sum of the contributions of all users of a value."""
    return arithmetic.fan_in(*terms) if len(terms) > 1 else terms[0]


def totals(sums: Sequence[Terms]) -> list[Any]:
    """The sum of the terms of each entry. Entries of several small Balls are computed together."""
    found: list[Any] = [None] * len(sums)
    groups: dict[Hashable, list[int]] = {}
    for k, terms in enumerate(sums):
        key = _key(terms) if len(terms) > 1 and len(sums) > 1 else None
        if key is None:
            found[k] = total(terms)
        else:
            groups.setdefault(key, []).append(k)
    for group in groups.values():
        sizes = [sums[k][0].value.size for k in group]
        for places in limited(sizes, most_elements(sums[group[0]][0].fmt)):
            some = [group[i] for i in places]
            for k, y in zip(some, _added([sums[k] for k in some]), strict=True):
                found[k] = y
    return found


def _key(terms: Terms) -> Hashable | None:
    """Sums of equal keys can be computed together; None for one that cannot."""
    if any(
        type(x) is not Ball or (x.radius is not None and np.shape(x.radius) != x.value.shape) for x in terms
    ):
        return None
    radii = tuple([None if x.radius is None else x.radius.dtype for x in terms])
    return id(terms[0].fmt), radii


def _added(sums: Sequence[Terms]) -> list[Any]:
    fmt = sums[0][0].fmt
    joined = []
    for xs in zip(*sums, strict=True):
        value = np.concatenate([x.value.ravel() for x in xs])
        radius = None if xs[0].radius is None else np.concatenate([x.radius.ravel() for x in xs])
        joined.append(Ball(value, radius, fmt))
    y = arithmetic.fan_in(*joined)
    found, start = [], 0
    for terms in sums:
        shape, stop = terms[0].value.shape, start + terms[0].value.size
        radius = None if y.radius is None else y.radius[start:stop].reshape(shape)
        found.append(Ball(y.value[start:stop].reshape(shape), radius, fmt))
        start = stop
    return found


__all__ = ["limited", "most_elements", "total", "totals"]
