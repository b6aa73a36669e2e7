"""What an item came to: verdicts by way and format, printed numbers, tables, flags, measurements. As lines: result_lines.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.records import PrintedNumber, TextTable
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import AGREE, Comparison, Verdict
from refgrad.tracing.ball import Ball, parts

from .large import Limits

Array: TypeAlias = Any
FORWARD, REVERSE, CLOSED, TORCH = "reference forward", "reference reverse", "closed form", "torch"
OTHER, PRINTED, STATED = "other ways", "printed", "statements"
MODES = (FORWARD, REVERSE, CLOSED, TORCH, OTHER, PRINTED, STATED)
SHOWN = 12  # entries of a printed array that a report writes out


@dataclass
class Outcome:
    """Gathers what the checks of one item found."""

    item: str  # its id
    full: bool = False  # whether long items judge every step and block, as in nightly runs
    tallies: dict[tuple[str, str, str], Tally] = field(default_factory=dict)
    printed: list[PrintedNumber] = field(default_factory=list)
    tables: list[TextTable] = field(default_factory=list)
    measured: list[tuple[str, str]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    planted: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))

    def add(self, mode: str, c: Comparison, dtype: str = "float64", device: str = "cpu") -> None:
        """Count one comparison towards the verdict on a way in a format."""
        tally = self.tallies.setdefault((mode, dtype, device), Tally(mode, dtype, device))
        tally.add(-1, self.item, c)

    def same(self, mode: str, what: str, got: Any, expected: Any, dtype: str = "float64") -> None:
        """Compare numbers with a Ball (or with exact ones)."""
        self.add(mode, compare(np.asarray(got), expected, FORMATS[dtype], what), dtype)

    def brief(self, mode: str, what: str, got: Any, limits: Limits) -> None:
        """The same for one of many large arrays."""
        self.add(mode, limits.compare(got, what), limits.fmt.name)

    def within(self, mode: str, what: str, got: Any, expected: Any, own: Any, dtype: str = "float64") -> None:
        """Compare what one program came to with the Ball of another: each may be off by its own rounding."""
        value, radius = parts(expected)
        self.same(mode, what, got, Ball(value, radius + parts(own)[1], FORMATS[dtype]), dtype)

    def state(self, holds: bool, what: str, dtype: str = "float64") -> None:
        """Count a statement that is no comparison of numbers; where it does not hold, ``what`` says so."""
        self.add(STATED, Comparison(elements=1) if holds else Comparison(note=what), dtype)

    def prints(
        self, what: str, numbers: Any, found: Any, *, digits: int | None = None, misprints: int = 0, dtype: str = "float64"
    ) -> None:  # fmt: skip
        """Compare numbers that the lecture prints with those found (a Ball or an exact array).

        digits     how many the lecture prints after the point: right is what rounds to them. None: it prints all
        misprints  how many entries of the lecture's are known to be wrong: then exactly so many have to be
        """
        value, radius = parts(found)
        half = 0.0 if digits is None else 0.5 * 10.0**-digits
        fmt = FORMATS[dtype]
        c = compare(np.asarray(numbers, float), Ball(value, radius + half, fmt), fmt, f"printed {what}")
        self.printed.append(PrintedNumber(what, shown(numbers), shown(value), not c.wrong))
        if misprints:
            wrong = f"{what}: {misprints} entries are known to be misprinted, {len(c.wrong)} are wrong"
            self.state(len(c.wrong) == misprints, wrong, dtype)
            self.flags.append(f"misprint: {what}, {misprints} of {np.size(numbers)} entries")
        else:
            self.add(PRINTED, c, dtype)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Keep a table for the report. What differs from run to run does not belong there: see ``measure``."""
        self.tables.append(TextTable(title, tuple(columns), tuple(tuple(map(str, row)) for row in rows)))

    def measure(self, what: str, found: str) -> None:
        """Keep a time, a size in memory or the like. It is shown, but no verdict and no comparison of runs takes notice of it."""
        self.measured.append((what, found))

    def verdicts(self) -> list[tuple[str, str, Verdict]]:
        """(dtype, device, verdict) of every way that was judged."""
        return [(dtype, device, tally.verdict()) for (_, dtype, device), tally in self.tallies.items()]

    def failures(self) -> tuple[list[str], list[str]]:
        """A sentence for each verdict of disagreement, and for each that leaves something open: of an item all is decided."""
        wrong, left = [], []
        for (mode, dtype, device), tally in self.tallies.items():
            v = tally.verdict()
            where = f"{mode}, {dtype} on {device}"
            if v.failed:
                wrong.append(v.message)
            elif v.status != AGREE:
                left.append(f"{where}: {v.status}, {v.reason}")
            elif v.skipped:
                left.append(f"{where}: {v.skipped} elements could not be compared")
        return wrong, left


def shown(x: Any) -> str:
    """Numbers as a reader wants them: all of a small array, the first of a large one."""
    a = np.asarray(x, float)
    if a.size > SHOWN:
        return f"{'×'.join(map(str, a.shape))}: {', '.join(map(shown, a.ravel()[:3]))}, …"
    if a.ndim == 0:
        return repr(float(a)).removesuffix(".0")
    return "[" + ", ".join(shown(row) for row in a) + "]"
