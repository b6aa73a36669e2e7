"""Disagreements that a test asked for: recorded the moment they are found, taken back once the test has passed.

So a disagreement is never lost with a process that dies before its test comes to an end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from refgrad.report import fields
from refgrad.report.fields import Json
from refgrad.report.records import DISAGREE, KNOWN, Result


@dataclass(frozen=True, slots=True)
class Expected:
    """The checks whose disagreements a test wanted to see."""

    ids: tuple[str, ...]
    known: str  # what the disagreements are to be known as

    @classmethod
    def read(cls, data: Json) -> Expected:
        """Raise CaseFileError where ``data`` names no checks."""
        known = fields.word(data, "known")
        if not known:
            raise fields.wrong("known", known, "a name")
        return cls(fields.texts(data, "ids"), known)


def taken_back(results: Iterable[Result], expected: Iterable[Expected]) -> list[Result]:
    """The results, with the disagreements that were expected as known ones."""
    names = {name: e.known for e in expected for name in e.ids}
    return [
        replace(r, status=KNOWN, known=names[r.id]) if r.status == DISAGREE and r.id in names else r
        for r in results
    ]
