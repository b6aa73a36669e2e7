"""The page: one HTML file with everything in it, made from templates that escape whatever they are given."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from refgrad.draw.svg import STYLE
from refgrad.errors import RefgradError
from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, KNOWN, STATUSES, UNDECIDED, UNSUPPORTED, Run
from refgrad.report.analysis import text as words
from refgrad.report.analysis.baseline import Against
from refgrad.report.analysis.coverage import shares, unjudged
from refgrad.report.analysis.deviations import known
from refgrad.report.analysis.findings import Finding, findings, term
from refgrad.report.analysis.imprecise import imprecise
from refgrad.report.analysis.items import items
from refgrad.report.analysis.power import sheets
from refgrad.report.analysis.verdict import verdict
from refgrad.report.page.failing_case import FailingCase, failing_case
from refgrad.report.page.heat_map import LEGEND, heat_map
from refgrad.report.page.histogram import histograms
from refgrad.report.page.table_rows import payload
from refgrad.report.page.textbook import tally, textbook
from refgrad.report.storage.files import RESULTS, write_whole

if TYPE_CHECKING:
    from jinja2 import Environment

SYMBOLS = {
    AGREE: "✓",
    DISAGREE: "✗",
    ERROR: "⚠",
    IMPRECISE: "≈",
    KNOWN: "≠",
    UNDECIDED: "?",
    UNSUPPORTED: "–",
}
MOST_IN_FULL = 40  # findings with figure, script and case
ROOM = 300_000  # characters of scripts and cases in the page
MOST_LISTED = 400  # findings without
MOST_CRASHES = 200
MOST_DIFFERENCES = 300


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding shown in full, by its smallest case."""

    finding: Finding
    case: FailingCase
    others: tuple[str, ...]


def render(run: Run, against: Against | None = None) -> str:
    """The page of a run, with what has become of a baseline. The same run gives the same text, byte for byte."""
    environment = _environment()
    style, code = _asset("style.css") + STYLE, _asset("page.js") + _asset("table.js")
    found = findings(run)
    full, items_of_textbook = in_full(found), textbook(run)
    return environment.get_template("page.html.j2").render(
        style=style, code=code, style_hash=_hash(style), code_hash=_hash(code), run=run, verdict=verdict(run),
        shown=full, further=found[len(full) : len(full) + MOST_LISTED], unlisted=max(0, len(found) - len(full) - MOST_LISTED),
        found=len(found), crashes=run.crashes[:MOST_CRASHES], heat=heat_map(run), legend=LEGEND, histograms=histograms(run),
        shares=shares(run), shares_apart=shares(run, apart=True), unjudged=unjudged(run), known=known(run), sheets=sheets(run),
        payload=payload(run), imprecise=imprecise(run), items=items(run), news=run.news, statuses=STATUSES, symbols=SYMBOLS,
        textbook=items_of_textbook, status_counts=tally(items_of_textbook),
        against=against, differences=against.differences[:MOST_DIFFERENCES] if against else (),
    )  # fmt: skip


def write(run: Run, path: str | Path, against: Against | None = None) -> None:
    """Write the page of a run. The file appears whole or not at all."""
    write_whole(path, render(run, against))


def in_full(found: Sequence[Finding]) -> tuple[Shown, ...]:
    """The findings that are shown in full: from the first on, as many as there is room for."""
    full: list[Shown] = []
    anchors: set[str] = set()
    room = ROOM
    for f in found[:MOST_IN_FULL]:
        case = failing_case(f.smallest)
        room -= case.size
        if room < 0 and full:
            break
        while case.anchor in anchors:  # the same case in the same mode under two findings
            case = replace(case, anchor=case.anchor + "-again")
        anchors.add(case.anchor)
        others = tuple(dict.fromkeys(o.id for o in f.results if o.id != f.smallest.id))
        full.append(Shown(f, case, others[:24]))
    return tuple(full)


def _environment() -> Environment:
    try:
        import jinja2
    except ImportError as error:
        raise RefgradError(
            'the HTML report needs jinja2, which is not installed: pip install "refgrad[conformance]"'
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False, finalize=_finalize,
    )  # fmt: skip
    environment.filters |= {
        "short": words.short, "exact": words.exact, "count": words.count, "brief": words.brief, "several": words.several,
        "place": words.place, "cut": words.cut, "one_line": words.one_line, "query": _query,
    }  # fmt: skip
    environment.globals |= {
        "percent": words.percent,
        "most_listed": MOST_LISTED,
        "term": term,
        "data": RESULTS,
    }
    return environment


def _finalize(value: object) -> object:
    """What a template prints has no control characters; markup of our own is a subclass of str and passes."""
    return words.plain(value) if type(value) is str else value


def _query(value: str) -> str:
    """The address of the table with a query."""
    return "#q=" + quote(value, safe=":")


def _asset(name: str) -> str:
    return (resources.files("refgrad.report.page") / "templates" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
