"""The order of slots in each column, such that few edges cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

SWEEPS, SWAPS = 16, 12


@dataclass(slots=True, eq=False)
class Slot:
    """Room in a column for a node, a label or a lane. "Along" is the direction of the edges, "across" that of the columns."""

    column: int
    along: float
    across: float
    node: int = -1
    index: int = 0  # in its column
    centre: float = 0.0
    before: list[Segment] = field(default_factory=list)
    after: list[Segment] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Segment:
    """A piece of an edge between neighbouring columns. It enters b at ``fraction`` of b's breadth, ``port`` from its middle."""

    a: Slot
    b: Slot
    fraction: float
    weight: float
    port: float = 0.0


def order(columns: list[list[Slot]]) -> None:
    """Reorder every column in place."""
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
    """How many pairs of segments cross."""
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
    """Swap neighbours while that leaves fewer crossings."""
    for _ in range(SWAPS):
        better = False
        for column in columns:
            for i in range(len(column) - 1):
                u, v = column[i], column[i + 1]
                if _between(u, v) > _between(v, u):
                    column[i], column[i + 1] = v, u
                    v.index, u.index = i, i + 1
                    better = True
        if not better:
            return


def _between(u: Slot, v: Slot) -> int:
    """Crossings of u's segments with v's if u stands first."""
    before = sum(s.a.index > t.a.index for s in u.before for t in v.before)
    return before + sum(s.b.index + s.fraction > t.b.index + t.fraction for s in u.after for t in v.after)
