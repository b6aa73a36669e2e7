"""Coverage of a run: judged results with the sharpness of their bounds, and unjudged results with reasons."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, STATUSES, UNDECIDED, UNSUPPORTED, Result, Run
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.text import pattern, short

_REASONS = 40


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Counts of the results of one device, dtype and mode, or group of modes.

    statuses      number of results by status, in the order of STATUSES
    loose, blind  compared elements with a loose or a blind bound, see ``Result``
    sensitivity   median over results of the smallest relative error that the comparison excludes, as text
    worst         largest ratio of error to bound among agreeing results, as text
    """

    device: str
    dtype: str
    mode: str
    cases: int
    statuses: tuple[int, ...]
    elements: int
    loose: int
    blind: int
    sensitivity: str
    worst: str

    def of(self, status: str) -> int:
        """Number of results of one status."""
        return self.statuses[STATUSES.index(status)]


@dataclass(frozen=True, slots=True)
class Reason:
    """The number of results without a verdict for one reason, with the ops and modes concerned."""

    status: str
    reason: str
    results: int
    ops: str
    where: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Everything that was not judged, or only against a loose bound.

    reasons       the most frequent reasons
    more          number of further reasons
    absent        devices, dtypes, modes and families without a verdict, with the reason
    elements      compared elements
    loose, blind  those with a loose or a blind bound
    """

    reasons: tuple[Reason, ...]
    more: int
    absent: tuple[tuple[str, str], ...]
    elements: int
    loose: int
    blind: int


def coverage_rows(run: Run, *, per_mode: bool = False) -> tuple[CoverageRow, ...]:
    """One row for each device, dtype and group of modes with results; with ``per_mode``, one for each mode.

    The textbook is left out. It has a section of its own, and its training runs would dominate every count of elements.
    """
    groups: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for r in run.programs:
        if r.shrunk:
            continue  # its case was made from one that is counted
        groups[r.device, r.dtype, r.mode if per_mode else group_of(r.mode)].append(r)
    return tuple(_coverage_row(*key, groups[key]) for key in sorted(groups, key=lambda key: order(*key)))


def _coverage_row(device: str, dtype: str, mode: str, results: list[Result]) -> CoverageRow:
    tally = Counter(r.status for r in results)
    seen = sorted(r.sensitivity for r in results if r.sensitivity is not None)
    ratios = [r.worst.ratio for r in results if r.worst is not None and r.status == AGREE]
    return CoverageRow(
        device=device,
        dtype=dtype,
        mode=mode,
        cases=len({r.id for r in results}),
        statuses=tuple(tally[s] for s in STATUSES),
        elements=sum(r.elements for r in results),
        loose=sum(r.loose for r in results),
        blind=sum(r.blind for r in results),
        sensitivity=short(seen[len(seen) // 2], 2) if seen else "–",
        worst=short(max(ratios), 2) if ratios else "–",
    )


def unjudged(run: Run) -> Unjudged:
    """Results without a verdict by reason, and the devices, dtypes, modes and families without any verdict."""
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for r in run.results:
        if r.status in {UNDECIDED, UNSUPPORTED, ERROR}:
            groups[r.status, pattern(r.text) or "no reason given"].append(r)
    ranked = sorted(groups, key=lambda key: (-len(groups[key]), key))
    reasons = tuple(_reason(*key, groups[key]) for key in ranked[:_REASONS])
    judged = [r for r in run.results if r.status in {AGREE, IMPRECISE, DISAGREE}]
    return Unjudged(
        reasons=reasons,
        more=max(0, len(ranked) - _REASONS),
        absent=tuple(_absent(run, judged)),
        elements=sum(r.elements for r in run.programs),
        loose=sum(r.loose for r in run.programs),
        blind=sum(r.blind for r in run.programs),
    )


def _reason(status: str, reason: str, results: list[Result]) -> Reason:
    return Reason(
        status,
        reason,
        len(results),
        _listed(r.op for r in results),
        _listed(f"{r.dtype} {r.mode}" for r in results),
    )


def _listed(names: Iterable[str]) -> str:
    tally = Counter(n for n in names if n)
    ranked = sorted(tally, key=lambda n: (-tally[n], n))
    return ", ".join(ranked[:6]) + (f" and {len(ranked) - 6} more" if len(ranked) > 6 else "")


def _absent(run: Run, judged: list[Result]) -> list[tuple[str, str]]:
    """The requested, or existing, devices, dtypes, modes and families that have no verdict, each with its reason."""
    head = run.header
    found = {key: {getattr(r, key) for r in run.results} for key in ("device", "dtype", "mode", "family")}
    decided = {key: {getattr(r, key) for r in judged} for key in ("device", "dtype", "mode", "family")}
    absent = [
        (f"device {d}", why if why.startswith("not ") else f"{why}; not asked for")
        for d, why in head.present.items()
        if d not in head.devices and d not in found["device"]
    ]
    requested = {"device": head.devices, "dtype": head.dtypes, "mode": head.modes, "family": head.families}
    for key, names in requested.items():
        for name in dict.fromkeys(names):
            if name in decided[key]:
                continue
            if key == "device" and head.present.get(name, "").startswith("not "):
                why = head.present[name]
            elif name in found[key]:
                why = "results came, none of them was decided"
            else:
                why = "asked for, and no result came"
            absent.append((f"{key} {name}", why))
    return absent
