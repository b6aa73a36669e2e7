"""The verdict on a run: its exit code, one sentence, and the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from refgrad.exit_codes import FAIL, PASS, PROVED_NOTHING
from refgrad.records import DISAGREE, IMPRECISE, KNOWN, Result
from refgrad.report.analysis.findings import Finding, findings
from refgrad.report.analysis.items import items, judged_cases
from refgrad.report.analysis.never_compared import never_compared
from refgrad.report.analysis.power import FEW, insufficient_power, powers, totals_of_run
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Tally, median
from refgrad.report.analysis.text import brief, count, cut, one_line, several, short

_LONGEST_TITLE, _TITLES = 48, 100  # characters of a title in the headline, and of all of them


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict in words, as every report states it.

    notes     restrictions of the verdict, such as a partial run
    remarks   less important restrictions, such as undetected planted errors where no share is required
    proof     the evidence: what was done, with its amount
    """

    exit: int
    sentence: str
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    proof: tuple[tuple[str, str], ...]


def exit_code(run: Run, *, complete: bool = False) -> int:
    """The exit code of a run: 0 for agreement, 1 for a disagreement, an error or a crash, 3 where the run proved nothing.

    The code is 0 only where the run has its end line, ended with 0 itself, and detected enough planted errors. A run that ended with
    another code for a reason beyond its results, such as a missing required device, keeps that code.

    complete   treat the run as finished although it has no end line; the runner determines the code of that line so
    """
    if run.crashes or failing(run):
        return FAIL
    if (
        run.truncated
        or run.tally.elements == 0
        or insufficient_power(run)
        or _incomplete(run)
        or never_compared(run)
    ):
        return PROVED_NOTHING
    if run.end is not None:
        implied = exit_code(replace(run, end=None, counted_failures=None), complete=True)
        return run.end.exit if run.counted_failures is None or run.end.exit != implied else PASS
    return PASS if complete else PROVED_NOTHING


def failing(run: Run) -> list[Result]:
    """The results that fail the run: all failures, unless --fail-on selects others."""
    if run.counted_failures is None:
        return [r for r in run.results if r.failed]
    counted = {*run.counted_failures}
    return [r for r in run.results if (r.id, r.mode) in counted]


def _incomplete(run: Run) -> bool:
    """Whether a planned item, a shard or a required device is missing."""
    return bool(run.unfinished or run.absent or run.header.missing)


def verdict(run: Run) -> Conclusion:
    """The verdict on a run in words."""
    code = exit_code(run)
    return Conclusion(
        code, _sentence(run, code), tuple(_notes(run, code)), tuple(_remarks(run, code)), tuple(_proof(run))
    )


def _sentence(run: Run, code: int) -> str:
    failed = failing(run)
    if code == FAIL and (run.crashes or failed):
        return _failure(run, failed)
    if run.tally.elements == 0:
        return "Nothing was proved: no element was compared."
    if run.partial:
        return "Nothing is proved yet: the run was cut short, without a disagreement so far."
    if insufficient_power(run):
        return "The run is vacuous: too few of the errors planted in its own comparisons were caught, so agreement proves nothing."
    unproved = never_compared(run)
    if unproved:
        return (
            f"Nothing was proved of {_first_names(unproved)}: no element of {'it' if len(unproved) == 1 else 'them'} was compared. "
            "What else was judged agrees."
        )
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


def _failure(run: Run, failed: Sequence[Result]) -> str:
    """What failed, how often, and the first places."""
    found = findings(
        run
        if run.counted_failures is None
        else replace(run, results=tuple(failed), tally=Tally.of(failed), counted_failures=None)
    )
    parts = []
    for status in dict.fromkeys(f.status for f in found):  # in the order of the findings
        alike = [f for f in found if f.status == status]
        if status == DISAGREE:
            cases = len({r.id for f in alike for r in f.counted})
            words = (
                f"{several(cases, 'case disagrees', 'cases disagree')} with the derivative, first wrong at"
            )
        else:
            results = sum(len(f.counted) for f in alike)
            words = f"{several(results, 'result')} could not be judged because of an error, at"
        parts.append(f"{words} {_titles(alike)}")
    lost = sum(r.status == IMPRECISE for r in failed)
    if lost:
        parts.append(f"{several(lost, 'result')} lost digits that the dtype has")
    if run.crashes:
        parts.append(f"{several(len(run.crashes), 'test item')} crashed")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _titles(found: Sequence[Finding]) -> str:
    """The titles of the first findings, shortened, and the number of further ones. The findings below have them in full."""
    titles = [cut(one_line(f.title), _LONGEST_TITLE) for f in found[:4]]
    fitting = [k for k in range(1, len(titles) + 1) if len(", ".join(titles[:k])) <= _TITLES]
    shown = max(fitting, default=1)
    more = f" and {count(len(found) - shown)} more" if len(found) > shown else ""
    return ", ".join(titles[:shown]) + more


