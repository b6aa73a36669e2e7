"""Counts of the textbook's results, by item and way of computing its gradient."""

from __future__ import annotations

from dataclasses import dataclass

from refgrad.records import STATUSES, Result, severity


@dataclass(slots=True)
class Way:
    """The results of one item in one way, over all dtypes and devices.

    status    the worst status
    ratio     the largest ratio of error to bound; None where none is recorded
    """

    status: str
    ratio: float | None
    elements: int

    def update(self, other: Way) -> None:
        """Add the counts of another way."""
        self.status = min(self.status, other.status, key=STATUSES.index)
        self.ratio = worse(self.ratio, other.ratio)
        self.elements += other.elements


def worse(a: float | None, b: float | None) -> float | None:
    """The larger of two ratios; None stands for none."""
    if a is None or b is None:
        return b if a is None else a
    return max(a, b, key=severity)


class WayTally:
    """The counts by id of an item and by mode."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Way]] = {}

    def add(self, r: Result) -> None:
        """Count one result of the textbook."""
        self._add(r.id, r.mode, Way(r.status, None if r.worst is None else r.worst.ratio, r.elements))

    def _add(self, item: str, mode: str, way: Way) -> None:
        ways = self.items.setdefault(item, {})
        if mode in ways:
            ways[mode].update(way)
        else:
            ways[mode] = Way(way.status, way.ratio, way.elements)

    def update(self, other: WayTally) -> None:
        """Add the counts of another tally."""
        for item, ways in other.items.items():
            for mode, way in ways.items():
                self._add(item, mode, way)
