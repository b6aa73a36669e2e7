"""Loss of precision: results with fewer correct digits than their dtype allows, where rounding explains the error.

They are reported apart from failures, because no formula is wrong.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from refgrad.records import IMPRECISE, Result, severity
from refgrad.report.analysis.blame import Blame
from refgrad.report.analysis.matrix import mode_rank
from refgrad.report.analysis.mode_groups import order
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import short


@dataclass(frozen=True, slots=True)
class Imprecise:
    """The imprecise results of one op, mode, dtype and device, the worst first."""

    op: str
    mode: str
    dtype: str
    device: str
    results: tuple[Result, ...]

    @property
    def cases(self) -> int:
        """Number of distinct cases."""
        return len({r.id for r in self.results})

    @property
    def worst(self) -> float:
        """The largest ratio of error to bound; 0 where none is recorded."""
        return max((severity(r.worst.ratio) for r in self.results if r.worst is not None), default=0.0)

    @property
    def digits(self) -> float | None:
        """Correct decimal digits of the worst element; None where none are recorded."""
        return min((r.digits for r in self.results if r.digits is not None), default=None)

    @property
    def digits_text(self) -> str:
        """The digits as text. Infinitely many are said as none: no imprecise number has them."""
        digits = self.digits
        return short(None if digits is None or math.isinf(digits) else math.floor(10 * digits) / 10)


def imprecise(run: Run) -> tuple[Imprecise, ...]:
    """The imprecise results by op, mode, dtype and device; ops with the fewest correct digits first."""
    found = [r for r in run.results if r.status == IMPRECISE and not r.shrunk]
    if not found:
        return ()
    blame = Blame(run.results)
    groups: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    for r in found:
        groups[blame.op(r), r.mode, r.dtype, r.device].append(r)
    rows = [Imprecise(*key, tuple(sorted(rs, key=_worst_first))) for key, rs in groups.items()]
    least = {
        op: min(_digits_or_infinity(row) for row in rows if row.op == op) for op in {row.op for row in rows}
    }
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                least[row.op],
                row.op,
                mode_rank(row.mode),
                order(row.device, row.dtype, row.mode),
            ),
        )
    )


def sentence(rows: tuple[Imprecise, ...]) -> str:
    """The imprecise results in one line, the op with the fewest correct digits first: "12 results of tanh (2.1 digits left), exp"."""
    results = sum(len(row.results) for row in rows)
    named = []
    for op in dict.fromkeys(row.op for row in rows):
        fewest = min((row for row in rows if row.op == op), key=_digits_or_infinity)
        named.append(
            (op or "no op") + (f" ({fewest.digits_text} digits left)" if fewest.digits is not None else "")
        )
    return f"{results} result{'' if results == 1 else 's'} of {', '.join(named)}"


def _digits_or_infinity(row: Imprecise) -> float:
    return math.inf if row.digits is None else row.digits


def _worst_first(r: Result) -> tuple[object, ...]:
    return (math.inf if r.digits is None else r.digits, *r.size_key, r.order)
