"""The verdict on a run: its exit code, one sentence, and what proved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from refgrad.records import DISAGREE, IMPRECISE, KNOWN, Result, Run
from refgrad.report.analysis.findings import Finding, findings
from refgrad.report.analysis.items import items, judged_cases
from refgrad.report.analysis.power import FEW, missed, powers, totals
from refgrad.report.analysis.text import brief, count, cut, one_line, several, short

PASS, FAIL, NOTHING = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the top of every rendering says."""

    exit: int
    sentence: str
    notes: tuple[str, ...]  # what a reader must not overlook: the run is partial, it proved nothing ...
    remarks: tuple[
        str, ...
    ]  # what stands below the failures: planted errors that went unseen, and were not required to be caught
    proof: tuple[tuple[str, str], ...]  # what was done, and how much of it


def exit_code(run: Run, *, complete: bool = False) -> int:
    """0 agree, 1 something disagrees, failed or crashed, 3 the run proved nothing.

    Never greener than the run itself: a run without an end, one that ended with another code for a reason of its own
    (a required device was missing), and one that caught too few of the errors planted in it are not 0. ``complete`` says that every
    result is there although the end line is not: the runner asks this in order to write that line.
    """
    if run.crashes or failing(run):
        return FAIL
    if run.truncated or run.elements == 0 or missed(run) or _wanting(run):
        return NOTHING
    if run.end is not None:
        own = exit_code(
            replace(run, end=None, counted_failures=None), complete=True
        )  # what its results alone amount to
        return run.end.exit if run.counted_failures is None or run.end.exit != own else PASS
    return PASS if complete else NOTHING


def failing(run: Run) -> list[Result]:
    """The results by which a run fails: all failures, unless an option says otherwise (--fail-on)."""
    if run.counted_failures is None:
        return [r for r in run.results if r.failed]
    meant = {*run.counted_failures}
    return [r for r in run.results if (r.id, r.mode) in meant]


def _wanting(run: Run) -> bool:
    """Whether something that the run was to judge is not here: items, shards, a required device."""
    return bool(run.unfinished or run.absent or run.header.missing)


def verdict(run: Run) -> Conclusion:
    """The verdict in words."""
    code = exit_code(run)
    return Conclusion(
        code, _sentence(run, code), tuple(_notes(run, code)), tuple(_remarks(run, code)), tuple(_proof(run))
    )


def _sentence(run: Run, code: int) -> str:
    failed = failing(run)
    if code == FAIL and (run.crashes or failed):
        found = findings(
            run
            if run.counted_failures is None
            else replace(run, results=tuple(failed), counted_failures=None)
        )
        parts = []
        for status in dict.fromkeys(f.status for f in found):  # what the first finding is comes first
            alike = [f for f in found if f.status == status]
            if status == DISAGREE:
                cases = len({r.id for f in alike for r in f.counted})
                said = f"{several(cases, 'case disagrees', 'cases disagree')} with the derivative, first wrong at"
            else:
                results = sum(len(f.counted) for f in alike)
                said = f"{several(results, 'result')} could not be judged because of an error, at"
            parts.append(f"{said} {_titles(alike)}")
        lost = sum(r.status == IMPRECISE for r in failed)
        if lost:
            parts.append(f"{several(lost, 'result')} lost digits that the dtype has")
        if run.crashes:
            parts.append(f"{several(len(run.crashes), 'test item')} crashed")
        text = "; ".join(parts)
        return text[0].upper() + text[1:] + "."
    if run.elements == 0:
        return "Nothing was proved: no element was compared."
    if run.partial:
        return "Nothing is proved yet: the run was cut short, without a disagreement so far."
    if missed(run):
        return "The run is vacuous: too few of the errors planted in its own comparisons were caught, so agreement proves nothing."
    if run.header.missing:
        names = ", ".join(name for name, _ in run.header.missing)
        return f"Nothing is proved: {names} was required and is missing on this machine; what was judged without it agrees."
    if code:
        return f"Nothing failed in the results, but the run ended with exit code {code}."
    old = {r.id for r in run.results if r.failed}
    if old:
        return f"Nothing is new against the baseline: {several(len(old), 'case')} failed there as well, or came from shrinking."
    recorded = len({r.id for r in run.results if r.status == KNOWN})
    if recorded:
        return f"Every gradient that was judged agrees with the derivative, but for {several(recorded, 'case')} of known disagreements."
    return "Every gradient that was judged agrees with the derivative."


