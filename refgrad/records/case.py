"""A case as a line of a results file. All results with its id refer to it."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from refgrad.records import fields
from refgrad.records.fields import Json
from refgrad.records.record import Record

_PARSED = 1024  # parsed cases kept in memory; as text a case takes a tenth of the memory


class CaseOutline(NamedTuple):
    """What a report keeps of a case, which itself may have the size of its arrays.

    nodes     number of nodes of its graph; 0 where it holds none
    ops       the first two distinct ops of its graph
    elements  number of elements of its inputs
    """

    nodes: int
    ops: tuple[str, ...]
    elements: int

    @classmethod
    def of(cls, case: Json) -> CaseOutline:
        """The outline of a case given as plain data. Equal outlines are one object."""
        graph = case.get("graph")
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        elements = _elements(case.get("inputs"))
        if not isinstance(nodes, list):
            return _outline(0, (), elements)
        named = dict.fromkeys(
            fields.cut(str(n["op"]), 1000) for n in nodes if isinstance(n, dict) and "op" in n
        )
        return _outline(len(nodes), tuple(sorted(named)[:2]), elements)

    @classmethod
    def read(cls, data: Json) -> tuple[str, CaseOutline]:
        """The id and the outline of the case that a line holds. Raises CaseFileError where the line holds none."""
        if not isinstance(data.get("case"), dict):
            raise fields.wrong("case", data.get("case"), "an object")
        return fields.text(data, "id"), cls.of(data["case"])


@functools.lru_cache(_PARSED)
def _outline(nodes: int, ops: tuple[str, ...], elements: int) -> CaseOutline:
    return CaseOutline(nodes, ops, elements)


def _elements(inputs: object) -> int:
    """Number of elements of the arrays of a case, by their names."""
    arrays = inputs.values() if isinstance(inputs, dict) else ()
    data = [a.get("data") for a in arrays if isinstance(a, dict)]
    return sum(len(d) for d in data if isinstance(d, list))


@dataclass(frozen=True, slots=True)
class CaseRecord(Record):
    """A case with its id. A results file holds the cases of results that do not agree.

    ``content`` is the case as canonical JSON text (sorted keys, no spaces): a case makes the same line in every process.
    """

    TYPE: ClassVar[str] = "case"

    id: str
    content: str

    @property
    def case(self) -> Json:
        """The case as plain data. Callers share it and must not change it."""
        return _parsed(self.content)

    @classmethod
    def of(cls, id: str, case: Json) -> Self:  # noqa: A002  the field's name
        """The record of a case given as plain data. Raises CaseFileError where strict JSON cannot hold it."""
        try:
            content = json.dumps(case, sort_keys=True, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise fields.wrong("case", case, f"an object that strict JSON can hold ({error})") from error
        return cls(id, content)

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data."""
        return {"type": self.TYPE, "id": self.id, "case": self.case}

    @classmethod
    def read(cls, data: Json) -> Self:
        """The case that a line holds. Raises CaseFileError where the line holds none."""
        if not isinstance(data.get("case"), dict):
            raise fields.wrong("case", data.get("case"), "an object")
        return cls.of(fields.text(data, "id"), fields.obj(data, "case"))


@functools.lru_cache(_PARSED)
def _parsed(content: str) -> Json:
    found: Json = json.loads(content)
    return found
