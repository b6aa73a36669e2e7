"""The schema of a results file: one record class for each type of line.

A results file is JSON lines. The first line is a ``run`` (Header), the last an ``end`` (End) unless the run was interrupted. TYPES lists
all types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from refgrad.records.audit import Audit
from refgrad.records.case import CaseOutline, CaseRecord
from refgrad.records.element import Element
from refgrad.records.fields import Json
from refgrad.records.header import SCHEMA, Header
from refgrad.records.lifecycle import Crash, End, Expected, FinishedItem, News, Plan, Running, Torn
from refgrad.records.observed import Numbers, Observed
from refgrad.records.record import Record, encoded, strict
from refgrad.records.result import TEXTBOOK, Result, severity
from refgrad.records.rounding import Rounding
from refgrad.records.statuses import (
    AGREE,
    DISAGREE,
    ERROR,
    FAILURES,
    IMPRECISE,
    KNOWN,
    STATUSES,
    UNDECIDED,
    UNSUPPORTED,
)
from refgrad.records.textbook_items import Measured, PrintedNumber, TextbookItem, TextTable

# By type of line, its reader. A reader raises CaseFileError naming the field that does not fit the schema.
TYPES: Mapping[str, Callable[[Json], Record]] = {
    kind.TYPE: kind.read
    for kind in (
        Header, Plan, CaseRecord, Result, TextbookItem, Measured, Audit, FinishedItem, Crash, Running, Expected, News, Torn, End,
    )
}  # fmt: skip

__all__ = [
    "AGREE", "DISAGREE", "ERROR", "FAILURES", "IMPRECISE", "KNOWN", "SCHEMA", "STATUSES", "TEXTBOOK", "TYPES", "UNDECIDED", "UNSUPPORTED",
    "Audit", "CaseOutline", "CaseRecord",
    "Crash", "Element", "End", "Expected", "FinishedItem", "Header", "Json", "Measured", "News", "Numbers",
    "Observed", "Plan", "PrintedNumber", "Record", "Result", "Rounding", "Running", "TextTable", "TextbookItem", "Torn",
    "encoded", "severity", "strict",
]  # fmt: skip
