"""Crossing reduction: the order of slots in each column."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

SWEEPS, SWAPS = 16, 12


@dataclass(slots=True, eq=False)
class Slot:
    """Space in a column for a node, a label or a lane.

    along, across   extents in the direction of the edges, and of the columns
    node            the number of the node, -1 for a label or a lane
    index, centre   position in the column
    before, after   segments that end and that start here
    """

    column: int
    along: float
    across: float
    node: int = -1
    index: int = 0
    centre: float = 0.0
    before: list[Segment] = field(default_factory=list)
    after: list[Segment] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Segment:
    """A part of an edge between adjacent columns. It enters b at ``fraction`` of b's extent, at distance ``port`` from its middle."""

    a: Slot
    b: Slot
    fraction: float
    weight: float
    port: float = 0.0


def order(columns: list[list[Slot]]) -> None:
    """Reorder the slots of every column in place."""
    _number(columns)
    fewest, best = crossings(columns), [list(c) for c in columns]
    for sweep in range(SWEEPS):
        if not fewest:
            break
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            column.sort(key=_barycentre_before if forward else _barycentre_after)
            _number([column])
        _swap(columns)
        now = crossings(columns)
        if now < fewest:
            fewest, best = now, [list(c) for c in columns]
    for column, found in zip(columns, best, strict=True):
        column[:] = found
    _number(columns)


def crossings(columns: Iterable[list[Slot]]) -> int:
    """Number of crossing pairs of segments."""
    total = 0
    for column in columns:
        ends: list[float] = []
        for _, end in sorted((s.a.index, s.b.index + s.fraction) for slot in column for s in slot.after):
            total += len(ends) - bisect_right(ends, end)
            insort(ends, end)
    return total


def _number(columns: Iterable[list[Slot]]) -> None:
    for column in columns:
        for i, slot in enumerate(column):
            slot.index = i


def _barycentre_before(slot: Slot) -> float:
    near = [s.a.index + 0.5 for s in slot.before]
    return sum(near) / len(near) if near else slot.index + 0.5


def _barycentre_after(slot: Slot) -> float:
    near = [s.b.index + s.fraction for s in slot.after]
    return sum(near) / len(near) if near else slot.index + 0.5


def _swap(columns: list[list[Slot]]) -> None:
    """Swap neighbours while that reduces the number of crossings."""
    for _ in range(SWAPS):
        improved = False
        for column in columns:
            for i in range(len(column) - 1):
                u, v = column[i], column[i + 1]
                if _crossings_between(u, v) > _crossings_between(v, u):
                    column[i], column[i + 1] = v, u
                    v.index, u.index = i, i + 1
                    improved = True
        if not improved:
            return


def _crossings_between(u: Slot, v: Slot) -> int:
    """Number of crossings between the segments of u and those of v, if u precedes v."""
    before = sum(s.a.index > t.a.index for s in u.before for t in v.before)
    return before + sum(s.b.index + s.fraction > t.b.index + t.fraction for s in u.after for t in v.after)
