"""How a run went: what it planned, what came to its end, what it died over, what there is to tell, and its own end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record


@dataclass(frozen=True, slots=True)
class Plan(Record):
    """The items that are to run."""

    TYPE: ClassVar[str] = "plan"

    items: tuple[str, ...]

    @classmethod
    def read(cls, data: Json) -> Plan:
        """Raise CaseFileError where ``data`` is no plan."""
        return cls(fields.texts(data, "items"))


@dataclass(frozen=True, slots=True, order=True)
class FinishedItem(Record):
    """A test item that has come to its end, and of a block of generated cases what became of them.

    drawn      cases drawn, those included that were drawn before
    judged     different cases with a verdict
    shrunk     faults (an op in a mode) of which the smallest case was looked for
    unjudged   cases that were asked for and have no verdict
    unshrunk   faults for which no time was left; the cases that show them are recorded as they were drawn
    why        why cases were not judged and faults not shrunk
    """

    TYPE: ClassVar[str] = "item"

    item: str
    seconds: float = 0.0
    drawn: int = 0
    judged: int = 0
    shrunk: int = 0
    unjudged: int = 0
    unshrunk: int = 0
    why: str = ""

    @classmethod
    def read(cls, data: Json) -> FinishedItem:
        """Raise CaseFileError where ``data`` names no item."""
        return cls(
            fields.text(data, "item"),
            fields.number(data, "seconds", 0.0),
            fields.count(data, "drawn", 0),
            fields.count(data, "judged", 0),
            fields.count(data, "shrunk", 0),
            fields.count(data, "unjudged", 0),
            fields.count(data, "unshrunk", 0),
            fields.text(data, "why", ""),
        )


@dataclass(frozen=True, slots=True)
class Crash(Record):
    """A test item that died or failed outside a verdict."""

    TYPE: ClassVar[str] = "crash"

    worker: str
    item: str
    reason: str

    @classmethod
    def read(cls, data: Json) -> Crash:
        """Raise CaseFileError where ``data`` is not a crash."""
        return cls(
            fields.text(data, "worker", ""), fields.text(data, "item", ""), fields.text(data, "reason", "")
        )


@dataclass(frozen=True, slots=True)
class Running(Record):
    """A case that was being judged when the run was cut short."""

    TYPE: ClassVar[str] = "running"

    worker: str
    item: str
    id: str
    case: Json

    @classmethod
    def read(cls, data: Json) -> Running:
        """Raise CaseFileError where ``data`` is no such case."""
        return cls(
            fields.text(data, "worker", ""),
            fields.text(data, "item", ""),
            fields.text(data, "id"),
            fields.obj(data, "case"),
        )


@dataclass(frozen=True, slots=True)
class Expected(Record):
    """The checks whose disagreements a test wanted to see: recorded the moment they are found, taken back once the test has passed."""

    TYPE: ClassVar[str] = "expected"

    ids: tuple[str, ...]
    known: str  # what the disagreements are to be known as

    @classmethod
    def read(cls, data: Json) -> Expected:
        """Raise CaseFileError where ``data`` names no checks."""
        known = fields.word(data, "known")
        if not known:
            raise fields.wrong("known", known, "a name")
        return cls(fields.texts(data, "ids"), known)


@dataclass(frozen=True, slots=True, order=True)
class News(Record):
    """Something that has changed in the framework since it was recorded. It is shown and fails nothing.

    ``kind`` says what has changed: a recorded deviation is "mended", "mended (recorded)" where that is known, or "still there" in one that
    nobody has recorded; "support" for a derivative is new. ``name`` is the deviation's id, or what is supported.
    """

    TYPE: ClassVar[str] = "news"

    kind: str
    name: str
    text: str

    @classmethod
    def read(cls, data: Json) -> News:
        """Raise CaseFileError where ``data`` is no news."""
        return cls(fields.word(data, "kind"), fields.text(data, "name"), fields.text(data, "text", ""))


@dataclass(frozen=True, slots=True)
class Torn(Record):
    """Half a line that a killed process left behind, so that its file does not pass for a whole one when it is written again."""

    TYPE: ClassVar[str] = "torn"

    @classmethod
    def read(cls, _data: Json) -> Torn:
        """There is nothing to read."""
        return cls()


@dataclass(frozen=True, slots=True)
class End(Record):
    """The line a run ends with, when it was allowed to end."""

    TYPE: ClassVar[str] = "end"

    exit: int
    finished: str
    seconds: float

    @classmethod
    def read(cls, data: Json) -> End:
        """Raise CaseFileError where ``data`` is not an end."""
        return cls(
            fields.count(data, "exit"),
            fields.text(data, "finished", ""),
            fields.number(data, "seconds", math.nan),
        )
