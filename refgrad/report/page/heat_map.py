"""The heat map: the largest ratio of error to bound by op and by device, dtype and group of modes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from refgrad.report.analysis.mode_groups import order
from refgrad.report.analysis.op_errors import level_of, op_errors
from refgrad.report.analysis.op_tally import OpErrors
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import short

SYMBOLS = {"wrong": "✗", "imprecise": "≈", "near": "▲", "mid": "●", "low": "○"}
LEGEND = (
    ("low", "○", "at most a tenth of the bound"),
    ("mid", "●", "up to half of the bound"),
    ("near", "▲", "up to the whole bound"),
    ("imprecise", "≈", "beyond the bound, and rounding explains it"),
    ("wrong", "✗", "beyond the bound, or first wrong"),
)


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
    wrong: bool
    cells: tuple[Cell | None, ...]

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
    """The heat map of a run. An op has a row where elements of it were compared, or where it is the first wrong op of a result."""
    errors = op_errors(run)
    columns = tuple(sorted(errors.columns, key=lambda column: order(*column)))
    rows = []
    for op in sorted(
        {op for ops in errors.columns.values() for op in ops}, key=lambda name: (name.lower(), name)
    ):
        cells = tuple(_cell(errors.columns[c].get(op)) for c in columns)
        if any(cells):
            rows.append(Row(op, any(c is not None and c.level == "wrong" for c in cells), cells))
    devices = tuple((name, len(list(group))) for name, group in groupby(columns, key=lambda c: c[0]))
    dtypes = tuple((name[1], len(list(group))) for name, group in groupby(columns, key=lambda c: c[:2]))
    return HeatMap(columns, devices, dtypes, tuple(rows))


def _cell(found: OpErrors | None) -> Cell | None:
    """The cell of an op in a column; None where nothing was compared and nothing is wrong."""
    if found is None or (not found.elements and found.worst <= 1):
        return None
    ratio = found.worst
    level = level_of(ratio)
    if found.explained and level != "wrong":
        return Cell("imprecise", "", found.elements)
    return Cell(level, "" if math.isnan(ratio) else short(ratio, 2), found.elements)
