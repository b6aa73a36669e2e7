"""The items of the textbook as a results file holds them: what each says and prints, and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record


@dataclass(frozen=True, slots=True)
class Print:
    """Numbers as a lecture prints them, beside those that come out."""

    what: str
    printed: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of numbers that are the same in every run."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, order=True)
class Measured(Record):
    """A time, a size in memory or the like, under the id of an item: it is another one in every run."""

    TYPE: ClassVar[str] = "measured"

    id: str
    what: str
    found: str

    @classmethod
    def read(cls, data: Json) -> Measured:
        """Raise CaseFileError where ``data`` is no measurement."""
        return cls(fields.text(data, "id"), fields.text(data, "what"), fields.text(data, "found"))


@dataclass(frozen=True, slots=True)
class Lesson(Record):
    """An item of the textbook: what it says. What it came to are the results under its id."""

    TYPE: ClassVar[str] = "textbook"

    id: str
    deck: str
    title: str
    text: str
    flags: tuple[
        str, ...
    ] = ()  # what a reader must know although everything agrees: a misprint, a failing example
    prints: tuple[Print, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    place: int = 0  # in the order of the lectures
    figure: Json = field(
        default_factory=dict
    )  # its graph, with inputs and the gradient that arrives from above

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data."""
        return {
            "type": self.TYPE, "place": self.place, "id": self.id, "deck": self.deck, "title": self.title, "text": self.text,
            "flags": self.flags, "figure": self.figure,
            "printed": [{"what": p.what, "printed": p.printed, "found": p.found, "holds": p.holds} for p in self.prints],
            "tables": [{"title": t.title, "columns": t.columns, "rows": t.rows} for t in self.sheets],
        }  # fmt: skip

    @classmethod
    def read(cls, data: Json) -> Lesson:
        """Raise CaseFileError where ``data`` is not an item."""
        prints = tuple(
            Print(
                fields.text(p, "what"),
                fields.text(p, "printed"),
                fields.text(p, "found"),
                p.get("holds") is True,
            )
            for p in fields.objects(data, "printed")
        )
        sheets = tuple(
            Sheet(
                fields.text(t, "title"),
                fields.texts(t, "columns"),
                tuple(tuple(map(str, row)) for row in fields.arrays(t, "rows")),
            )
            for t in fields.objects(data, "tables")
        )
        return cls(
            fields.text(data, "id"),
            fields.text(data, "deck", ""),
            fields.text(data, "title", ""),
            fields.text(data, "text", ""),
            fields.texts(data, "flags"),
            prints,
            sheets,
            fields.count(data, "place", 0),
            fields.obj(data, "figure"),
        )
