"""Disagreements that a passing test expected. They become known ones when a file is loaded.

A disagreement is written at once and the expectation only after its test has passed, so a process that dies in between loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from refgrad.records import DISAGREE, KNOWN, Expected, Result


def apply_expected(results: Iterable[Result], expected: Iterable[Expected]) -> list[Result]:
    """The results, in which every expected disagreement has status KNOWN."""
    names = {name: e.known for e in expected for name in e.ids}
    return [
        replace(r, status=KNOWN, known=names[r.id]) if r.status == DISAGREE and r.id in names else r
        for r in results
    ]