def _notes(run: Run, code: int) -> list[str]:
    notes = []
    notes += [f"Required and missing: {why}." for _, why in run.header.missing]
    if run.partial:
        notes.append(_partial(run))
    if run.running:
        cases = [f"{c.id} ({c.item})" for c in run.running]
        notes.append(
            f"Without a verdict, for they were being judged when the run ended: {_first_names(cases)}."
        )
    if code == PROVED_NOTHING:
        notes += _power_notes(run)
    if run.end is not None and run.end.exit != code and run.counted_failures is None:
        notes.append(
            f"The run itself ended with exit code {run.end.exit}; the results it wrote amount to {code}."
        )
    return notes


def _partial(run: Run) -> str:
    """Why a run is partial, with the names of missing shards and items."""
    why = []
    if run.truncated:
        why.append("its last line is torn off")
    elif run.end is None:
        why.append("it has no end line")
    if run.absent:
        why.append(
            f"of its parts {_first_names(run.absent)} {'is' if len(run.absent) == 1 else 'are'} not here"
        )
    text = "Partial: the run ended before all was judged."
    interrupted = ", so the run was interrupted and what follows is what it had written by then"
    cut_short = interrupted if run.truncated or run.end is None else ""
    if why:
        text = f"Partial: {', and '.join(why)}{cut_short}."
    if run.unfinished:
        text += f" Of {several(run.planned, 'test item')} {count(len(run.unfinished))} did not finish: {_first_names(run.unfinished)}."
    return text


def _first_names(names: Sequence[str]) -> str:
    """The first names, and the number of further ones."""
    shown = ", ".join(cut(one_line(name), 80) for name in names[:6])
    return shown + (f" and {count(len(names) - 6)} more" if len(names) > 6 else "")


def _power_notes(run: Run) -> list[str]:
    """A note on shares of detected errors below the required ones; none where all are reached."""
    below = insufficient_power(run)
    if not below:
        return []
    more = f", and {len(below) - 4} more" if len(below) > 4 else ""
    return [
        f"Too few planted errors were detected ({'; '.join(below[:4])}{more}): agreement in this run proves nothing."
    ]


def _remarks(run: Run, code: int) -> list[str]:
    """Unjudged cases, undetected planted errors, and kinds of errors that were planted too rarely."""
    remarks = []
    short = items(run).short
    if short:
        names = _first_names(
            [f"{i.item} ({count(i.unjudged)} of {count(i.judged + i.unjudged)})" for i in short]
        )
        unjudged = sum(i.unjudged for i in short)
        remarks.append(
            f"{several(unjudged, 'case')} that the run was to judge {'was' if unjudged == 1 else 'were'} not judged: {names}."
        )
    if insufficient_power(run):
        return [*remarks, *([] if code == PROVED_NOTHING else _power_notes(run))]
    unseen = sum(max(0, a.detectable - a.caught) for a in run.audits)
    if unseen:
        text = several(unseen, "planted error was", "planted errors were")
        remarks.append(f"{text} not detected; the report lists them by kind.")
    kinds = [p for p in powers(run) if p.required is not None]
    few = sum(p.state == FEW for p in kinds)
    if few:
        remarks.append(
            f"Too few errors were planted to judge {few} of {several(len(kinds), 'kind')}; a longer run plants more."
        )
    return remarks


def _proof(run: Run) -> list[tuple[str, str]]:
    judged, due = judged_cases(run)
    proof = [
        ("cases judged", count(judged) if judged == due else f"{count(judged)} of {count(due)}"),
        ("results", count(run.tally.results)),
    ]
    programs = sum(cell.elements for _, cell in run.tally.programs)
    in_textbook = run.tally.elements - programs
    where = (
        ""
        if not in_textbook
        else f" ({brief(in_textbook)} more in the textbook)"
        if programs
        else " in the textbook"
    )
    proof.append((f"elements compared{where}", count(programs or in_textbook)))
    proof += _rates(run, judged, programs or in_textbook)
    caught, detectable = totals_of_run(run)
    proof.append(
        ("planted errors caught", f"{count(caught)} of {count(detectable)}" if detectable else "none planted")
    )
    right, refused = sum(a.right for a in run.audits), sum(a.refused for a in run.audits)
    if right:  # the control: a check that refuses everything would detect every planted error as well
        proof.append(("right formulas accepted", f"{count(right - refused)} of {count(right)}"))
    seen = median(run.tally.cells.values())
    if seen is not None:
        proof.append(("typical smallest error seen, exact results apart", short(seen, 2)))
    return proof


def _rates(run: Run, cases: int, elements: int) -> list[tuple[str, str]]:
    """The cases judged and the elements compared per second of the run; of a merged run, per second of all its parts together."""
    seconds = math.nan if run.end is None else run.end.seconds
    if not (math.isfinite(seconds) and seconds > 0):
        return []
    return [
        ("cases per second", short(cases / seconds)),
        ("elements per second", count(round(elements / seconds))),
    ]
