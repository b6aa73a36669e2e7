"""The report for the terminal: 80 columns wide, readable without colour."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import Any, TextIO

from refgrad.exit_codes import FAIL, PASS
from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED
from refgrad.report.analysis.baseline import SAME, BaselineComparison
from refgrad.report.analysis.coverage import coverage_rows, unjudged
from refgrad.report.analysis.deviations import known
from refgrad.report.analysis.findings import Finding, findings
from refgrad.report.analysis.imprecise import imprecise, sentence
from refgrad.report.analysis.matrix import Matrix
from refgrad.report.analysis.news import by_kind
from refgrad.report.analysis.power import totals, weakest
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import NARROW, brief, cut, one_line, percent, several
from refgrad.report.analysis.verdict import verdict
from refgrad.report.page.textbook import FLAGGED, textbook

WIDTH = 80
MOST_COLUMNS = 4  # of a finding's matrix, by the width
MOST = 8  # findings, crashes, reasons and differences listed
_HANGING: dict[str, Any] = {"subsequent_indent": " " * 10, "max_lines": 4, "placeholder": " ..."}
_STATUS_WORDS = {DISAGREE: "wrong", FLAGGED: "with a remark"}  # the words of the table and of the page
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"


def wants_color(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal whose user has not declined colour (NO_COLOR, TERM=dumb). A closed stream is None."""
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def table(run: Run, color: bool = False, comparison: BaselineComparison | None = None) -> str:
    """The report as text: coverage, findings, news, power, unjudged results, and the verdict in the last lines."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    conclusion = verdict(run)
    lines = [*_judged(run), ""]
    found = findings(run)
    for f in found[:MOST]:
        lines += [paint(line, _RED) for line in _headline(f)] + _detail(f)
    if len(found) > MOST:
        lines += _wrapped(
            f"... and {len(found) - MOST} more, which the HTML report shows: {_names(found[MOST:])}",
            max_lines=3,
            placeholder=" ...",
        )
    for crash in run.crashes[:MOST]:
        lines.append(paint(cut(f"crash  {one_line(crash.item)}: {one_line(crash.reason)}", WIDTH), _RED))
    if len(run.crashes) > MOST:
        lines.append(f"... and {len(run.crashes) - MOST} more crashes")
    if found or run.crashes:
        lines.append("")
    lines += _imprecise(run)
    lines += _known(run)
    lines += _news(run)
    lines += _textbook(run)
    lines += _power(run)
    lines += _not_judged(run)
    lines += _compared(comparison)
    for note in (*conclusion.remarks, *conclusion.notes):
        lines += [paint(line, _YELLOW) for line in _wrapped(one_line(note), WIDTH)]
    lines += _wrapped(
        " · ".join(f"{name}: {value}" for name, value in conclusion.proof).replace(NARROW, ","), WIDTH
    )
    tone = _GREEN if conclusion.exit == PASS else _RED if conclusion.exit == FAIL else _YELLOW
    lines += [
        paint(line, f"{_BOLD};{tone}")
        for line in _wrapped(f"exit {conclusion.exit}: {one_line(conclusion.sentence)}", WIDTH)
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int = WIDTH, **options: Any) -> list[str]:
    """Text as lines, broken between words only. A name with hyphens stays whole, so that it can be copied."""
    return textwrap.wrap(text, width, break_on_hyphens=False, **options)


def _judged(run: Run) -> list[str]:
    """The table of coverage. It has a column of imprecise results where there are any."""
    rows = coverage_rows(run)
    listed = {AGREE: "agree", DISAGREE: "wrong", ERROR: "error", IMPRECISE: "impr.", KNOWN: "known"}
    if not any(s.of(IMPRECISE) for s in rows):
        del listed[IMPRECISE]
    width = 18 if len(listed) < 5 else 14  # of the mode, for 80 columns in total
    form = f"{{:<6}} {{:<8}} {{:<{width}}}" + " {:>5}" * (len(listed) + 2) + " {:>7}"
    lines = [form.format("device", "dtype", "mode", *listed.values(), "open", "elem.", "worst")]
    for s in rows:
        tally = [brief(s.of(k)) for k in listed]
        tally.append(brief(s.of(UNDECIDED) + s.of(UNSUPPORTED)))
        names = [cut(one_line(n), w) for n, w in ((s.device, 6), (s.dtype, 8), (s.mode, width))]
        lines.append(form.format(*names, *tally, brief(s.elements), s.worst))
    return lines


def _imprecise(run: Run) -> list[str]:
    """The ops that lose digits, the one with the fewest correct digits first."""
    rows = imprecise(run)
    return (
        [*_wrapped(f"imprecise {one_line(sentence(rows))}".replace(NARROW, ","), **_HANGING), ""]
        if rows
        else []
    )


def _known(run: Run) -> list[str]:
    """The number of known disagreements, and the first names."""
    found = known(run)
    if not found:
        return []
    cases = len({r.id for r in run.results if r.status == KNOWN})
    names = ", ".join(one_line(k.id) for k in found)
    text = f"known     {several(cases, 'case')} of {several(len(found), 'recorded disagreement')}: {names}"
    return [*_wrapped(text.replace(NARROW, ","), **_HANGING), ""]


def _news(run: Run) -> list[str]:
    """The names of news by kind."""
    lines = []
    framework = one_line(f"{run.header.backend} {run.header.release}")
    for kind, names in by_kind(run.news).items():
        text = f"news      {one_line(kind)}, {framework}: {', '.join(map(one_line, names))}"
        lines += _wrapped(text, **_HANGING)
    return [*lines, ""] if lines else []


def _textbook(run: Run) -> list[str]:
    """The number of textbook items that agree, and the ids of the others and of those with a remark."""
    rows = textbook(run)
    if not rows:
        return []
    agree = sum(r.status == AGREE for r in rows)
    text = f"textbook  {several(agree, 'item agrees', 'items agree')}".replace(NARROW, ",")
    for status in (FLAGGED, DISAGREE, ERROR, UNDECIDED):
        ids = [one_line(r.item.id) for r in rows if r.status == status]
        if ids:
            text += f", {len(ids)} {_STATUS_WORDS.get(status, status)}: {' '.join(ids)}"
    return [*_wrapped(text, **_HANGING), ""]


def _power(run: Run) -> list[str]:
    """For each check, the share of planted errors that it detected; then the weakest kind of error."""
    lines = []
    for check in dict.fromkeys(a.check for a in run.audits):
        caught, detectable = totals(a for a in run.audits if a.check == check)
        share = f"{brief(caught)} of {brief(detectable)} caught ({percent(caught, detectable)})"
        lines.append(cut(f"planted  {one_line(check)}  {share}", WIDTH))
    least = weakest(run)
    if least is not None:
        lines.append(cut(f"         weakest: {one_line(str(least))}".replace(NARROW, ","), WIDTH))
    return [*lines, ""] if lines else []


def _compared(comparison: BaselineComparison | None) -> list[str]:
    """The comparison with the baseline: counts, then the cases that differ."""
    if comparison is None:
        return []
    lines = _wrapped(f"against the baseline: {comparison.sentence}".replace(NARROW, ","), WIDTH)
    listed = [d for d in comparison.differences if d.kind != SAME]
    for d in listed[:MOST]:
        lines.append(cut(f"  {d.kind}  {one_line(d.id)}  {one_line(d.before)} -> {one_line(d.now)}", WIDTH))
    if len(listed) > MOST:
        lines.append(f"  ... and {len(listed) - MOST} more; the HTML report shows them")
    return [*lines, ""]


def _headline(f: Finding) -> list[str]:
    return _wrapped(
        f"{f.name}: {f.extent}".replace(NARROW, ","),
        subsequent_indent="    ",
        max_lines=2,
        placeholder=" ...",
    )


def _detail(f: Finding) -> list[str]:
    r = f.smallest
    text = one_line(r.text)
    lines = _wrapped(text, WIDTH - 4, max_lines=3, placeholder=" ...") if text else []
    size = f" ({several(r.size, 'node')})" if r.size else ""
    lines.append(
        cut(f"smallest: {one_line(r.family)} case {one_line(r.id)}, {one_line(r.mode)}{size}", WIDTH - 4)
    )
    return ["    " + line for line in [*lines, *_matrix(f.matrix.grouped)]]


def _matrix(m: Matrix) -> list[str]:
    """The matrix of a finding; nothing where it has a single cell, which the headline states already."""
    if sum(c is not None for _, cells in m.rows for c in cells) < 2:
        return []
    one_device = len(m.devices) == 1
    heads = [
        one_line(dtype if one_device else f"{device} {dtype}") for device, dtype in m.columns[:MOST_COLUMNS]
    ]
    form = "{:<14}" + " {:>13}" * len(heads)
    lines = [form.format("", *(cut(head, 13) for head in heads)).rstrip()]
    for mode, cells in m.rows:
        listed = ["" if c is None else str(c) for c in cells[:MOST_COLUMNS]]
        lines.append(form.format(cut(one_line(mode), 14), *listed).rstrip())
    return lines


def _names(found: Sequence[Finding]) -> str:
    return ", ".join(f.name for f in found)


def _not_judged(run: Run) -> list[str]:
    not_judged = unjudged(run)
    listed = [reason for reason in not_judged.reasons if reason.status != ERROR][:MOST]
    lines = [
        cut(f"  {brief(reason.results):>6} {reason.status}: {reason.reason}", WIDTH) for reason in listed
    ]
    # An interrupted run lacks many things for one reason.
    for why in dict.fromkeys(why for _, why in not_judged.absent):
        names = ", ".join(one_line(what) for what, reason in not_judged.absent if reason == why)
        lines += _wrapped(
            f"{names}: {one_line(why)}",
            initial_indent=" " * 9,
            subsequent_indent=" " * 11,
            max_lines=8,
            placeholder=" ...",
        )
    return ["not judged", *lines, ""] if lines else []
