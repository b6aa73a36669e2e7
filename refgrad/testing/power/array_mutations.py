"""Errors planted in the comparisons of single checks: what check_vjp, check_jvp and gradcheck would have caught.

A suite's audit (audit.py) knows the graph and plants errors of its structure. A check knows arrays alone, so these are errors
of arrays. They are planted where a listener asks for it, and nowhere else.
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

CHECKS = "checks"  # under this name the counts stand in a results file


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
    """Counts by (mutation, dtype): planted, equivalent, caught, imprecise."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], list[int]] = {}

    def plant(self, got: PlainArray, expected: Ball | PlainArray, fmt: Format, found: Comparison) -> None:
        """Plant every kind in one array that was found right. What rounds to the same array is no error."""
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
        """The counts as records of a results file."""
        for (mutation, dtype), (planted, equivalent, caught, imprecise) in sorted(self.counts.items()):
            yield Audit(mutation, dtype, planted, equivalent, caught, CHECKS, imprecise=imprecise)


LISTENERS: list[MutationCounts] = []  # who listens; empty unless a report is being made


def planted(got: PlainArray, expected: Ball | PlainArray, fmt: Format, found: Comparison) -> Comparison:
    """The comparison as it is, after errors were planted in it where somebody asked for it."""
    for listener in LISTENERS:
        listener.plant(got, expected, fmt, found)
    return found
