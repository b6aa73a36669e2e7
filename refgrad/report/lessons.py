"""The items of the textbook as a results file holds them: what each says and prints, and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from refgrad.report import fields
from refgrad.report.fields import Json


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
class Measured:
    """A time, a size in memory or the like, under the id of an item: it is another one in every run."""

    id: str
    what: str
    found: str

    @classmethod
    def read(cls, data: Json) -> Measured:
        """Raise CaseFileError where ``data`` is no measurement."""
        return cls(fields.text(data, "id"), fields.text(data, "what"), fields.text(data, "found"))


@dataclass(frozen=True, slots=True)
class Lesson:
    """An item of the textbook: what it says. What it came to are the results under its id."""

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
