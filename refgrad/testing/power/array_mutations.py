"""Plants errors in the comparisons of check_vjp, check_jvp and gradcheck, and counts those that are caught.

The audit of a suite (audit.py) knows the graph and plants structural errors. A check knows only arrays, so these errors change arrays. They
are planted only while a report is made (``LISTENERS``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.records import Audit
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.verdict import Comparison
from refgrad.tracing.ball import Ball, nearest

CHECKS = "checks"  # the name of these counts in a results file


def _one_element(x: PlainArray) -> PlainArray:
    """The largest finite element, doubled."""
    x = x.copy()
    k = int(np.argmax(np.where(np.isfinite(x), np.abs(x), -1.0)))
    x.ravel()[k] *= 2
    return x


CATALOGUE: dict[str, Callable[[PlainArray], PlainArray]] = {
    "sign": np.negative,
    "factor 2": lambda x: 2 * x,
    "one wrong element": _one_element,
    "roll": lambda x: np.roll(x, 1),
    "transpose": lambda x: x.T.reshape(x.shape),
    "relative 1e-2": lambda x: x * 1.01,
    "relative 1e-3": lambda x: x * 1.001,
    "relative 1e-4": lambda x: x * 1.0001,
}


class MutationCounts:
    """Counts of planted errors by (mutation, dtype): planted, equivalent, caught, imprecise."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], list[int]] = {}

    def plant(self, got: PlainArray, expected: Ball | PlainArray, fmt: Format, found: Comparison) -> None:
        """Plant every mutation in one array that agreed. A mutation that rounds to the same array is equivalent and no error."""
        if found.wrong or found.note or not found.elements:
            return
        with np.errstate(all="ignore"):
            right = np.array(got, float)
            for mutation, change in CATALOGUE.items():
                wrong = np.asarray(nearest(change(right), fmt), float)
                count = self.counts.setdefault((mutation, fmt.name), [0, 0, 0, 0])
                count[0] += 1
                if np.array_equal(wrong, right, equal_nan=True):
                    count[1] += 1
                    continue
                again = compare(wrong, expected, fmt, "", hidden=Hidden())
                count[2] += bool(again.wrong)
                count[3] += bool(again.imprecise and not again.wrong)

    def records(self) -> Iterator[Audit]:
        """The counts as records for a results file."""
        for (mutation, dtype), (planted, equivalent, caught, imprecise) in sorted(self.counts.items()):
            yield Audit(mutation, dtype, planted, equivalent, caught, CHECKS, imprecise=imprecise)


LISTENERS: list[MutationCounts] = []  # the counts to update; empty unless a report is being made


def planted(got: PlainArray, expected: Ball | PlainArray, fmt: Format, found: Comparison) -> Comparison:
    """Plant errors in a comparison for every listener. Returns ``found`` unchanged."""
    for listener in LISTENERS:
        listener.plant(got, expected, fmt, found)
    return found
