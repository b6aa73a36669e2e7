"""The matrix of a finding: failing and judged results by mode (rows) and by device and dtype (columns)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from refgrad.modes import FORWARD, GROUPS, REVERSE
from refgrad.records import Result
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.text import brief

DIRECT = (REVERSE, "value", FORWARD)  # the node-by-node modes; their rows appear even where they agree
_GROUPS = sorted(GROUPS, key=lambda group: DIRECT.index(group) if group in DIRECT else len(DIRECT))


@dataclass(frozen=True, slots=True)
class Cell:
    """The number of failing and of judged results of one mode, device and dtype."""

    failing: int
    judged: int

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.failing + other.failing, self.judged + other.judged)

    def __str__(self) -> str:
        """The cell as text: "✗ 12/40", or "✓ 40" where all results agree."""
        if self.failing:
            return f"✗ {brief(self.failing)}/{brief(self.judged)}"
        return f"✓ {brief(self.judged)}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The cells of one finding, None where nothing was judged. Columns are (device, dtype); rows are modes, reverse mode first."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]

    def at(self, mode: str, device: str, dtype: str) -> Cell:
        """The cell of one mode, device and dtype; Cell(0, 0) where nothing was judged or the mode has no row."""
        cells = next((cells for name, cells in self.rows if name == mode), ())
        return next(
            (c for c, place in zip(cells, self.columns, strict=False) if c and place == (device, dtype)),
            Cell(0, 0),
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices of the columns."""
        return tuple(dict.fromkeys(device for device, _ in self.columns))

    @property
    def spans(self) -> tuple[tuple[str, int], ...]:
        """Each device with its number of columns, which are adjacent."""
        return tuple((device, sum(d == device for d, _ in self.columns)) for device in self.devices)

    @property
    def grouped(self) -> Matrix:
        """The matrix with one row for each group of modes, for narrow output."""
        rows: dict[str, list[Cell | None]] = {}
        for mode, cells in self.rows:
            group = group_of(mode)
            before = rows.get(group, [None] * len(cells))
            rows[group] = [_sum(a, b) for a, b in zip(before, cells, strict=True)]
        ranked = sorted(rows, key=lambda group: _GROUPS.index(group) if group in _GROUPS else len(_GROUPS))
        return Matrix(self.columns, tuple((group, tuple(rows[group])) for group in ranked))


def _sum(a: Cell | None, b: Cell | None) -> Cell | None:
    return b if a is None else a if b is None else a + b


def mode_rank(mode: str) -> tuple[int, tuple[bool, str, int, str, int, int, str]]:
    """The sort key of modes: the direct ones, then the others in their general order."""
    return DIRECT.index(mode) if mode in DIRECT else len(DIRECT), order("", "", mode)


def matrix(failing: Iterable[Result], correct: Mapping[tuple[str, str, str], int]) -> Matrix:
    """The matrix of a finding.

    failing   the failing results
    correct   by mode, device and dtype, the number of judged results in which the finding's op takes part and is correct

    There is a row for each mode with a failure and for each direct mode, and a column for each device and dtype with a judged result.
    """
    bad: dict[tuple[str, str, str], int] = {}
    for r in failing:
        key = r.mode, r.device, r.dtype
        bad[key] = bad.get(key, 0) + 1
    known = {*bad, *correct}
    modes = {mode for mode, _, _ in bad} | {mode for mode, _, _ in known if mode in DIRECT}
    places = sorted(
        {(device, dtype) for _, device, dtype in known}, key=lambda place: order(place[0], place[1], "")
    )
    rows = []
    for mode in sorted(modes, key=mode_rank):
        cells = [_cell(bad.get((mode, *p), 0), correct.get((mode, *p), 0)) for p in places]
        rows.append((mode, tuple(cells)))
    return Matrix(tuple(places), tuple(rows))


def _cell(failing: int, correct: int) -> Cell | None:
    return Cell(failing, failing + correct) if failing or correct else None
