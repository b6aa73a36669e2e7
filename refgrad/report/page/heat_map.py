"""The heat map: the largest ratio of error to bound by op and by device, dtype and group of modes."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby

from refgrad.records import DISAGREE, IMPRECISE, KNOWN, Run, severity
from refgrad.report.analysis.blame import END_TO_END, OR, Blame
from refgrad.report.analysis.mode_groups import group_of, order
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
    elements: dict[tuple[str, tuple[str, str, str]], int] = defaultdict(int)
    worst: dict[tuple[str, tuple[str, str, str]], float] = defaultdict(float)
    blame, explained = Blame(run.results), set()
    for r in run.results:
        column = (r.device, r.dtype, group_of(r.mode))
        at_fault = set(blame.op(r).split(OR)) - {""} if r.status == DISAGREE else set()
        # The errors of an end-to-end result are recorded under the op of the output.
        suspects = r.ops if r.mode in END_TO_END else r.op.split(OR)
        cleared = set(suspects) - at_fault if r.status == DISAGREE else set()
        for op, (_, compared, ratio) in r.ops.items():
            elements[op, column] += compared
            if ratio <= 1 or (r.status not in (KNOWN, IMPRECISE) and op not in cleared):
                worst[op, column] = max(worst[op, column], severity(ratio))
            elif r.status == IMPRECISE:
                explained.add((op, column))
        for op in at_fault:
            elements[op, column] += 0
            if worst[op, column] <= 1:
                # Wrong without a wrong number of this op, such as a shape or a missing gradient.
                worst[op, column] = math.nan
    columns = tuple(sorted({column for _, column in elements}, key=lambda column: order(*column)))
    rows = []
    for op in sorted({op for op, _ in elements}, key=lambda name: (name.lower(), name)):
        cells = tuple(
            _cell(worst[op, c], elements[op, c], (op, c) in explained)
            if (op, c) in elements and (elements[op, c] or not worst[op, c] <= 1)
            else None
            for c in columns
        )
        if not any(cells):
            continue
        rows.append(Row(op, any(c is not None and c.level == "wrong" for c in cells), cells))
    devices = tuple((name, len(list(group))) for name, group in groupby(columns, key=lambda c: c[0]))
    dtypes = tuple((name[1], len(list(group))) for name, group in groupby(columns, key=lambda c: c[:2]))
    return HeatMap(columns, devices, dtypes, tuple(rows))


def _cell(ratio: float, compared: int, explained: bool) -> Cell:
    level = "low" if ratio <= 0.1 else "mid" if ratio <= 0.5 else "near" if ratio <= 1 else "wrong"
    if explained and level != "wrong":
        return Cell("imprecise", "", compared)
    return Cell(level, "" if math.isnan(ratio) else short(ratio, 2), compared)
