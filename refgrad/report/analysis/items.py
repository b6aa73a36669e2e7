"""The test items of a run: how long each took, and how many of its cases were judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refgrad.records import FinishedItem, Run
from refgrad.report.analysis.findings import JUDGED

MOST = 20  # of the slowest


@dataclass(frozen=True, slots=True)
class Items:
    """All items together, and the slowest of them."""

    number: int
    seconds: float  # of all, which may have run side by side
    slowest: tuple[FinishedItem, ...]
    short: tuple[FinishedItem, ...]  # those that did not judge every case, the most incomplete first


def items(run: Run) -> Items:
    """The items of a run; those without a time count as instant."""
    slowest = sorted(run.items, key=lambda i: (-_seconds(i), i.item))[:MOST]
    short = sorted((i for i in run.items if i.unjudged), key=lambda i: (-i.unjudged, i.item))
    return Items(len(run.items), math.fsum(map(_seconds, run.items)), tuple(slowest), tuple(short))


def _seconds(item: FinishedItem) -> float:
    return item.seconds if math.isfinite(item.seconds) else 0.0


def judged_cases(run: Run) -> tuple[int, int]:
    """How many different cases were judged in at least one mode, and how many there were to judge.

    A case that shrinking made is not counted, nor one that came to nothing in all its modes as a judged one.
    """
    asked = {r.id for r in run.results if not r.shrunk}
    judged = {r.id for r in run.results if not r.shrunk and r.status in JUDGED}
    return len(judged), len(asked) + sum(i.unjudged for i in run.items)
