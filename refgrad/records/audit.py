"""Counts of planted errors, which measure the power of a run's comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from refgrad.records import fields
from refgrad.records.record import Record, column

# The checks whose power is measured. SINGLE_OPS judges one op at numerically difficult points, where a bound may be wide for a reason, and
# FUNCTIONS one function of many ops by its results alone; no share of errors is required to be caught there. EXACT_CASES are those of
# NODE_BY_NODE and SINGLE_OPS whose bounds are zero: their errors are counted there and here.
NODE_BY_NODE, SINGLE_OPS, FUNCTIONS = "node by node", "single ops", "functions"
END_TO_END, EXACT_CASES = "end to end", "exact cases"


@dataclass(frozen=True, slots=True)
class Audit(Record):
    """How many errors of one kind, planted in gradients of one dtype, one check detected.

    mutation     the kind of error
    planted      errors planted
    equivalent   planted errors that change no result
    caught       errors that the check reported as a disagreement
    check        NODE_BY_NODE, SINGLE_OPS, FUNCTIONS, END_TO_END, EXACT_CASES or another name of a check
    right        correct formulas judged beside the wrong ones, as a control
    refused      correct formulas that did not pass: false alarms
    imprecise    planted errors that the check reported as loss of precision; they do not count as caught
    """

    TYPE: ClassVar[str] = "audit"

    mutation: str = field(metadata=column(fields.text))
    dtype: str = field(metadata=column(fields.text, ""))
    planted: int = field(metadata=column(fields.count))
    equivalent: int = field(metadata=column(fields.count, 0))
    caught: int = field(metadata=column(fields.count))
    check: str = field(default=NODE_BY_NODE, metadata=column(fields.word, NODE_BY_NODE))
    right: int = field(default=0, metadata=column(fields.count, 0))
    refused: int = field(default=0, metadata=column(fields.count, 0))
    imprecise: int = field(default=0, metadata=column(fields.count, 0))

    @property
    def key(self) -> tuple[bool, str, str, str]:
        """The key under which counts are added up. Each item of a run writes counts of its own."""
        return self.check != NODE_BY_NODE, self.check, self.mutation, self.dtype

    def __add__(self, other: Audit) -> Audit:
        return Audit(
            self.mutation,
            self.dtype,
            self.planted + other.planted,
            self.equivalent + other.equivalent,
            self.caught + other.caught,
            self.check,
            self.right + other.right,
            self.refused + other.refused,
            self.imprecise + other.imprecise,
        )

    @property
    def detectable(self) -> int:
        """Planted errors that change a result."""
        return max(0, self.planted - self.equivalent)
