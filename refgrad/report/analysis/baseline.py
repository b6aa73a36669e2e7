"""A run against an earlier one, case by case: an id is made from a case's content, so the same id is the same question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.records import AGREE, Header, Result, Run
from refgrad.report.analysis.text import count, one_line, several

NEW, FIXED, CHANGED, SAME, GONE = "new", "fixed", "changed", "same", "not judged again"
KINDS = (NEW, CHANGED, FIXED, GONE, SAME)  # the order in which a reader wants them


@dataclass(frozen=True, slots=True)
class Difference:
    """One case that failed in either run, or of which less is known now than before."""

    kind: str
    id: str
    family: str
    dtype: str
    device: str
    before: str  # what there was to say of it, in words
    now: str


@dataclass(frozen=True, slots=True)
class Against:
    """What has become of a baseline."""

    started: str
    refgrad: str
    torch: str
    shared: int  # cases judged in both
    cases: int  # cases of this run
    differences: tuple[Difference, ...]
    other: tuple[str, ...] = ()  # what was asked for differently, so that the cases are others

    def of(self, kind: str) -> int:
        """Cases of one kind."""
        return sum(d.kind == kind for d in self.differences)

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
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


def against(run: Run, baseline: Run) -> Against:
    """Compare a run with an earlier one.

    ``new`` fails now and did not, ``fixed`` failed and agrees, ``same`` fails as it did. ``changed`` fails elsewhere, or is
    no longer decided although it was. What failed and was not put again is no longer known, and is said so.
    """
    before, now = (
        _cases(r for r in results if not r.shrunk) for results in (baseline.results, run.results)
    )  # whether a case was shrunk depends on which others failed
    found = [
        d
        for name in sorted(before.keys() | now.keys())
        if (d := _difference(before.get(name, []), now.get(name, [])))
    ]
    found.sort(key=lambda d: (KINDS.index(d.kind), d.family, d.dtype, d.device, d.id))
    head = baseline.header
    return Against(
        head.started, head.refgrad, head.environment.get("torch", ""), len(before.keys() & now.keys()), len(now), tuple(found),
        _other(head, run.header),
    )  # fmt: skip


def _other(before: Header, now: Header) -> tuple[str, ...]:
    """What the cases of a run depend on, where the two runs differ in it."""
    pairs = [(what, getattr(before, what), getattr(now, what)) for what in ("seed", "refgrad", "profile")]
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
    return Difference(kind, r.id, r.family, r.dtype, r.device, _said(before, modes), _said(now, modes))


def _failures(results: list[Result]) -> set[tuple[str, str, str]]:
    return {(r.mode, r.status, r.op) for r in results if r.failed}


def _decided(results: list[Result]) -> set[str]:
    return {r.mode for r in results if r.status == AGREE}


def _said(results: list[Result], modes: set[str]) -> str:
    """In each of these modes, the status and the op at fault: "reverse: disagree at tanh"."""
    if not results:
        return "not judged"
    told = {
        (r.mode, r.status, f" at {r.op}" if r.failed and r.op else "") for r in results if r.mode in modes
    }
    return "; ".join(f"{mode}: {status}{op}" for mode, status, op in sorted(told)) or "not judged"
