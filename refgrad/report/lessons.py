"""The items of the textbook as a results file holds them: what each says, prints and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from refgrad.report.records import Json, _count, _list, _text, _texts, _wrong


@dataclass(frozen=True, slots=True)
class Print:
    """Numbers as a lecture prints them, beside those that come out."""

    what: str
    printed: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of something measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


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

    @classmethod
    def read(cls, data: Json) -> Lesson:
        """Raise CaseFileError where ``data`` is not an item."""
        prints = tuple(
            Print(_text(p, "what"), _text(p, "printed"), _text(p, "found"), p.get("holds") is True)
            for p in _objects(data, "printed")
        )
        sheets = tuple(
            Sheet(
                _text(t, "title"),
                _texts(t, "columns"),
                tuple(tuple(map(str, row)) for row in _lists(t, "rows")),
            )
            for t in _objects(data, "tables")
        )
        return cls(
            _text(data, "id"), _text(data, "deck", ""), _text(data, "title", ""), _text(data, "text", ""), _texts(data, "flags"),
            prints, sheets, _count(data, "place", 0),
        )  # fmt: skip


def _objects(data: Json, key: str) -> list[Json]:
    found = _list(data, key)
    if not all(isinstance(v, dict) for v in found):
        raise _wrong(key, found, "a list of objects")
    return found


def _lists(data: Json, key: str) -> list[list[Any]]:
    found = _list(data, key)
    if not all(isinstance(v, list) for v in found):
        raise _wrong(key, found, "a list of lists")
    return found
