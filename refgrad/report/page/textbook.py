"""The textbook section: one row for each item, with the status of each way, the worst error, and printed and computed numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from refgrad.records import (
    AGREE,
    DISAGREE,
    ERROR,
    STATUSES,
    UNDECIDED,
    Measured,
    TextbookItem,
)
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import short
from refgrad.report.analysis.way_tally import Way, worse
from refgrad.report.page.replay import textbook_drawing

# Everything agrees, and the item has a remark, such as a misprint or an example that must fail.
FLAGGED = "flagged"
WAYS = ("reference forward", "reference reverse", "closed form", "torch")  # all other ways share one column


@dataclass(frozen=True)
class Row:
    """One item.

    ways      the statuses of the four WAYS, then of all further ones; "" where nothing was compared
    worst     the largest ratio of error to bound, as text
    """

    item: TextbookItem
    status: str
    ways: tuple[str, ...]
    worst: str
    elements: int
    measured: tuple[Measured, ...] = ()

    @cached_property
    def drawing(self) -> str:
        """The computational graph as SVG; "" where the item has none. It is drawn when somebody reads it: the terminal does not."""
        return textbook_drawing(self.item.figure) if self.item.figure else ""

    @property
    def more(self) -> bool:
        """Whether the item has tables, a drawing or measurements to show below the table."""
        return bool(self.item.tables or self.drawing or self.measured)


def textbook(run: Run) -> tuple[Row, ...]:
    """The textbook's items in a run, in the order of the lectures; none where the run did not include the textbook."""
    measured: dict[str, list[Measured]] = defaultdict(list)
    for m in run.measured:
        measured[m.id].append(m)
    return tuple(
        _row(item, run.tally.textbook.items.get(item.id, {}), measured[item.id])
        for item in run.textbook_items
    )


def _row(item: TextbookItem, ways: Mapping[str, Way], measured: list[Measured]) -> Row:
    by_way: dict[str, list[str]] = defaultdict(list)
    ratio: float | None = None
    for mode, way in ways.items():
        by_way[mode if mode in WAYS else ""].append(way.status)
        ratio = worse(ratio, way.ratio)
    worst = _worst(way.status for way in ways.values()) or UNDECIDED
    return Row(
        item,
        FLAGGED if worst == AGREE and item.flags else worst,
        tuple(_worst(by_way[way]) for way in (*WAYS, "")),
        short(ratio, 2),
        sum(way.elements for way in ways.values()),
        tuple(measured),
    )


def _worst(statuses: Iterable[str]) -> str:
    return min(statuses, key=STATUSES.index, default="")


def tally(rows: Iterable[Row]) -> dict[str, int]:
    """The number of items by status, without statuses that no item has."""
    count = dict.fromkeys((AGREE, FLAGGED, UNDECIDED, ERROR, DISAGREE), 0)
    for row in rows:
        count[row.status] = count.get(row.status, 0) + 1
    return {status: n for status, n in count.items() if n}
