"""The power of a run: the share of planted errors that its comparisons detect, against the required share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.bounds.formats import FORMATS
from refgrad.records import Audit
from refgrad.records.audit import EXACT_CASES
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import count, percent
from refgrad.testing.power.thresholds import falls_short, minimum_sample, required

REACHED, BELOW, CHANCE, FEW, OPEN = "reached", "below", "below, within chance", "too few planted to judge", ""
# A check that detects none of so many errors has a power below one half, beyond what chance explains.
AT_LEAST_HALF = minimum_sample(0.5)


@dataclass(frozen=True, slots=True)
class Power:
    """The detection of one kind of error in one dtype by one check. ``required`` is the required share, None where there is none."""

    audit: Audit
    required: float | None

    @property
    def state(self) -> str:
        """The detected share against the required one: REACHED, BELOW, CHANCE, FEW or OPEN."""
        a = self.audit
        if self.required is None:
            return OPEN
        if a.detectable < minimum_sample(self.required):
            return FEW
        if falls_short(a.caught, a.detectable, self.required):
            return BELOW
        return REACHED if a.caught >= self.required * a.detectable else CHANCE

    @property
    def share(self) -> str:
        """The detected share as text."""
        return percent(self.audit.caught, self.audit.detectable)

    @property
    def standing(self) -> str:
        """The relation of the detected share to the required one: "≥ 99%"."""
        sign = {REACHED: "≥", BELOW: "<", CHANCE: "≈", FEW: "?"}.get(self.state)
        return f"{sign} {self.required:.0%}" if sign else ""

    def __str__(self) -> str:
        a = self.audit
        needed = "" if self.required is None else f", {self.required:.0%} required"
        return f"{a.mutation} in {a.dtype}: {count(a.caught)} of {count(a.detectable)}{needed}"


def powers(run: Run) -> list[Power]:
    """Every kind of error with the required share."""
    return [Power(a, required(a.check, a.mutation, a.dtype)) for a in run.audits]


def insufficient_power(run: Run) -> list[str]:
    """The shares below the required ones, and the checks that detected nothing. Where there are any, agreement proves nothing."""
    below = [str(p) for p in powers(run) if p.state == BELOW]
    for check in dict.fromkeys(a.check for a in run.audits):
        caught, detectable = totals(a for a in run.audits if a.check == check)
        if not caught and detectable >= AT_LEAST_HALF:
            below.append(f"all errors, {check}: none of {count(detectable)}")
    return below


def totals(audits: Iterable[Audit]) -> tuple[int, int]:
    """The number of detected errors, and of planted errors that are not equivalent."""
    listed = list(audits)
    return sum(a.caught for a in listed), sum(a.detectable for a in listed)


def totals_of_run(run: Run) -> tuple[int, int]:
    """As ``totals``, of a whole run: errors of exact cases are among those of the other checks, and count once."""
    return totals(a for a in run.audits if a.check != EXACT_CASES)


@dataclass(frozen=True, slots=True)
class PowerTable:
    """The audit of one check: a row for each kind of error, a column for each dtype; None where none was planted."""

    check: str
    dtypes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Power | None, ...]], ...]

    @property
    def caught(self) -> str:
        """The total: "429 of 430"."""
        caught, detectable = totals(p.audit for p in self._powers)
        return f"{count(caught)} of {count(detectable)}"

    @property
    def plain(self) -> bool:
        """Whether every error was detected and no share is required."""
        return all(p.required is None and p.audit.caught >= p.audit.detectable for p in self._powers)

    @property
    def _powers(self) -> list[Power]:
        return [p for _, cells in self.rows for p in cells if p is not None]


def power_tables(run: Run) -> list[PowerTable]:
    """The table of each check."""
    found = {(p.audit.check, p.audit.mutation, p.audit.dtype): p for p in powers(run)}
    made = []
    for check in dict.fromkeys(a.check for a in run.audits):
        dtypes = tuple(sorted({a.dtype for a in run.audits if a.check == check}, key=_width))
        names = sorted({a.mutation for a in run.audits if a.check == check})
        rows = tuple((name, tuple(found.get((check, name, dtype)) for dtype in dtypes)) for name in names)
        made.append(PowerTable(check, dtypes, rows))
    return made


def _width(dtype: str) -> tuple[int, str]:
    known = list(FORMATS)
    return (known.index(dtype) if dtype in known else len(known), dtype)


def weakest(run: Run) -> Power | None:
    """The kind of error whose detected share exceeds the required one least, or is furthest below; None where no share is required.

    Exact cases leave nothing to exceed, for all of their errors are required. A kind of which every error was detected is not weak.
    """
    open_to = [p for p in powers(run) if p.required is not None and p.required < 1 and p.state != FEW]
    judged = [p for p in open_to if p.audit.caught < p.audit.detectable]
    return min(judged, key=lambda p: p.audit.caught / p.audit.detectable - (p.required or 0), default=None)
