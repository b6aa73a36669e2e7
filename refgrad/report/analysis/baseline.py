"""Comparison of a run with an earlier one, case by case. A case's id is a hash of its content, so equal ids mean equal cases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.records import AGREE, Header, Result, Run
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

    started, refgrad, torch   of the baseline
    shared                    cases judged in both runs
    cases                     cases of this run
    other                     options that differ between the runs, in words: they make the cases differ
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
    # Shrunk cases depend on which other cases failed, so they are not comparable.
    before, now = (_cases(r for r in results if not r.shrunk) for results in (baseline.results, run.results))
    found = [
        d
        for name in sorted(before.keys() | now.keys())
        if (d := _difference(before.get(name, []), now.get(name, [])))
    ]
    found.sort(key=lambda d: (KINDS.index(d.kind), d.family, d.dtype, d.device, d.id))
    head = baseline.header
    return BaselineComparison(
        started=head.started,
        refgrad=head.refgrad,
        framework=f"{head.backend} {head.release}" if head.release else "",
        shared=len(before.keys() & now.keys()),
        cases=len(now),
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


def _cases(results: Iterable[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = defaultdict(list)
    for r in results:
        found[r.id].append(r)
    return found


def _difference(before: list[Result], now: list[Result]) -> Difference | None:
    failed, fails = _failures(before), _failures(now)
    if fails:
        kind = NEW if not failed else SAME if failed == fails else CHANGED
    elif failed:
        again = {r.mode: r.status for r in now}
        modes = {mode for mode, _, _ in failed}
        kind = GONE if not now else FIXED if all(again.get(mode) == AGREE for mode in modes) else CHANGED
    elif before and now and _decided(before) - _decided(now):
        kind = CHANGED
    else:
        return None
    r = (now or before)[0]
    lost = {r.mode for r in before} & _decided(before) - _decided(now) if before and now else set()
    modes = {mode for mode, _, _ in failed | fails} or lost
    return Difference(
        kind, r.id, r.family, r.dtype, r.device, _described(before, modes), _described(now, modes)
    )


def _failures(results: list[Result]) -> set[tuple[str, str, str]]:
    return {(r.mode, r.status, r.op) for r in results if r.failed}


def _decided(results: list[Result]) -> set[str]:
    return {r.mode for r in results if r.status == AGREE}


def _described(results: list[Result], modes: set[str]) -> str:
    """The modes with their status and the op at fault: "reverse: disagree at tanh"."""
    if not results:
        return "not judged"
    described = {
        (r.mode, r.status, f" at {r.op}" if r.failed and r.op else "") for r in results if r.mode in modes
    }
    return "; ".join(f"{mode}: {status}{op}" for mode, status, op in sorted(described)) or "not judged"
