"""The outcome of an item as lines of a results file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from refgrad.records import TEXTBOOK, Audit, Measured, Record, TextbookItem
from refgrad.testing.runs.results import result_of

from .outcome import Outcome
from .record import Item, figure

AGAIN = "refgrad conformance --family textbook"  # the command that judges an item again


def result_lines(item: Item, outcome: Outcome, place: int = 0) -> Iterator[Record]:
    """The records of one item; ``place`` is the item's in the order of the lectures."""
    for dtype, device, v in outcome.verdicts():
        yield replace(result_of(item.id, TEXTBOOK, dtype, device, v), ops={}, again=AGAIN)
    yield TextbookItem(
        place=place,
        id=item.id,
        deck=item.deck,
        title=item.title,
        text=item.text,
        flags=tuple(outcome.flags),
        figure=figure(item.graph()),
        printed=tuple(outcome.printed),
        tables=tuple(outcome.tables),
    )
    for what, found in outcome.measured:
        yield Measured(item.id, what, found)
    for (mutation, dtype), (planted, equivalent, caught) in sorted(outcome.planted.items()):
        yield Audit(mutation, dtype, planted, equivalent, caught, TEXTBOOK)
