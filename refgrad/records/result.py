"""The verdict on one case in one mode, as a line of a results file."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from refgrad.records import fields
from refgrad.records.case import CaseRecord
from refgrad.records.element import Element
from refgrad.records.fields import Json, cut
from refgrad.records.observed import Observed
from refgrad.records.record import Record
from refgrad.records.statuses import DISAGREE, FAILURES, KNOWN, STATUSES


def severity(ratio: float) -> float:
    """A ratio as a number that sorts: NaN, which no bound contains, counts as infinite."""
    return math.inf if math.isnan(ratio) else ratio


@dataclass(frozen=True, slots=True)
class Result(Record):
    """The verdict on one case in one mode.

    In the file the case stands in a line of its own (CaseRecord); the reader of the file puts it into ``asked``.
    """

    TYPE: ClassVar[str] = "result"

    id: str
    family: str
    dtype: str
    device: str
    mode: str
    status: str
    reason: str = ""
    elements: int = 0  # compared
    skipped: int = 0  # elements where nothing is defined
    loose: int = 0  # of those compared, bound above a tenth of the expected magnitude
    blind: int = 0  # bound at or above the expected magnitude: only gross errors could be seen
    imprecise: int = 0  # beyond their bound, and explained by rounding
    digits: float | None = None  # correct decimal digits that are left in the worst of these
    worst: Element | None = None
    sensitivity: float | None = (
        None  # the relative error that would just have been seen, for the typical element
    )
    ops: Mapping[str, tuple[int, int, float]] = field(
        default_factory=dict
    )  # op -> nodes judged, elements compared, worst error in bounds
    first_wrong: tuple[int, str] | None = None  # node and op
    message: str = ""
    worst_elements: tuple[Element, ...] = ()
    script: str = ""
    known: str = ""  # the entries of deviations.toml that record this disagreement
    again: str = ""  # the command that judges it again, where that is not `refgrad repro`
    where: str = ""  # file and line of the test that judged it
    wrong: int = 0  # how many elements make it a disagreement
    shrunk: bool = False  # whether its case was made from a larger one that failed, by shrinking
    observed: Observed | None = None  # the framework's numbers around the first wrong node
    asked: CaseRecord | None = None

    @property
    def case(self) -> Json:
        """The case as plain data; empty where it did not travel."""
        return fields.NOTHING if self.asked is None else self.asked.case

    @property
    def failed(self) -> bool:
        """Whether this result alone makes the run fail."""
        return self.status in FAILURES

    @property
    def nodes(self) -> list[Any]:
        """The nodes of the case's graph; empty where the case did not travel."""
        graph = self.case.get("graph")
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        return nodes if isinstance(nodes, list) else []

    @property
    def op(self) -> str:
        """The op to name: the first wrong one, else the only one, else the one nearest to its bound."""
        if self.first_wrong is not None:
            return self.first_wrong[1]
        used = {cut(str(n["op"]), 1000) for n in self.nodes if isinstance(n, dict) and "op" in n} or set(
            self.ops
        )
        if len(used) == 1:
            return next(iter(used))
        return self.worst.op if self.worst is not None else ""

    @property
    def text(self) -> str:
        """The one thing to say about it: a disagreement has a sentence, everything else a reason."""
        return (
            self.message or self.reason if self.status in (DISAGREE, KNOWN) else self.reason or self.message
        )

    @property
    def order(self) -> tuple[str, ...]:
        """What results are sorted by, so that a page does not depend on the order in which workers finished."""
        return (
            self.family,
            self.device,
            self.dtype,
            self.mode,
            self.id,
            self.status,
            self.reason,
            self.message,
        )

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data, without the case. What few results have is left out where there is none."""
        line = {
            "type": self.TYPE, "id": self.id, "family": self.family, "dtype": self.dtype, "device": self.device, "mode": self.mode,
            "status": self.status, "reason": self.reason, "elements": self.elements, "skipped": self.skipped, "loose": self.loose,
            "blind": self.blind, "imprecise": self.imprecise, "digits": self.digits,
            "worst": None if self.worst is None else self.worst.to_dict(), "sensitivity": self.sensitivity, "ops": self.ops,
            "first_wrong": None if self.first_wrong is None else {"node": self.first_wrong[0], "op": self.first_wrong[1]},
            "message": self.message, "known": self.known,
        }  # fmt: skip
        rare = {
            "worst_elements": [e.to_dict() for e in self.worst_elements], "script": self.script, "again": self.again,
            "where": self.where, "wrong": self.wrong, "shrunk": self.shrunk,
            "observed": None if self.observed is None else self.observed.to_dict(),
        }  # fmt: skip
        return line | {key: value for key, value in rare.items() if value}

    @classmethod
    def read(cls, data: Json) -> Result:
        """Raise CaseFileError where ``data`` is not a result."""
        status = fields.text(data, "status")
        if status not in STATUSES:
            raise fields.wrong("status", status, f"one of {', '.join(STATUSES)}")
        known = fields.text(data, "known", "")
        if known and status in FAILURES:
            status = KNOWN
        first = data.get("first_wrong")
        if first is not None and not (isinstance(first, dict) and isinstance(first.get("node"), int)):
            raise fields.wrong("first_wrong", first, "a node and an op")
        worst = data.get("worst")
        return cls(
            id=fields.text(data, "id"),
            family=fields.word(data, "family"),
            dtype=fields.word(data, "dtype"),
            device=fields.word(data, "device"),
            mode=fields.word(data, "mode"),
            status=sys.intern(status),
            reason=fields.word(data, "reason", ""),
            elements=fields.count(data, "elements"),
            skipped=fields.count(data, "skipped", 0),
            loose=fields.count(data, "loose", 0),
            blind=fields.count(data, "blind", 0),
            imprecise=fields.count(data, "imprecise", 0),
            digits=_perhaps(data, "digits"),
            worst=None if worst is None else Element.read(worst),
            sensitivity=_perhaps(data, "sensitivity"),
            ops={
                sys.intern(cut(str(op), 1000)): _tally(op, row) for op, row in fields.obj(data, "ops").items()
            },
            first_wrong=None if first is None else (first["node"], fields.text(first, "op", "")),
            message=fields.text(data, "message", "", 10_000),
            worst_elements=tuple(Element.read(e) for e in fields.array(data, "worst_elements")),
            script=fields.text(data, "script", "", 1_000_000),
            known=known,
            again=fields.text(data, "again", ""),
            where=fields.text(data, "where", ""),
            wrong=fields.count(data, "wrong", 0),
            shrunk=data.get("shrunk") is True,
            observed=Observed.read(fields.obj(data, "observed"))
            if data.get("observed") is not None
            else None,
        )


def _perhaps(data: Json, key: str) -> float | None:
    return None if data.get(key) is None else fields.number(data, key)


def _tally(op: str, row: Any) -> tuple[int, int, float]:
    if not isinstance(row, list) or len(row) != 3:
        raise fields.wrong(f"ops.{op}", row, "a list of nodes, elements and worst ratio")
    nodes, elements, ratio = row
    if (
        type(nodes) is type(elements) is int and type(ratio) is float and nodes >= 0 <= elements
    ):  # the usual case
        return nodes, elements, ratio
    data = {"nodes": nodes, "elements": elements, "ratio": 0.0 if ratio is None else ratio}
    return fields.count(data, "nodes"), fields.count(data, "elements"), fields.number(data, "ratio")