def _titles(found: Sequence[Finding]) -> str:
    """What is at fault, the first few by name, in the order of the findings."""
    shown = ", ".join(cut(one_line(f.title), 60) for f in found[:4])
    return shown + (f" and {count(len(found) - 4)} more" if len(found) > 4 else "")


def _notes(run: Run, code: int) -> list[str]:
    notes = []
    notes += [f"Required and missing: {why}." for _, why in run.header.missing]
    if run.partial:
        notes.append(_partial(run))
    if run.running:
        cases = [f"{c.id} ({c.item})" for c in run.running]
        notes.append(f"Without a verdict, for they were being judged when the run ended: {_some(cases)}.")
    if code == NOTHING:
        notes += _missed(run)
    if run.end is not None and run.end.exit != code and run.counted_failures is None:
        notes.append(
            f"The run itself ended with exit code {run.end.exit}; the results it wrote amount to {code}."
        )
    return notes


def _partial(run: Run) -> str:
    """Why a run is partial, and what is missing from it by name."""
    why = []
    if run.truncated:
        why.append("its last line is torn off")
    elif run.end is None:
        why.append("it has no end line")
    if run.absent:
        why.append(f"of its parts {_some(run.absent)} {'is' if len(run.absent) == 1 else 'are'} not here")
    text = f"Partial: {', and '.join(why)}, so the run was interrupted and what follows is what it had written by then." if why else (
        "Partial: the run ended before all was judged."
    )  # fmt: skip
    if run.unfinished:
        text += f" Of {several(run.planned, 'test item')} {count(len(run.unfinished))} did not finish: {_some(run.unfinished)}."
    return text


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(cut(one_line(name), 80) for name in names[:6])
    return shown + (f" and {count(len(names) - 6)} more" if len(names) > 6 else "")


def _missed(run: Run) -> list[str]:
    """The planted errors that had to be caught and were not."""
    below = missed(run)
    if not below:
        return []
    more = f", and {len(below) - 4} more" if len(below) > 4 else ""
    return [
        f"Planted errors that have to be caught went unseen ({'; '.join(below[:4])}{more}): agreement in this run proves nothing."
    ]


def _remarks(run: Run, code: int) -> list[str]:
    """Cases that were not judged, and what else the planted errors say against the run."""
    remarks = []
    short = items(run).short
    if short:
        names = _some([f"{i.item} ({count(i.unjudged)} of {count(i.judged + i.unjudged)})" for i in short])
        unjudged = sum(i.unjudged for i in short)
        remarks.append(
            f"{several(unjudged, 'case')} that the run was to judge {'was' if unjudged == 1 else 'were'} not judged: {names}."
        )
    if missed(run):
        return [*remarks, *([] if code == NOTHING else _missed(run))]
    unseen = sum(max(0, a.detectable - a.caught) for a in run.audits)
    if unseen:
        remarks.append(f"{several(unseen, 'planted error')} went unseen; the audit says which.")
    kinds = [p for p in powers(run) if p.required is not None]
    few = sum(p.state == FEW for p in kinds)
    if few:
        remarks.append(
            f"Too few errors were planted to judge {few} of {several(len(kinds), 'kind')}; a longer run plants more."
        )
    return remarks


def _proof(run: Run) -> list[tuple[str, str]]:
    judged, asked = judged_cases(run)
    proof = [
        ("cases judged", count(judged) if judged == asked else f"{count(judged)} of {count(asked)}"),
        ("results", count(len(run.results))),
    ]
    programs = sum(r.elements for r in run.programs)
    in_textbook = run.elements - programs
    where = (
        ""
        if not in_textbook
        else f" ({brief(in_textbook)} more in the textbook)"
        if programs
        else " in the textbook"
    )
    proof.append((f"elements compared{where}", count(programs or in_textbook)))
    if run.audits:
        caught, detectable = totals(run.audits)
        proof.append(("planted errors caught", f"{count(caught)} of {count(detectable)}"))
    else:
        proof.append(("planted errors caught", "none planted"))
    right, refused = sum(a.right for a in run.audits), sum(a.refused for a in run.audits)
    if right:  # the control: a check that refuses everything would catch every planted error, too
        proof.append(("right formulas accepted", f"{count(right - refused)} of {count(right)}"))
    seen = sorted(r.sensitivity for r in run.results if r.sensitivity is not None)
    if seen:
        proof.append(("typical smallest error seen", short(seen[len(seen) // 2], 2)))
    return proof
