"""How a run went, as typed records: what it planned, what came to its end, what it died over, and its own end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refgrad.report import fields
from refgrad.report.fields import Json


@dataclass(frozen=True, slots=True)
class Crash:
    """A test item that died or failed outside a verdict."""

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
class Running:
    """A case that was being judged when the run was cut short."""

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
class Plan:
    """The items that are to run."""

    items: tuple[str, ...]

    @classmethod
    def read(cls, data: Json) -> Plan:
        """Raise CaseFileError where ``data`` is no plan."""
        return cls(fields.texts(data, "items"))


@dataclass(frozen=True, slots=True)
class Finished:
    """An item that has come to its end."""

    item: str

    @classmethod
    def read(cls, data: Json) -> Finished:
        """Raise CaseFileError where ``data`` names no item."""
        return cls(fields.text(data, "item"))


@dataclass(frozen=True, slots=True)
class End:
    """The line a run ends with, when it was allowed to end."""

    exit: int
    finished: str
    seconds: float

    @classmethod
    def read(cls, data: Json) -> End:
        """Raise CaseFileError where ``data`` is not the end of a run."""
        return cls(
            fields.count(data, "exit"),
            fields.text(data, "finished", ""),
            fields.number(data, "seconds", math.nan),
        )
