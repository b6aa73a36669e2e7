"""The case of a verdict as a line of its own: once for all its verdicts, under its id."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, ClassVar

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record

_AT_HAND = 1024  # cases that are kept as objects; the text of a case takes a tenth of the memory


@dataclass(frozen=True, slots=True)
class CaseRecord(Record):
    """A case that did not agree, by its id. Verdicts with this id speak of it.

    ``content`` is the case as canonical JSON text (sorted keys, no spaces), so that a case makes the same line in every process.
    """

    TYPE: ClassVar[str] = "case"

    id: str
    content: str

    @property
    def case(self) -> Json:
        """The case as plain data, which is not to be changed."""
        return _parsed(self.content)

    @classmethod
    def of(cls, name: str, case: Json) -> CaseRecord:
        """The record of a case that is at hand as plain data. Raises CaseFileError where JSON cannot hold it."""
        try:
            content = json.dumps(case, sort_keys=True, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise fields.wrong("case", case, f"an object that strict JSON can hold ({error})") from error
        return cls(name, content)

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data."""
        return {"type": self.TYPE, "id": self.id, "case": self.case}

    @classmethod
    def read(cls, data: Json) -> CaseRecord:
        """Raise CaseFileError where ``data`` holds no case."""
        if not isinstance(data.get("case"), dict):
            raise fields.wrong("case", data.get("case"), "an object")
        return cls.of(fields.text(data, "id"), fields.obj(data, "case"))


@functools.lru_cache(_AT_HAND)
def _parsed(content: str) -> Json:
    found: Json = json.loads(content)
    return found
