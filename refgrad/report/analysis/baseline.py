"""Comparison of a run with an earlier one, case by case. A case's id is a hash of its content, so equal ids mean equal cases."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

from refgrad.records import AGREE, FAILURES, Header
from refgrad.report.analysis.case_tally import Entries
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import count, one_line, several

NEW, FIXED, CHANGED, SAME, GONE = "new", "fixed", "changed", "same", "not judged again"
KINDS = (NEW, CHANGED, FIXED, GONE, SAME)  # in the order of the report


@dataclass(frozen=True, slots=True)
class Difference:
    """A case that failed in one of the runs, or that was decided before and is not now.

    ``before`` and ``now`` list modes with their statuses in words.
    """

    kind: str
    id: str
    family: str
    dtype: str
    device: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """The differences between a run and its baseline.

    started, refgrad, framework   of the baseline
    shared                        cases judged in both runs
    cases                         cases of this run
    other                         options that differ between the runs, in words: they make the cases differ
    """

    started: str
    refgrad: str
    framework: str
    shared: int
    cases: int
    differences: tuple[Difference, ...]
    other: tuple[str, ...] = ()

    def of(self, kind: str) -> int:
        """Number of differences of one kind."""
        return sum(d.kind == kind for d in self.differences)

    @property
    def sentence(self) -> str:
        """The comparison in one sentence."""
        tally = Counter(d.kind for d in self.differences)
        listed = ", ".join(f"{tally[kind]} {kind}" for kind in KINDS)
        if self.shared and set(tally) <= {SAME}:
            listed = "no difference" + (
                f", {several(tally[SAME], 'case')} failing as before" if tally else ""
            )
        listed += f"; {several(self.shared, 'case')} of {count(self.cases)} were judged in both runs"
        if self.other and not self.shared:
            listed += f", for they were made otherwise: {', '.join(self.other)}"
        return listed


def compare_with_baseline(run: Run, baseline: Run) -> BaselineComparison:
    """Compare a run with an earlier one.

    A case is ``new`` where it fails now and did not before, ``fixed`` where it failed and agrees now, and ``same`` where it fails in the
    same modes at the same ops. It is ``changed`` where it fails differently, or where it was decided before and is not now. A case that
    failed and is not part of this run is ``not judged again``.
    """
    before, now = baseline.tally.cases, run.tally.cases
    found = [
        d
        for case in sorted({*before.ids, *now.ids})
        if (d := _difference(case, _drawn(before.entries(case)), _drawn(now.entries(case))))
    ]
    found.sort(key=lambda d: (KINDS.index(d.kind), d.family, d.dtype, d.device, d.id))
    head = baseline.header
    return BaselineComparison(
        started=head.started,
        refgrad=head.refgrad,
        framework=f"{head.backend} {head.release}" if head.release else "",
        shared=sum(bool(_drawn(entries) and _drawn(before.entries(case))) for case, entries in now.items()),
        cases=sum(number for entries, number in now.by_entries().items() if _drawn(entries)),
        differences=tuple(found),
        other=_differing_options(head, run.header),
    )


def _differing_options(before: Header, now: Header) -> tuple[str, ...]:
    """The options that determine the drawn cases and differ between the runs, in words."""
    pairs = [
        (what, getattr(before, what), getattr(now, what))
        for what in ("seed", "refgrad", "profile", "backend")
    ]
    return tuple(f"{what} was {one_line(a)!r} and is {one_line(b)!r}" for what, a, b in pairs if a != b)


@functools.lru_cache(4096)
def _drawn(entries: Entries) -> Entries:
    """The results of a case as drawn. Shrunk cases depend on which other cases failed, so they are not comparable."""
    return tuple(e for e in entries if not e.shrunk)


def _difference(case: str, before: Entries, now: Entries) -> Difference | None:
    kind = _kind(before, now)
    if not kind:
        return None
    failed, fails = _failures(before), _failures(now)
    first = (now or before)[0]
    lost = {e.mode for e in before} & _decided(before) - _decided(now) if before and now else set()
    modes = {mode for mode, _, _ in failed | fails} or lost
    return Difference(
        kind, case, first.family, first.dtype, first.device, _described(before, modes), _described(now, modes)
    )


@functools.lru_cache(4096)
def _kind(before: Entries, now: Entries) -> str:
    """The kind of difference between the results of one case; "" where there is none."""
    failed, fails = _failures(before), _failures(now)
    if fails:
        return NEW if not failed else SAME if failed == fails else CHANGED
    if failed:
        again = {e.mode: e.status for e in now}
        modes = {mode for mode, _, _ in failed}
        return GONE if not now else FIXED if all(again.get(mode) == AGREE for mode in modes) else CHANGED
    return CHANGED if before and now and _decided(before) - _decided(now) else ""


def _failures(entries: Entries) -> set[tuple[str, str, str]]:
    return {(e.mode, e.status, e.op) for e in entries if e.status in FAILURES}


def _decided(entries: Entries) -> set[str]:
    return {e.mode for e in entries if e.status == AGREE}


def _described(entries: Entries, modes: set[str]) -> str:
    """The modes with their status and the op at fault: "reverse: disagree at tanh"."""
    if not entries:
        return "not judged"
    described = {(e.mode, e.status, f" at {e.op}" if e.op else "") for e in entries if e.mode in modes}
    return "; ".join(f"{mode}: {status}{op}" for mode, status, op in sorted(described)) or "not judged"
