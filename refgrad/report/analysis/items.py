"""The test items of a run: durations and numbers of judged cases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refgrad.records import FinishedItem
from refgrad.report.analysis.findings import JUDGED
from refgrad.report.analysis.run import Run

MOST = 20  # slowest items listed


@dataclass(frozen=True, slots=True)
class ItemSummary:
    """A summary of all items.

    seconds   sum of the durations; items may have run in parallel
    short     items with unjudged cases, those with the most first
    """

    number: int
    seconds: float
    slowest: tuple[FinishedItem, ...]
    short: tuple[FinishedItem, ...]


def items(run: Run) -> ItemSummary:
    """The summary of a run's items. An item without a duration counts as 0 s."""
    slowest = sorted(run.items, key=lambda i: (-_seconds(i), i.item))[:MOST]
    short = sorted((i for i in run.items if i.unjudged), key=lambda i: (-i.unjudged, i.item))
    return ItemSummary(len(run.items), math.fsum(map(_seconds, run.items)), tuple(slowest), tuple(short))


def _seconds(item: FinishedItem) -> float:
    return item.seconds if math.isfinite(item.seconds) else 0.0


def judged_cases(run: Run) -> tuple[int, int]:
    """The number of distinct cases judged in at least one mode, and the number of distinct cases due. Shrunk cases are not counted."""
    due = judged = 0
    for entries, cases in run.tally.cases.by_entries().items():
        statuses = {e.status for e in entries if not e.shrunk}
        due += cases if statuses else 0
        judged += cases if statuses & JUDGED else 0
    return judged, due + sum(i.unjudged for i in run.items)
