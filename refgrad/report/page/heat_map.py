"""The heat map: the largest ratio of error to bound by op and by device, dtype and group of modes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from refgrad.records import ERROR
from refgrad.report.analysis.blame import OR
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.op_errors import level_of, op_errors
from refgrad.report.analysis.op_tally import Column, OpErrors
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import short

SYMBOLS = {"wrong": "✗", "error": "⚠", "imprecise": "≈", "near": "▲", "mid": "●", "low": "○"}
LEGEND = (
    ("low", "○", "at most a tenth of the bound"),
    ("mid", "●", "up to half of the bound"),
    ("near", "▲", "up to the whole bound"),
    ("imprecise", "≈", "beyond the bound, and rounding explains it"),
    ("wrong", "✗", "beyond the bound, or first wrong"),
    ("error", "⚠", "an error was raised"),
)

NOTHING = OpErrors()


@dataclass(frozen=True, slots=True)
class Cell:
    """The worst ratio and the number of compared elements of one op in one column."""

    level: str
    ratio: str
    elements: int

    @property
    def symbol(self) -> str:
        """The symbol of the level, for readers without colour."""
        return SYMBOLS[self.level]

    @property
    def shown(self) -> str:
        """The ratio as short text, ".37"; "" at level "low"."""
        return "" if self.level == "low" else self.ratio.removeprefix("0")


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one op."""

    op: str
    cells: tuple[Cell | None, ...]

    @property
    def failure(self) -> str:
        """The symbol of the worst cell that fails the run; "" where none does."""
        failing = {c.level for c in self.cells if c is not None}
        return next((SYMBOLS[level] for level in ("wrong", "error") if level in failing), "")

    @property
    def elements(self) -> int:
        """Number of compared elements, over all columns."""
        return sum(c.elements for c in self.cells if c is not None)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Rows are ops; columns are (device, dtype, group of modes). ``devices`` and ``dtypes`` are headings with their column spans."""

    columns: tuple[tuple[str, str, str], ...]
    devices: tuple[tuple[str, int], ...]
    dtypes: tuple[tuple[str, int], ...]
    rows: tuple[Row, ...]


def heat_map(run: Run) -> HeatMap:
    """The heat map of a run. An op has a row where elements of it were compared, or where it fails as the first op of a result."""
    errors, raised = op_errors(run).columns, _raised(run)
    columns = tuple(sorted({*errors, *(column for column, _ in raised)}, key=lambda column: order(*column)))
    ops = {op for found in errors.values() for op in found} | {op for _, op in raised}
    rows = []
    for op in sorted(ops, key=lambda name: (name.lower(), name)):
        cells = tuple(_cell(errors.get(c, {}).get(op, NOTHING), raised=(c, op) in raised) for c in columns)
        if any(cells):
            rows.append(Row(op, cells))
    devices = tuple((name, len(list(group))) for name, group in groupby(columns, key=lambda c: c[0]))
    dtypes = tuple((name[1], len(list(group))) for name, group in groupby(columns, key=lambda c: c[:2]))
    return HeatMap(columns, devices, dtypes, tuple(rows))


def _raised(run: Run) -> set[tuple[Column, str]]:
    """Columns and ops in which an op raised an error."""
    return {
        ((r.device, r.dtype, group_of(r.mode)), op)
        for f in findings(run)
        if f.status == ERROR and f.op
        for op in f.op.split(OR)
        for r in f.results
    }


def _cell(found: OpErrors, *, raised: bool) -> Cell | None:
    """The cell of an op in a column; None where nothing was compared and nothing fails."""
    level = level_of(found.worst)
    if level != "wrong" and raised:
        return Cell("error", "", found.elements)
    if level != "wrong" and not found.elements:
        return None
    if level != "wrong" and found.explained:
        return Cell("imprecise", "", found.elements)
    return Cell(level, "" if math.isnan(found.worst) else short(found.worst, 2), found.elements)
