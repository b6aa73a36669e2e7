"""Disagreements that a test asked for: recorded the moment they are found, taken back once the test has passed.

So a disagreement is never lost with a process that dies before its test comes to an end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from refgrad.records import DISAGREE, KNOWN, Expected, Result


def taken_back(results: Iterable[Result], expected: Iterable[Expected]) -> list[Result]:
    """The results, with the disagreements that were expected as known ones."""
    names = {name: e.known for e in expected for name in e.ids}
    return [
        replace(r, status=KNOWN, known=names[r.id]) if r.status == DISAGREE and r.id in names else r
        for r in results
    ]
