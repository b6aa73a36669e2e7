"""The base class of records: one line of a results file, written and read by one declaration of its fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from refgrad.encode import number
from refgrad.errors import CaseFileError
from refgrad.records.fields import Json


@dataclass(frozen=True, slots=True)
class Column:
    """How a field of a record is read from its line and written to it.

    read           called with the line, the field's key and ``limits``; raises CaseFileError where the value cannot be read
    write          makes plain data of the field's value; None: the value is plain data already
    omit_default   whether a line leaves the field out where it has its default
    """

    read: Callable[..., object]
    limits: tuple[object, ...]
    write: Callable[[Any], object] | None
    omit_default: bool


def column(
    read: Callable[..., object],
    *limits: object,
    write: Callable[[Any], object] | None = None,
    omit_default: bool = False,
) -> dict[str, Column]:
    """The ``metadata`` of a dataclass field that stands in a line under its own name.

    ``read`` is called with the line, the name and ``limits``: see records/fields.py. Without ``write`` the value is written as it is.
    """
    return {"column": Column(read, limits, write, omit_default)}


def _columns(kind: type[Record]) -> tuple[tuple[str, Column, object], ...]:
    """The columns of a type of line with the name and the default of their field, collected once."""
    if kind not in _COLUMNS:
        _COLUMNS[kind] = tuple(
            (f.name, f.metadata["column"], f.default) for f in dataclasses.fields(kind) if f.metadata
        )
    return _COLUMNS[kind]


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a results file. Each type of line is a subclass that declares every field of its line with ``column``."""

    TYPE: ClassVar[str]  # the value of "type" in the line

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data: its type, then its fields in the order of their declaration. Floats may be non-finite."""
        line: dict[str, Any] = {"type": self.TYPE}
        for name, col, default in _columns(type(self)):
            value = getattr(self, name)
            if not col.omit_default or value != default:
                line[name] = col.write(value) if col.write else value
        return line

    @classmethod
    def read(cls, data: Json) -> Self:
        """The record that a line holds. Raises CaseFileError naming the first field that cannot be read."""
        return cls(**read_columns(cls, data))


_COLUMNS: dict[type[Record], tuple[tuple[str, Column, object], ...]] = {}
_REQUIRED = object()  # the default of a field that has none, or whose line may not leave it out
Reader = tuple[str, Callable[..., object], tuple[object, ...], object]  # field, reader, limits, default
_READERS: dict[type[Record], tuple[Reader, ...]] = {}


def _readers(kind: type[Record]) -> tuple[Reader, ...]:
    """The readers of a type of line, collected once."""
    if kind not in _READERS:
        _READERS[kind] = tuple(
            (
                name,
                col.read,
                col.limits,
                default if _may_be_left_out(name, col, default) else _REQUIRED,
            )
            for name, col, default in _columns(kind)
        )
    return _READERS[kind]


def _may_be_left_out(name: str, col: Column, default: object) -> bool:
    """Whether a line without this field, and one with its default, are read as the default."""
    if default is dataclasses.MISSING:
        return False
    lines: tuple[Json, ...] = ({},) if isinstance(default, tuple) else ({}, {name: default})
    try:
        return all(col.read(line, name, *col.limits) is default for line in lines)
    except CaseFileError:
        return False


def read_columns(kind: type[Record], data: Json) -> dict[str, Any]:
    """The fields that a line of this kind declares, by name. Fields with their default value may be missing.

    Raises CaseFileError naming the first one that cannot be read.
    """
    # Most fields of most lines have their default. JSON makes one object of each "", 0, null and false, so identity finds them.
    return {
        name: read(data, name, *limits)
        for name, read, limits, default in _readers(kind)
        if data.get(name, default) is not default or default is _REQUIRED
    }


def encoded(record: Record) -> bytes:
    """A record as a line of a results file, with the newline."""
    data = record.to_dict()
    try:
        text = _STRICT.encode(data)
    except (TypeError, ValueError):  # a number that is not finite, or a mapping or a key of another kind
        text = _STRICT.encode(strict(data))
    return (text + "\n").encode()


_STRICT = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def strict(x: Any) -> Any:
    """Plain data as strict JSON holds it: non-finite floats become strings, tuples become lists."""
    if isinstance(x, float):
        return number(x)
    if isinstance(x, Mapping):
        return {str(k): strict(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [strict(v) for v in x]
    return x
