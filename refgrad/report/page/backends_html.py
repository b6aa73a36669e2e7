"""The page that compares several backends: who agrees with the derivative, op by op and case by case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from refgrad.records import DISAGREE, ERROR, KNOWN, Result
from refgrad.report.analysis.backend_comparison import NOT_JUDGED, BackendComparison, CaseRow
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.op_matrix import LEVELS, op_matrix
from refgrad.report.analysis.text import short
from refgrad.report.page.rounding_table import rounding_table
from refgrad.report.page.templating import asset, environment, policy_hash, query
from refgrad.report.storage.details import results_of
from refgrad.report.storage.files import write_atomically

MOST_ROWS = 400  # cases in a mode
PAGE = "report.html"  # of each backend, in its folder


@dataclass(frozen=True, slots=True)
class CaseCell:
    """What one backend does in a case and a mode.

    status  NOT_JUDGED where it has no result
    ratio   the largest error in units of its bound, as text
    link    the place of the failure on the page of the backend; empty where it does not fail
    """

    status: str
    ratio: str
    link: str


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A row of the table of cases. ``begins`` says whether the row above is of another case."""

    row: CaseRow
    begins: bool
    cells: tuple[CaseCell, ...]


def render_backends(comparison: BackendComparison, folders: Mapping[str, str]) -> str:
    """The page. ``folders`` are those of the pages of the backends, by label. Equal runs give equal bytes.

    Raises RefgradError where jinja2 is not installed.
    """
    templates = environment()
    style, code = asset("style.css"), asset("page.js")
    matrix = op_matrix(comparison)
    profiles = {
        f"{b.label} {device}": found
        for b in comparison.backends
        for device, found in b.run.header.rounding.items()
    }
    return templates.get_template("backends.html.j2").render(
        style=style,
        code=code,
        style_hash=policy_hash(style),
        code_hash=policy_hash(code),
        comparison=comparison,
        head=comparison.backends[0].run.header,
        pages={label: f"{quote(folder)}/{PAGE}" for label, folder in folders.items()},
        matrix=matrix,
        failing=matrix.failing,
        levels=LEVELS,
        lines=case_lines(comparison, folders),
        rounding=rounding_table(profiles),
        not_judged=NOT_JUDGED,
    )


def write_backends(comparison: BackendComparison, folders: Mapping[str, str], path: str | Path) -> None:
    """Write the page atomically. Raises OSError where it cannot be written, RefgradError where jinja2 is not installed."""
    write_atomically(path, render_backends(comparison, folders))


def case_lines(comparison: BackendComparison, folders: Mapping[str, str]) -> tuple[CaseLine, ...]:
    """The first rows of the table of cases, with the errors of the backends that agree."""
    rows = comparison.rows[:MOST_ROWS]
    others = _agreeing(comparison, rows)
    anchors = [
        {(r.id, r.mode): f.anchor for f in findings(backend.run) for r in f.results}
        for backend in comparison.backends
    ]
    lines = []
    for place, row in enumerate(rows):
        cells = []
        for k, (label, status) in enumerate(zip(comparison.labels, row.statuses, strict=True)):
            r = row.failing.get(k) or others[k].get((row.id, row.mode))
            page = f"{quote(folders[label])}/{PAGE}"
            anchor = anchors[k].get((row.id, row.mode), "")
            link = (
                f"{page}#{anchor}" if anchor else f"{page}{query(f'id:{row.id}')}" if status == KNOWN else ""
            )
            cells.append(CaseCell(status, _ratio(r), link))
        begins = place == 0 or rows[place - 1].id != row.id
        lines.append(CaseLine(row, begins, tuple(cells)))
    return tuple(lines)


def _agreeing(
    comparison: BackendComparison, rows: tuple[CaseRow, ...]
) -> list[dict[tuple[str, str], Result]]:
    """By backend, case and mode, the results of these rows that do not fail. They are read from the files."""
    found = []
    for k, backend in enumerate(comparison.backends):
        wanted = {
            (row.id, row.mode) for row in rows if k not in row.failing and row.statuses[k] != NOT_JUDGED
        }
        ids = {case for case, _ in wanted}
        found.append({(r.id, r.mode): r for r in results_of(backend.run, ids) if (r.id, r.mode) in wanted})
    return found


def _ratio(r: Result | None) -> str:
    """The largest error of a result in units of its bound; empty where none is recorded, or where no number makes it fail."""
    if r is None or r.status == ERROR:
        return ""
    fails = r.status in (DISAGREE, KNOWN)
    worst = r.worst_elements[0] if fails and r.worst_elements else r.worst
    return "" if worst is None or (fails and worst.ratio <= 1) else short(worst.ratio)
