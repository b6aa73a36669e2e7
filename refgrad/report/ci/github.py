"""Reports for GitHub Actions: annotations as workflow commands, and a job summary in Markdown.

All text from results is escaped: it can begin neither a workflow command nor a link.
"""

from __future__ import annotations

import html
import re

from refgrad.exit_codes import PASS
from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED
from refgrad.report.analysis.baseline import BaselineComparison
from refgrad.report.analysis.coverage import coverage_rows
from refgrad.report.analysis.findings import Finding, findings
from refgrad.report.analysis.imprecise import imprecise, sentence
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import brief, cut, one_line
from refgrad.report.analysis.verdict import verdict

MOST = 9  # GitHub shows ten annotations of a step and drops the rest silently; the tenth gives the number of further findings
MOST_BYTES = 200 * 1024  # of a summary; GitHub refuses one above 1 MiB
_MARKUP = re.compile(r"[\\`*_{}\[\]()#+\-.!|~:@]")


def commands(run: Run) -> list[str]:
    """The workflow commands, one for each of the first nine findings, then one with the number of further findings.

    They name the backend where several judge the same cases.
    """
    conclusion, backend = verdict(run), f"{run.header.label}: " if run.header.beside else ""
    found = [(f.name, _message(f), f.where) for f in findings(run)]
    found += [(f"crash of {c.item}", c.reason, "") for c in run.crashes]
    if not found and conclusion.exit != PASS:
        found = [
            (f"refgrad: exit {conclusion.exit}", "\n".join([conclusion.sentence, *conclusion.notes]), "")
        ]
    lines = [_command(f"{backend}{title}", *others) for title, *others in found[:MOST]]
    if len(found) > MOST:
        lines.append(
            _command(f"{backend}refgrad", f"{len(found) - MOST} more findings; the report shows them all")
        )
    return lines


def _message(f: Finding) -> str:
    r = f.smallest
    return f"{f.extent}: {r.text}\nagain: {r.again or f'refgrad repro of case {r.id}'}"


def _command(title: str, message: str, where: str = "") -> str:
    """One annotation; with a file and a line where they are known."""
    file, _, line = where.rpartition(":")
    properties = [("title", title), *([("file", file), ("line", line)] if file and line.isdigit() else [])]
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties)
    return f"::error {listed}::{cut(_escaped(one_line(message)), 2000)}"


def _escaped(text: str) -> str:
    """The message of a workflow command, in which % escapes line breaks and itself."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property of a workflow command, in which colons and commas are escaped as well."""
    return _escaped(cut(one_line(text), 200)).replace(":", "%3A").replace(",", "%2C")


def summary(run: Run, comparison: BaselineComparison | None = None) -> str:
    """The run in Markdown, at most MOST_BYTES long."""
    conclusion = verdict(run)
    mark = {0: "✅", 1: "❌"}.get(conclusion.exit, "❔")
    title = f"refgrad, {run.header.label}" if run.header.beside else "refgrad"
    lines = [f"## {mark} {markdown(title)}: exit {conclusion.exit}", "", markdown(conclusion.sentence), ""]
    lines += [f"> {markdown(note)}\n" for note in conclusion.notes]
    if comparison is not None:
        lines += [f"Against the baseline: {markdown(comparison.sentence)}.", ""]
    lines += [" · ".join(f"{markdown(name)}: {markdown(value)}" for name, value in conclusion.proof), ""]
    found = findings(run)
    if found:
        lines += ["| finding | how far | smallest case | what |", "|---|---|---|---|"]
    lost = imprecise(run)
    tail = [
        *(["", f"Imprecise: {markdown(sentence(lost))}."] if lost else []),
        "",
        "| device | dtype | mode | agree | wrong | error | imprecise | known | open |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for s in coverage_rows(run):
        open_ = s.of(UNDECIDED) + s.of(UNSUPPORTED)
        tally = [*(brief(s.of(k)) for k in (AGREE, DISAGREE, ERROR, IMPRECISE, KNOWN)), brief(open_)]
        tail.append("| " + " | ".join([*map(_cell, (s.device, s.dtype, s.mode)), *tally]) + " |")
    tail += [f"\n> {markdown(remark)}" for remark in conclusion.remarks]
    room = MOST_BYTES - 200 - _size(lines)
    shown: list[str] = []
    for f in found:
        cells = (f.name, f.extent, f.smallest.id, f.smallest.text)
        row = "| " + " | ".join(map(_cell, cells)) + " |"
        room -= _size([row])
        if room < 0:
            break
        shown.append(row)
    if len(shown) < len(found):
        shown += ["", f"{len(found) - len(shown)} more findings are in the report."]
    if room > _size(tail):
        shown += tail
    return "\n".join([*lines, *shown, ""])


def markdown(text: str) -> str:
    """Text escaped for Markdown and HTML."""
    return _MARKUP.sub(lambda m: f"&#{ord(m[0])};", html.escape(one_line(text)).replace("&#x27;", "'"))


def _cell(text: str) -> str:
    return markdown(cut(one_line(text), 160))


def _size(lines: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
