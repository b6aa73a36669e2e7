"""The results of a run as counts. Reading a file adds each result once, in any order; reports read the counts.

Results of one family, dtype, device, mode and status share a cell. ``case_tally`` counts by case, ``op_tally`` by op, and ``row_tally``
by row of the page's table.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from refgrad.bounds.formats import FORMATS
from refgrad.records import DISAGREE, ERROR, TEXTBOOK, UNDECIDED, UNSUPPORTED, Result
from refgrad.report.analysis.case_tally import CaseTally
from refgrad.report.analysis.error_bins import RATIOS, ULPS, bin_of, missing_ulp
from refgrad.report.analysis.op_tally import OpTally
from refgrad.report.analysis.row_tally import RowTally
from refgrad.report.analysis.text import pattern
from refgrad.report.analysis.way_tally import WayTally


class Place(NamedTuple):
    """The key of a cell."""

    family: str
    dtype: str
    device: str
    mode: str
    status: str
    shrunk: bool


@dataclass(slots=True)
class Cell:
    """Counts of the results of one place.

    loose, blind    compared elements with a loose or a blind bound, see ``Result``
    worst           the largest ratio of error to bound; None where none is recorded
    sensitivities   of each result that rounds and has one, the smallest relative error that its comparison excludes
    ratios, ulps    results by the bin of their worst error, see error_bins.py
    """

    results: int = 0
    elements: int = 0
    loose: int = 0
    blind: int = 0
    worst: float | None = None
    sensitivities: array[float] = field(default_factory=lambda: array("d"))
    ratios: list[int] = field(default_factory=lambda: [0] * (len(RATIOS) + 2))
    ulps: list[int] = field(default_factory=lambda: [0] * (len(ULPS) + 2))

    def add(self, r: Result) -> None:
        """Count one result."""
        self.results += 1
        self.elements += r.elements
        self.loose += r.loose
        self.blind += r.blind
        if r.sensitivity is not None and not _exact(r.sensitivity, r.dtype):
            self.sensitivities.append(r.sensitivity)
        worst = r.worst
        if worst is not None:
            ratio, ulp = worst.ratio, worst.ulp
            if self.worst is None or ratio > self.worst:
                self.worst = ratio
            self.ratios[bin_of(ratio, RATIOS)] += 1
            if not missing_ulp(ulp, ratio):
                self.ulps[bin_of(ulp, ULPS)] += 1

    def update(self, other: Cell) -> None:
        """Add the counts of another cell."""
        self.results += other.results
        self.elements += other.elements
        self.loose += other.loose
        self.blind += other.blind
        self.sensitivities.extend(other.sensitivities)
        if other.worst is not None and (self.worst is None or other.worst > self.worst):
            self.worst = other.worst
        self.ratios = [a + b for a, b in zip(self.ratios, other.ratios, strict=True)]
        self.ulps = [a + b for a, b in zip(self.ulps, other.ulps, strict=True)]


def median(cells: Iterable[Cell]) -> float | None:
    """The upper median of the sensitivities of all results in these cells; None where there are none."""
    values = array("d")
    for cell in cells:
        values.extend(cell.sensitivities)
    return sorted(values)[len(values) // 2] if values else None


def _exact(sensitivity: float, dtype: str) -> bool:
    """Whether a comparison excludes all numbers of the format but the expected one: a bound that allows a rounding allows at least u/2."""
    fmt = FORMATS.get(dtype)
    return fmt is not None and sensitivity < fmt.u / 2


class Tally:
    """The counts of all results.

    cells      by place
    reasons    of results without a verdict: by status and reason with numbers replaced, the results by op, dtype and mode
    cases      by case
    ops        by op; without disagreements, which are attributed to ops when all results are known
    rows       by row of the page's table; without failures, for the same reason
    textbook   by item of the textbook
    """

    def __init__(self) -> None:
        self.cells: dict[Place, Cell] = {}
        self.reasons: dict[tuple[str, str], Counter[tuple[str, str, str]]] = defaultdict(Counter)
        self.cases = CaseTally()
        self.ops = OpTally()
        self.rows = RowTally()
        self.textbook = WayTally()

    @classmethod
    def of(cls, results: Iterable[Result]) -> Self:
        """The counts of these results."""
        tally = cls()
        for r in results:
            tally.add(r)
        return tally

    def add(self, r: Result) -> None:
        """Count one result, with the outline of its case."""
        place = Place(r.family, r.dtype, r.device, r.mode, r.status, r.shrunk)
        cell = self.cells.get(place)
        if cell is None:
            cell = self.cells[place] = Cell()
        cell.add(r)
        self.cases.add(r)
        if r.status != DISAGREE:
            self.ops.add(r)
        if not r.failed:
            self.rows.add(r)
        if r.status in (UNDECIDED, UNSUPPORTED, ERROR):
            self.reasons[r.status, pattern(r.text) or "no reason given"][r.op, r.dtype, r.mode] += 1
        if r.family == TEXTBOOK:
            self.textbook.add(r)

    def update(self, other: Tally) -> None:
        """Add the counts of another tally, which stays as it is."""
        for place, cell in other.cells.items():
            self.cells.setdefault(place, Cell()).update(cell)
        for key, found in other.reasons.items():
            self.reasons[key].update(found)
        self.cases.update(other.cases)
        self.ops.update(other.ops)
        self.rows.update(other.rows)
        self.textbook.update(other.textbook)

    @property
    def statuses(self) -> Counter[str]:
        """Number of results by status."""
        found: Counter[str] = Counter()
        for place, cell in self.cells.items():
            found[place.status] += cell.results
        return found

    @property
    def results(self) -> int:
        """Number of results."""
        return self.statuses.total()

    @property
    def elements(self) -> int:
        """Number of compared elements, over all results."""
        return sum(cell.elements for cell in self.cells.values())

    @property
    def programs(self) -> Iterator[tuple[Place, Cell]]:
        """The cells of generated cases: all but the textbook's, whose training runs would dominate every count of elements."""
        return ((place, cell) for place, cell in self.cells.items() if place.family != TEXTBOOK)
