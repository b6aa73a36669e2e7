"""Where an op is wrong and where it is right: modes by devices and dtypes, with the failing results of those judged in every cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from refgrad.records import Result
from refgrad.report.analysis.mode_groups import GROUPS, group_of, order
from refgrad.report.analysis.text import brief
from refgrad.testing.judging.node_by_node import FORWARD, REVERSE

PLAIN = (REVERSE, "value", FORWARD)  # node by node and asked directly: shown also where they agree
_GROUPS = sorted(GROUPS, key=lambda group: PLAIN.index(group) if group in PLAIN else len(PLAIN))


@dataclass(frozen=True, slots=True)
class Cell:
    """The results of one mode in one format on one device."""

    failing: int
    judged: int

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.failing + other.failing, self.judged + other.judged)

    def __str__(self) -> str:
        """How it stands, readable without colour: "✗ 12/40", or "✓ 40" where all agree."""
        if self.failing:
            return f"✗ {brief(self.failing)}/{brief(self.judged)}"
        return f"✓ {brief(self.judged)}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The cells of one finding; None where nothing was judged. A row is a mode, plain reverse mode first."""

    columns: tuple[tuple[str, str], ...]  # device, dtype
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]

    def at(self, mode: str, device: str, dtype: str) -> Cell:
        """The cell of one mode, device and dtype; an empty one where nothing was judged or the mode has no row."""
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
        """Each device with its number of columns, which stand together."""
        return tuple((device, sum(d == device for d, _ in self.columns)) for device in self.devices)

    @property
    def grouped(self) -> Matrix:
        """The same with the modes of a group in one row: few enough for a terminal."""
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
    """What modes are sorted by: plain reverse, value and forward, then the others as everywhere."""
    return PLAIN.index(mode) if mode in PLAIN else len(PLAIN), order("", "", mode)


def matrix(failing: Iterable[Result], others: Mapping[tuple[str, str, str], int]) -> Matrix:
    """The matrix of a finding. ``others`` counts the judged results in which its op takes part and is right, by mode, device and dtype.

    A row is there where something fails, and for the plain modes; a column is there where anything was judged.
    """
    bad: dict[tuple[str, str, str], int] = {}
    for r in failing:
        key = r.mode, r.device, r.dtype
        bad[key] = bad.get(key, 0) + 1
    known = {*bad, *others}
    modes = {mode for mode, _, _ in bad} | {mode for mode, _, _ in known if mode in PLAIN}
    places = sorted(
        {(device, dtype) for _, device, dtype in known}, key=lambda place: order(place[0], place[1], "")
    )
    rows = []
    for mode in sorted(modes, key=mode_rank):
        cells = [_cell(bad.get((mode, *p), 0), others.get((mode, *p), 0)) for p in places]
        rows.append((mode, tuple(cells)))
    return Matrix(tuple(places), tuple(rows))


def _cell(failing: int, right: int) -> Cell | None:
    return Cell(failing, failing + right) if failing or right else None
