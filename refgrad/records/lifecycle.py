"""The life cycle of a run: its plan, its finished items, crashes, interrupted cases, news, and its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record, column


@dataclass(frozen=True, slots=True)
class Plan(Record):
    """The ids of the test items that a run intends to execute."""

    TYPE: ClassVar[str] = "plan"

    items: tuple[str, ...] = field(metadata=column(fields.texts))


@dataclass(frozen=True, slots=True, order=True)
class FinishedItem(Record):
    """A test item that ran to its end. An item that judges a block of generated cases counts them.

    item       the id of the test item
    seconds    its duration
    drawn      cases drawn, repeated draws of one case included
    judged     distinct cases with a verdict
    shrunk     faults (an op in a mode) whose failing case was shrunk
    unjudged   cases that were due and have no verdict
    unshrunk   faults that no time was left to shrink; their cases are recorded as drawn
    why        the reason for unjudged cases and unshrunk faults
    """

    TYPE: ClassVar[str] = "item"

    item: str = field(metadata=column(fields.text))
    seconds: float = field(default=0.0, metadata=column(fields.number, 0.0))
    drawn: int = field(default=0, metadata=column(fields.count, 0))
    judged: int = field(default=0, metadata=column(fields.count, 0))
    shrunk: int = field(default=0, metadata=column(fields.count, 0))
    unjudged: int = field(default=0, metadata=column(fields.count, 0))
    unshrunk: int = field(default=0, metadata=column(fields.count, 0))
    why: str = field(default="", metadata=column(fields.text, ""))


@dataclass(frozen=True, slots=True)
class Crash(Record):
    """A test item that died, or that failed without a verdict."""

    TYPE: ClassVar[str] = "crash"

    worker: str = field(metadata=column(fields.text, ""))
    item: str = field(metadata=column(fields.text, ""))
    reason: str = field(metadata=column(fields.text, ""))


@dataclass(frozen=True, slots=True)
class Running(Record):
    """A case whose judgement was in progress when the run was interrupted."""

    TYPE: ClassVar[str] = "running"

    worker: str = field(metadata=column(fields.text, ""))
    item: str = field(metadata=column(fields.text, ""))
    id: str = field(metadata=column(fields.text))
    case: Json = field(metadata=column(fields.obj))


def _name(data: Json, key: str) -> str:
    """A text that is not empty."""
    found = fields.word(data, key)
    if not found:
        raise fields.wrong(key, found, "a name")
    return found


@dataclass(frozen=True, slots=True)
class Expected(Record):
    """The checks whose disagreements a test expected, written once that test has passed.

    Their disagreements, recorded before, then count as known.

    ids     the ids of the checks
    known   the name of the deviation that they are known as
    """

    TYPE: ClassVar[str] = "expected"

    ids: tuple[str, ...] = field(metadata=column(fields.texts))
    known: str = field(metadata=column(_name))


@dataclass(frozen=True, slots=True, order=True)
class News(Record):
    """A behaviour of the framework that differs from what is recorded about it. It never fails a run.

    kind   what differs. Of a recorded deviation: "mended", "mended (recorded)" where the record knows that release, or "still there"
           in a release that the record does not name. "support": a derivative has become available.
    name   the id of the deviation, or what is supported
    text   the change in words
    """

    TYPE: ClassVar[str] = "news"

    kind: str = field(metadata=column(fields.word))
    name: str = field(metadata=column(fields.text))
    text: str = field(metadata=column(fields.text, ""))


@dataclass(frozen=True, slots=True)
class Torn(Record):
    """A marker for an incomplete line, left by a killed process. A file that is rewritten keeps it, and so stays recognizably partial."""

    TYPE: ClassVar[str] = "torn"


@dataclass(frozen=True, slots=True)
class End(Record):
    """The last line of a run that was not interrupted."""

    TYPE: ClassVar[str] = "end"

    exit: int = field(metadata=column(fields.count))
    finished: str = field(metadata=column(fields.text, ""))
    seconds: float = field(metadata=column(fields.number, math.nan))
