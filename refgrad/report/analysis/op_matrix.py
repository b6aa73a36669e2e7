"""The matrix of ops and backends: in each group of modes, how near the worst error of an op comes to its bound, and where it fails."""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from refgrad.modes import GROUPS
from refgrad.records import DISAGREE, ERROR, KNOWN, severity
from refgrad.report.analysis.backend_comparison import BackendComparison, ComparedBackend
from refgrad.report.analysis.blame import OR
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.matrix import Cell as Share
from refgrad.report.analysis.mode_groups import group_of
from refgrad.report.analysis.op_errors import level_of, op_errors
from refgrad.report.analysis.op_tally import OpErrors
from refgrad.report.analysis.text import brief, short

# The levels of a cell, the worst first: the symbol, and the level in words.
LEVELS = {
    "wrong": ("✗", "disagrees: failing of judged results"),
    "error": ("⚠", "error: failing of judged results"),
    "known": ("≠", "a known disagreement, with its number of results"),
    "imprecise": ("≈", "beyond the bound, and rounding explains it"),
    "near": ("▲", "up to the whole bound"),
    "mid": ("●", "up to half of the bound"),
    "low": ("○", "at most a tenth of the bound"),
}
FAILING = ("wrong", "error", "known")
NONE = Share(0, 0)


@dataclass(frozen=True, slots=True)
class OpCell:
    """One op of one backend in one group of modes, over all dtypes and devices.

    level     a key of LEVELS
    failing   failing results, or those of known disagreements
    judged    results of which they are a part; 0 where it is not known
    ratio     the largest ratio of error to bound
    elements  compared elements
    """

    level: str
    failing: int
    judged: int
    ratio: float
    elements: int

    @property
    def symbol(self) -> str:
        """The symbol of the level, for readers without colour."""
        return LEVELS[self.level][0]

    @property
    def text(self) -> str:
        """The failing of the judged results, "3/40"; where none fails, the ratio, ".37", or nothing where it is low or unknown."""
        if self.failing:
            return f"{brief(self.failing)}/{brief(self.judged)}" if self.judged else brief(self.failing)
        silent = self.level in ("low", "imprecise") or math.isnan(self.ratio)
        return "" if silent else short(self.ratio, 2).removeprefix("0")

    def joined(self, other: OpCell) -> OpCell:
        """Both cells as one, of the worse level. Failing results of another level are left out."""
        ranks = list(LEVELS)
        worse = min(self, other, key=lambda c: ranks.index(c.level))
        alike = [c for c in (self, other) if c.level == worse.level or c.level not in FAILING]
        return OpCell(
            worse.level,
            sum(c.failing for c in alike),
            sum(c.judged for c in alike),
            max(self.ratio, other.ratio, key=severity),
            self.elements + other.elements,
        )


@dataclass(frozen=True, slots=True)
class OpRow:
    """The cells of one op, None where nothing was compared."""

    op: str
    cells: tuple[OpCell | None, ...]

    @property
    def fails(self) -> bool:
        """Whether a backend fails at the op, or disagrees as it is recorded."""
        return any(c is not None and c.level in FAILING for c in self.cells)


@dataclass(frozen=True, slots=True)
class OpMatrix:
    """Rows are ops; columns are (backend, group of modes). ``spans`` are the backends with their numbers of columns."""

    columns: tuple[tuple[str, str], ...]
    spans: tuple[tuple[str, int], ...]
    rows: tuple[OpRow, ...]

    @property
    def failing(self) -> OpMatrix:
        """The rows in which a backend fails, or disagrees as it is recorded."""
        return OpMatrix(self.columns, self.spans, tuple(row for row in self.rows if row.fails))

    @property
    def by_backend(self) -> tuple[tuple[str, tuple[OpCell | None, ...]], ...]:
        """Each op with one cell for each backend, over all modes."""
        found = []
        for row in self.rows:
            cells, start = [], 0
            for _, number in self.spans:
                mine = [c for c in row.cells[start : start + number] if c is not None]
                cells.append(functools.reduce(OpCell.joined, mine) if mine else None)
                start += number
            found.append((row.op, tuple(cells)))
        return tuple(found)


def op_matrix(comparison: BackendComparison) -> OpMatrix:
    """The matrix of all backends. An op has a row where elements of it were compared, or where a backend fails at it."""
    tables = [_cells(backend) for backend in comparison.backends]
    groups = [sorted({group for _, group in table}, key=_rank) for table in tables]
    columns = tuple((b.label, g) for b, mine in zip(comparison.backends, groups, strict=True) for g in mine)
    ops = sorted({op for table in tables for op, _ in table}, key=lambda name: (name.lower(), name))
    rows = tuple(
        OpRow(op, tuple(table.get((op, g)) for table, mine in zip(tables, groups, strict=True) for g in mine))
        for op in ops
    )
    spans = tuple((b.label, len(mine)) for b, mine in zip(comparison.backends, groups, strict=True))
    return OpMatrix(columns, spans, rows)


def _rank(group: str) -> tuple[int, str]:
    names = list(GROUPS)
    return (names.index(group) if group in names else len(names), group)


def _cells(backend: ComparedBackend) -> Mapping[tuple[str, str], OpCell]:
    """By op and group of modes, the cells of one backend."""
    errors: dict[tuple[str, str], list[OpErrors]] = defaultdict(list)
    for (_, _, group), ops in op_errors(backend.common).columns.items():
        for op, found in ops.items():
            errors[op, group].append(found)
    shares = {status: _shares(backend, status) for status in (DISAGREE, ERROR)}
    known: Counter[tuple[str, str]] = Counter()
    for r in backend.common.results:
        if r.status == KNOWN:
            known.update((op, group_of(r.mode)) for op in filter(None, r.op.split(OR)))
    places = {*errors, *shares[DISAGREE], *shares[ERROR], *known}
    made = {
        at: _cell(errors.get(at, ()), shares[DISAGREE].get(at, NONE), shares[ERROR].get(at, NONE), known[at])
        for at in places
    }
    return {at: cell for at, cell in made.items() if cell is not None}


def _shares(backend: ComparedBackend, status: str) -> dict[tuple[str, str], Share]:
    """By op and group of modes, the failing and the judged results of the findings of one status."""
    found: dict[tuple[str, str], Share] = {}
    for f in findings(backend.common):
        for op in filter(None, f.op.split(OR)) if f.status == status else ():
            for group, cells in f.matrix.grouped.rows:
                share = sum((c for c in cells if c is not None), NONE)
                if share.failing:
                    found[op, group] = found.get((op, group), NONE) + share
    return found


def _cell(errors: Iterable[OpErrors], wrong: Share, error: Share, known: int) -> OpCell | None:
    """One cell; None where nothing was compared and nothing fails."""
    listed = list(errors)
    elements = sum(e.elements for e in listed)
    worst = max((e.worst for e in listed), key=severity, default=0.0)
    if wrong.failing or level_of(worst) == "wrong":
        # without a failing result: by a consequence of another op's error
        return OpCell("wrong", wrong.failing, wrong.judged, worst, elements)
    if error.failing:
        return OpCell("error", error.failing, error.judged, worst, elements)
    if known:
        return OpCell("known", known, 0, worst, elements)
    if any(e.explained for e in listed):
        return OpCell("imprecise", 0, 0, worst, elements)
    return OpCell(level_of(worst), 0, 0, worst, elements) if elements else None
