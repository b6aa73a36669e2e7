"""Counts of planted errors: what a run would have caught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record

# The second is an op alone at points chosen to be hard, where a bound may be wide for good reasons: nothing is required there.
NODE_BY_NODE, SINGLE_OPS, END_TO_END = "node by node", "single ops", "end to end"


@dataclass(frozen=True, slots=True)
class Audit(Record):
    """How many of the wrong gradients planted in one dtype by one mutation were caught, and by which check.

    ``right`` counts the right formulas that were put beside wrong ones, ``refused`` those that did not pass: false alarms. ``imprecise``
    counts the planted errors that were taken for lost digits; they are not among the caught.
    """

    TYPE: ClassVar[str] = "audit"

    mutation: str
    dtype: str
    planted: int
    equivalent: int
    caught: int
    check: str = NODE_BY_NODE
    right: int = 0
    refused: int = 0
    imprecise: int = 0

    @property
    def key(self) -> tuple[bool, str, str, str]:
        """What is counted together: every item of a run writes its own counts."""
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
        """Planted errors that change a result at all."""
        return max(0, self.planted - self.equivalent)

    @classmethod
    def read(cls, data: Json) -> Audit:
        """Raise CaseFileError where ``data`` is not an audit."""
        return cls(
            fields.text(data, "mutation"),
            fields.text(data, "dtype", ""),
            fields.count(data, "planted"),
            fields.count(data, "equivalent", 0),
            fields.count(data, "caught"),
            fields.word(data, "check", NODE_BY_NODE),
            fields.count(data, "right", 0),
            fields.count(data, "refused", 0),
            fields.count(data, "imprecise", 0),
        )
