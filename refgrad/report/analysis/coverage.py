"""What was judged, how sharply, and what was not judged and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, STATUSES, UNDECIDED, UNSUPPORTED, Result, Run
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.text import pattern, short

_REASONS = 40


@dataclass(frozen=True, slots=True)
class Share:
    """The results of one device, dtype and group of modes, or one mode."""

    device: str
    dtype: str
    mode: str
    cases: int
    statuses: tuple[int, ...]  # in the order of STATUSES
    elements: int
    loose: int
    blind: int
    sensitivity: str
    worst: str

    def of(self, status: str) -> int:
        """Results of one status."""
        return self.statuses[STATUSES.index(status)]


@dataclass(frozen=True, slots=True)
class Reason:
    """Results that were not judged for one reason."""

    status: str
    reason: str
    results: int
    ops: str
    where: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Everything that a reader might take for judged and was not."""

    reasons: tuple[Reason, ...]
    more: int  # reasons that are not listed
    absent: tuple[tuple[str, str], ...]  # what, why
    elements: int
    loose: int
    blind: int


def shares(run: Run, *, apart: bool = False) -> tuple[Share, ...]:
    """One row for every device, dtype and group of modes with results; for every mode where they are to stand ``apart``.

    The textbook is left out: it has a section of its own, and a training run in it compares more numbers than all else.
    """
    groups: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for r in run.programs:
        if r.shrunk:
            continue  # made from a case that is counted
        groups[r.device, r.dtype, r.mode if apart else group_of(r.mode)].append(r)
    return tuple(_share(*key, groups[key]) for key in sorted(groups, key=lambda key: order(*key)))


def _share(device: str, dtype: str, mode: str, results: list[Result]) -> Share:
    tally = Counter(r.status for r in results)
    seen = sorted(r.sensitivity for r in results if r.sensitivity is not None)
    ratios = [r.worst.ratio for r in results if r.worst is not None and r.status == AGREE]
    return Share(
        device, dtype, mode, len({r.id for r in results}), tuple(tally[s] for s in STATUSES),
        sum(r.elements for r in results), sum(r.loose for r in results), sum(r.blind for r in results),
        short(seen[len(seen) // 2], 2) if seen else "–", short(max(ratios), 2) if ratios else "–",
    )  # fmt: skip


def unjudged(run: Run) -> Unjudged:
    """What was not judged and why: reasons with counts, devices that are not there, what was asked and never came."""
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for r in run.results:
        if r.status in {UNDECIDED, UNSUPPORTED, ERROR}:
            groups[r.status, pattern(r.text) or "no reason given"].append(r)
    ranked = sorted(groups, key=lambda key: (-len(groups[key]), key))
    reasons = tuple(_reason(*key, groups[key]) for key in ranked[:_REASONS])
    judged = [r for r in run.results if r.status in {AGREE, IMPRECISE, DISAGREE}]
    return Unjudged(
        reasons, max(0, len(ranked) - _REASONS), tuple(_absent(run, judged)),
        sum(r.elements for r in run.programs), sum(r.loose for r in run.programs), sum(r.blind for r in run.programs),
    )  # fmt: skip


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
    """Devices, dtypes, modes and families that were asked for, or exist, and have no verdict."""
    head = run.header
    found = {key: {getattr(r, key) for r in run.results} for key in ("device", "dtype", "mode", "family")}
    decided = {key: {getattr(r, key) for r in judged} for key in ("device", "dtype", "mode", "family")}
    absent = [
        (f"device {d}", why if why.startswith("not ") else f"{why}; not asked for")
        for d, why in head.present.items()
        if d not in head.devices and d not in found["device"]
    ]
    asked = {"device": head.devices, "dtype": head.dtypes, "mode": head.modes, "family": head.families}
    for key, names in asked.items():
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
