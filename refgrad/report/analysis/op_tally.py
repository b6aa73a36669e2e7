"""Counts by op: compared elements and the largest error, by device, dtype and group of modes."""

from __future__ import annotations

from dataclasses import dataclass

from refgrad.records import IMPRECISE, KNOWN, Result, severity
from refgrad.report.analysis.mode_groups import group_of

Column = tuple[str, str, str]  # device, dtype, group of modes


@dataclass(slots=True)
class OpErrors:
    """The errors of one op in one column.

    elements    compared elements
    worst       the largest ratio of error to bound, without errors beyond their bounds that are known or that rounding explains
    explained   whether rounding explains an error beyond its bound
    """

    elements: int = 0
    worst: float = 0.0
    explained: bool = False


class OpTally:
    """The errors by column and op."""

    def __init__(self) -> None:
        self.columns: dict[Column, dict[str, OpErrors]] = {}

    def at(self, column: Column, op: str) -> OpErrors:
        """The errors of one op in one column, to add to."""
        ops = self.columns.get(column)
        if ops is None:
            ops = self.columns[column] = {}
        errors = ops.get(op)
        if errors is None:
            errors = ops[op] = OpErrors()
        return errors

    def add(self, r: Result, cleared: frozenset[str] = frozenset()) -> None:
        """Count the ops of one result. Errors of ``cleared`` ops are consequences of another op's error, and do not count."""
        column = (r.device, r.dtype, group_of(r.mode))
        for op, (_, compared, ratio) in r.ops.items():
            errors = self.at(column, op)
            errors.elements += compared
            if ratio <= 1 or (r.status not in (KNOWN, IMPRECISE) and op not in cleared):
                errors.worst = max(errors.worst, severity(ratio))
            elif r.status == IMPRECISE:
                errors.explained = True

    def update(self, other: OpTally) -> None:
        """Add the counts of another tally."""
        for column, ops in other.columns.items():
            for op, found in ops.items():
                errors = self.at(column, op)
                errors.elements += found.elements
                errors.worst = max(errors.worst, found.worst)
                errors.explained |= found.explained
