"""The HTML page: one self-contained file, rendered from templates with automatic escaping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from refgrad.draw.svg import STYLE
from refgrad.records import STATUSES
from refgrad.report.analysis.baseline import BaselineComparison
from refgrad.report.analysis.coverage import coverage_rows, unjudged
from refgrad.report.analysis.deviations import known
from refgrad.report.analysis.findings import Finding, findings
from refgrad.report.analysis.imprecise import imprecise
from refgrad.report.analysis.items import items
from refgrad.report.analysis.power import power_tables
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.verdict import verdict
from refgrad.report.page.failing_case import FailingCase, failing_case
from refgrad.report.page.heat_map import LEGEND, heat_map
from refgrad.report.page.histogram import histograms
from refgrad.report.page.rounding_table import rounding_table
from refgrad.report.page.table_rows import payload
from refgrad.report.page.templating import asset, environment, policy_hash
from refgrad.report.page.textbook import tally, textbook
from refgrad.report.storage.details import in_full
from refgrad.report.storage.files import RESULTS, write_atomically

MOST_DETAILED = 40  # findings with figure, script and case
MOST_CHARACTERS = 300_000  # of figures, scripts and cases in the page
MOST_LISTED = 400  # findings without figure, script and case
MOST_CRASHES = 200
MOST_DIFFERENCES = 300


@dataclass(frozen=True, slots=True)
class DetailedFinding:
    """A finding shown with its smallest case; ``others`` are ids of further cases."""

    finding: Finding
    case: FailingCase
    others: tuple[str, ...]


def render(run: Run, comparison: BaselineComparison | None = None) -> str:
    """The page of a run, with the comparison with a baseline. Equal runs give equal bytes.

    Raises RefgradError where jinja2 is not installed.
    """
    templates = environment()
    style, code = asset("style.css") + STYLE, asset("page.js") + asset("table.js")
    found = findings(run)
    in_detail, items_of_textbook = detailed(run, found), textbook(run)
    return templates.get_template("page.html.j2").render(
        style=style,
        code=code,
        style_hash=policy_hash(style),
        code_hash=policy_hash(code),
        run=run,
        verdict=verdict(run),
        found=len(found),
        shown=in_detail,
        further=found[len(in_detail) : len(in_detail) + MOST_LISTED],
        unlisted=max(0, len(found) - len(in_detail) - MOST_LISTED),
        crashes=run.crashes[:MOST_CRASHES],
        imprecise=imprecise(run),
        comparison=comparison,
        differences=comparison.differences[:MOST_DIFFERENCES] if comparison else (),
        known=known(run),
        news=run.news,
        coverage_rows=coverage_rows(run),
        coverage_by_mode=coverage_rows(run, per_mode=True),
        heat=heat_map(run),
        legend=LEGEND,
        histograms=histograms(run),
        power_tables=power_tables(run),
        unjudged=unjudged(run),
        textbook=items_of_textbook,
        status_counts=tally(items_of_textbook),
        payload=payload(run),
        items=items(run),
        statuses=STATUSES,
        rounding=rounding_table(run.header.rounding),
        most_listed=MOST_LISTED,
        data=RESULTS,
    )


def write(run: Run, path: str | Path, comparison: BaselineComparison | None = None) -> None:
    """Write the page of a run atomically. Raises OSError where it cannot be written, RefgradError where jinja2 is not installed."""
    write_atomically(path, render(run, comparison))


def detailed(run: Run, found: Sequence[Finding]) -> tuple[DetailedFinding, ...]:
    """The first findings with their details, as many as the limits on number and size allow."""
    in_detail: list[DetailedFinding] = []
    anchors: set[str] = set()
    room = MOST_CHARACTERS
    first = found[:MOST_DETAILED]
    for f, result in zip(first, in_full(run, [f.smallest for f in first]), strict=True):
        case = failing_case(result)
        room -= case.size
        if room < 0 and in_detail:
            break
        while case.anchor in anchors:  # the same case in the same mode under two findings
            case = replace(case, anchor=case.anchor + "-again")
        anchors.add(case.anchor)
        others = tuple(dict.fromkeys(o.id for o in f.results if o.id != f.smallest.id))
        in_detail.append(DetailedFinding(f, case, others[:24]))
    return tuple(in_detail)
