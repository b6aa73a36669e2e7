"""Coverage of a run: judged results with the sharpness of their bounds, and unjudged results with reasons."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from refgrad.records import AGREE, DISAGREE, IMPRECISE, STATUSES, TEXTBOOK
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Cell, Place, median
from refgrad.report.analysis.text import short

_REASONS = 40


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Counts of the results of one device, dtype and mode, or group of modes.

    statuses      number of results by status, in the order of STATUSES
    loose, blind  compared elements with a loose or a blind bound, see ``Result``
    sensitivity   median over results that round of the smallest relative error that the comparison excludes, as text
    worst         largest ratio of error to bound among agreeing results, as text
    """

    device: str
    dtype: str
    mode: str
    cases: int
    statuses: tuple[int, ...]
    elements: int
    loose: int
    blind: int
    sensitivity: str
    worst: str

    def of(self, status: str) -> int:
        """Number of results of one status."""
        return self.statuses[STATUSES.index(status)]


@dataclass(frozen=True, slots=True)
class Reason:
    """The number of results without a verdict for one reason, with the ops and modes concerned."""

    status: str
    reason: str
    results: int
    ops: str
    where: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Everything that was not judged, or only against a loose bound.

    reasons       the most frequent reasons
    more          number of further reasons
    absent        devices, dtypes, modes and families without a verdict, with the reason
    elements      compared elements
    loose, blind  those with a loose or a blind bound
    """

    reasons: tuple[Reason, ...]
    more: int
    absent: tuple[tuple[str, str], ...]
    elements: int
    loose: int
    blind: int


def coverage_rows(run: Run, *, per_mode: bool = False) -> tuple[CoverageRow, ...]:
    """One row for each device, dtype and group of modes with results; with ``per_mode``, one for each mode.

    The textbook is left out. It has a section of its own, and its training runs would dominate every count of elements.
    """
    groups: dict[tuple[str, str, str], list[tuple[Place, Cell]]] = defaultdict(list)
    for at, cell in run.tally.programs:
        if not at.shrunk:  # a shrunk case was made from one that is counted
            groups[at.device, at.dtype, at.mode if per_mode else group_of(at.mode)].append((at, cell))
    cases: Counter[tuple[str, str, str]] = Counter()
    for entries, number in run.tally.cases.by_entries().items():
        rows = {
            (e.device, e.dtype, e.mode if per_mode else group_of(e.mode))
            for e in entries
            if not e.shrunk and e.family != TEXTBOOK
        }
        cases.update(dict.fromkeys(rows, number))
    return tuple(
        _coverage_row(*key, groups[key], cases[key]) for key in sorted(groups, key=lambda key: order(*key))
    )


def _coverage_row(
    device: str, dtype: str, mode: str, found: list[tuple[Place, Cell]], cases: int
) -> CoverageRow:
    tally: Counter[str] = Counter()
    for at, cell in found:
        tally[at.status] += cell.results
    cells = [cell for _, cell in found]
    seen = median(cells)
    ratios = [cell.worst for at, cell in found if at.status == AGREE and cell.worst is not None]
    return CoverageRow(
        device=device,
        dtype=dtype,
        mode=mode,
        cases=cases,
        statuses=tuple(tally[s] for s in STATUSES),
        elements=sum(cell.elements for cell in cells),
        loose=sum(cell.loose for cell in cells),
        blind=sum(cell.blind for cell in cells),
        sensitivity=short(seen, 2),
        worst=short(max(ratios, default=None), 2),
    )


def unjudged(run: Run) -> Unjudged:
    """Results without a verdict by reason, and the devices, dtypes, modes and families without any verdict."""
    found = run.tally.reasons
    results = {key: sum(where.values()) for key, where in found.items()}
    ranked = sorted(found, key=lambda key: (-results[key], key))
    cells = [cell for _, cell in run.tally.programs]
    return Unjudged(
        reasons=tuple(_reason(*key, found[key]) for key in ranked[:_REASONS]),
        more=max(0, len(ranked) - _REASONS),
        absent=tuple(_absent(run)),
        elements=sum(cell.elements for cell in cells),
        loose=sum(cell.loose for cell in cells),
        blind=sum(cell.blind for cell in cells),
    )


def _reason(status: str, reason: str, found: Counter[tuple[str, str, str]]) -> Reason:
    ops: Counter[str] = Counter()
    where: Counter[str] = Counter()
    for (op, dtype, mode), results in found.items():
        ops[op] += results
        where[f"{dtype} {mode}"] += results
    return Reason(status, reason, sum(found.values()), _listed(ops), _listed(where))


def _listed(tally: Counter[str]) -> str:
    ranked = sorted(filter(None, tally), key=lambda n: (-tally[n], n))
    return ", ".join(ranked[:6]) + (f" and {len(ranked) - 6} more" if len(ranked) > 6 else "")


def _absent(run: Run) -> list[tuple[str, str]]:
    """The requested, or existing, devices, dtypes, modes and families that have no verdict, each with its reason."""
    head = run.header
    requested = {"device": head.devices, "dtype": head.dtypes, "mode": head.modes, "family": head.families}
    decided_cells = [at for at in run.tally.cells if at.status in {AGREE, IMPRECISE, DISAGREE}]
    found = {key: {getattr(at, key) for at in run.tally.cells} for key in requested}
    decided = {key: {getattr(at, key) for at in decided_cells} for key in requested}

    def why(key: str, name: str) -> str:
        if key == "device" and head.present.get(name, "").startswith("not "):
            return head.present[name]
        if name in found[key]:
            return "results came, none of them was decided"
        return "asked for, and no result came"

    absent = [
        (f"device {d}", state if state.startswith("not ") else f"{state}; not asked for")
        for d, state in head.present.items()
        if d not in head.devices and d not in found["device"]
    ]
    for key, names in requested.items():
        absent += [(f"{key} {n}", why(key, n)) for n in dict.fromkeys(names) if n not in decided[key]]
    return absent
