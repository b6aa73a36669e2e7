"""The heat map: for every op, dtype, device and mode, how near its worst error came to its bound, and over how many elements."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby

from refgrad.report.records import DISAGREE, KNOWN, Run, severity
from refgrad.report.text import brief, short

SYMBOLS = {"wrong": "✗", "near": "▲", "mid": "●", "low": "○"}
LEGEND = (
    ("low", "○", "at most a tenth of the bound"),
    ("mid", "●", "up to half of the bound"),
    ("near", "▲", "up to the whole bound"),
    ("wrong", "✗", "beyond the bound, or first wrong"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One op in one column."""

    level: str
    ratio: str
    elements: str

    @property
    def symbol(self) -> str:
        """The level without colour."""
        return SYMBOLS[self.level]


@dataclass(frozen=True, slots=True)
class Row:
    """One op."""

    op: str
    wrong: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Rows are ops; columns are device, dtype and mode, with the spans of their headings."""

    columns: tuple[tuple[str, str, str], ...]
    devices: tuple[tuple[str, int], ...]
    dtypes: tuple[tuple[str, int], ...]
    rows: tuple[Row, ...]


def heat_map(run: Run) -> HeatMap:
    """The heat map of a run; an op stands there only with elements that were compared, or as a first wrong one."""
    elements: dict[tuple[str, tuple[str, str, str]], int] = defaultdict(int)
    worst: dict[tuple[str, tuple[str, str, str]], float] = defaultdict(float)
    for r in run.results:
        column = (r.device, r.dtype, r.mode)
        for op, (_, compared, ratio) in r.ops.items():
            elements[op, column] += compared
            if r.status == KNOWN and not ratio <= 1:
                continue  # recorded in deviations.toml: it has its own section
            worst[op, column] = max(worst[op, column], severity(ratio))
        if r.status == DISAGREE and r.first_wrong is not None:
            for op in r.first_wrong[1].split(" or "):
                elements[op, column] += 0
                if worst[op, column] <= 1:
                    worst[op, column] = (
                        math.nan
                    )  # wrong, though not by a number: a shape, a dtype, a missing gradient
    columns = tuple(sorted({column for _, column in elements}, key=_column_order))
    rows = []
    for op in sorted({op for op, _ in elements}, key=lambda name: (name.lower(), name)):
        cells = tuple(
            _cell(worst[op, c], elements[op, c])
            if (op, c) in elements and (elements[op, c] or not worst[op, c] <= 1)
            else None
            for c in columns
        )
        rows.append(Row(op, any(c is not None and c.level == "wrong" for c in cells), cells))
    devices = tuple((name, len(list(group))) for name, group in groupby(columns, key=lambda c: c[0]))
    dtypes = tuple((name[1], len(list(group))) for name, group in groupby(columns, key=lambda c: c[:2]))
    return HeatMap(columns, devices, dtypes, tuple(rows))


_DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16")
_MODES = ("value", "reverse", "forward")


def _column_order(column: tuple[str, str, str]) -> tuple[bool, str, int, str, int, str]:
    device, dtype, mode = column
    return device != "cpu", device, _rank(_DTYPES, dtype), dtype, _rank(_MODES, mode), mode


def _rank(known: tuple[str, ...], name: str) -> int:
    return known.index(name) if name in known else len(known)


def combination_order(device: str, dtype: str, mode: str) -> tuple[bool, str, int, str, int, str]:
    """The order of columns, for the other tables."""
    return _column_order((device, dtype, mode))


def _cell(ratio: float, compared: int) -> Cell:
    level = "low" if ratio <= 0.1 else "mid" if ratio <= 0.5 else "near" if ratio <= 1 else "wrong"
    return Cell(level, "" if math.isnan(ratio) else short(ratio, 2), brief(compared))
