"""The textbook's items in a results file: what each shows and prints, and what was measured in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record, column


@dataclass(frozen=True, slots=True)
class PrintedNumber:
    """Numbers as a lecture prints them, beside the computed ones.

    what      what the numbers are
    printed   as the lecture prints them
    found     as computed
    holds     whether they agree to the printed digits
    """

    what: str
    printed: str
    found: str
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"what": self.what, "printed": self.printed, "found": self.found, "holds": self.holds}

    @classmethod
    def read(cls, data: Json) -> PrintedNumber:
        """The printed number that ``data`` holds. Raises CaseFileError where it holds none."""
        what, printed, found = (fields.text(data, key) for key in ("what", "printed", "found"))
        return cls(what, printed, found, data.get("holds") is True)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts that are the same in every run."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"title": self.title, "columns": self.columns, "rows": self.rows}

    @classmethod
    def read(cls, data: Json) -> TextTable:
        """The table that ``data`` holds. Raises CaseFileError where it holds none."""
        rows = tuple(tuple(map(str, row)) for row in fields.arrays(data, "rows"))
        return cls(fields.text(data, "title"), fields.texts(data, "columns"), rows)


@dataclass(frozen=True, slots=True, order=True)
class Measured(Record):
    """A measurement of an item, such as a time or a size in memory. It differs from run to run, and nothing is judged by it."""

    TYPE: ClassVar[str] = "measured"

    id: str = field(metadata=column(fields.text))
    what: str = field(metadata=column(fields.text))
    found: str = field(metadata=column(fields.text))


def _read_printed(data: Json, key: str) -> tuple[PrintedNumber, ...]:
    return tuple(map(PrintedNumber.read, fields.objects(data, key)))


def _read_tables(data: Json, key: str) -> tuple[TextTable, ...]:
    return tuple(map(TextTable.read, fields.objects(data, key)))


def _write_all(parts: tuple[PrintedNumber | TextTable, ...]) -> list[dict[str, Any]]:
    return [part.to_dict() for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextbookItem(Record):
    """An item of the textbook. Its verdicts are the results under its id.

    place     its position in the order of the lectures
    deck      the lecture
    flags     remarks that a reader needs although everything agrees, such as a misprint
    figure    the item's graph as plain data, with inputs and the incoming gradient; empty where it has none
    printed   the numbers that the lecture prints
    tables    tables to show
    """

    TYPE: ClassVar[str] = "textbook"

    place: int = field(default=0, metadata=column(fields.count, 0))
    id: str = field(metadata=column(fields.text))
    deck: str = field(metadata=column(fields.text, ""))
    title: str = field(metadata=column(fields.text, ""))
    text: str = field(metadata=column(fields.text, ""))
    flags: tuple[str, ...] = field(default=(), metadata=column(fields.texts))
    figure: Json = field(default_factory=dict, metadata=column(fields.obj))
    printed: tuple[PrintedNumber, ...] = field(default=(), metadata=column(_read_printed, write=_write_all))
    tables: tuple[TextTable, ...] = field(default=(), metadata=column(_read_tables, write=_write_all))
