"""The power of a run: what share of the errors planted in its comparisons it caught, and whether that is enough to prove anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.records import Audit, Run
from refgrad.report.analysis.text import count, percent
from refgrad.testing.power.thresholds import fewest, required, short

REACHED, BELOW, CHANCE, FEW, OPEN = "reached", "below", "below, within chance", "too few planted to judge", ""
AT_LEAST_HALF = fewest(
    0.5
)  # a check that misses so many and catches none sees less than every second error, chance set aside


@dataclass(frozen=True, slots=True)
class Power:
    """One kind of error in one dtype, as one check saw it."""

    audit: Audit
    required: float | None

    @property
    def state(self) -> str:
        """Whether the required share was reached."""
        a = self.audit
        if self.required is None:
            return OPEN
        if a.detectable < fewest(self.required):
            return FEW
        if short(a.caught, a.detectable, self.required):
            return BELOW
        return REACHED if a.caught >= self.required * a.detectable else CHANCE

    @property
    def share(self) -> str:
        """The share caught, in words."""
        return percent(self.audit.caught, self.audit.detectable)

    @property
    def standing(self) -> str:
        """The share required, with the sign that leads to it from the share caught: "≥ 99%"."""
        sign = {REACHED: "≥", BELOW: "<", CHANCE: "≈", FEW: "?"}.get(self.state)
        return f"{sign} {self.required:.0%}" if sign else ""

    def __str__(self) -> str:
        a = self.audit
        needed = "" if self.required is None else f", {self.required:.0%} required"
        return f"{a.mutation} in {a.dtype}: {count(a.caught)} of {count(a.detectable)}{needed}"


def powers(run: Run) -> list[Power]:
    """Every kind of error with what is required of it."""
    return [Power(a, required(a.check, a.mutation, a.dtype)) for a in run.audits]


def missed(run: Run) -> list[str]:
    """Why the run proves nothing, as far as its planted errors tell: shares below the required ones, checks that caught nothing."""
    below = [str(p) for p in powers(run) if p.state == BELOW]
    for check in dict.fromkeys(a.check for a in run.audits):
        caught, detectable = totals(a for a in run.audits if a.check == check)
        if not caught and detectable >= AT_LEAST_HALF:
            below.append(f"all errors, {check}: none of {count(detectable)}")
    return below


def totals(audits: Iterable[Audit]) -> tuple[int, int]:
    """Caught, and planted without the equivalent ones."""
    listed = list(audits)
    return sum(a.caught for a in listed), sum(a.detectable for a in listed)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The audit of one check as a table: a row a kind of error, a cell a dtype (None where none was planted)."""

    check: str
    dtypes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Power | None, ...]], ...]

    @property
    def caught(self) -> str:
        """All of it: "429 of 430"."""
        caught, detectable = totals(p.audit for p in self._powers)
        return f"{count(caught)} of {count(detectable)}"

    @property
    def plain(self) -> bool:
        """Whether there is nothing to look at: all was caught, and nothing less would have been enough or too little."""
        return all(p.required is None and p.audit.caught >= p.audit.detectable for p in self._powers)

    @property
    def _powers(self) -> list[Power]:
        return [p for _, cells in self.rows for p in cells if p is not None]


def sheets(run: Run) -> list[Sheet]:
    """A table for each check."""
    found = {(p.audit.check, p.audit.mutation, p.audit.dtype): p for p in powers(run)}
    made = []
    for check in dict.fromkeys(a.check for a in run.audits):
        dtypes = tuple(sorted({a.dtype for a in run.audits if a.check == check}, key=_width))
        names = sorted({a.mutation for a in run.audits if a.check == check})
        rows = tuple((name, tuple(found.get((check, name, dtype)) for dtype in dtypes)) for name in names)
        made.append(Sheet(check, dtypes, rows))
    return made


def _width(dtype: str) -> tuple[int, str]:
    known = ("float64", "float32", "bfloat16", "float16")
    return (known.index(dtype) if dtype in known else len(known), dtype)


def weakest(run: Run) -> Power | None:
    """The kind of error that lies furthest below its required share, or least above it."""
    judged = [p for p in powers(run) if p.required is not None and p.state != FEW]
    return min(judged, key=lambda p: p.audit.caught / p.audit.detectable - (p.required or 0), default=None)
