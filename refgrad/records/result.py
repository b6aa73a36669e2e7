"""The verdict on one case in one mode, as a line of a results file."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from refgrad.modes import current
from refgrad.records import fields
from refgrad.records.case import CaseOutline, CaseRecord
from refgrad.records.element import Element
from refgrad.records.fields import Json, cut
from refgrad.records.observed import Observed
from refgrad.records.record import Record, column, read_columns
from refgrad.records.statuses import DISAGREE, FAILURES, KNOWN, STATUSES

Tally = tuple[int, int, float]  # of an op: nodes judged, elements compared, worst error in units of its bound
TEXTBOOK = "textbook"  # the family that has a section of its own in reports
MOST_MESSAGE, MOST_SCRIPT = 10_000, 1_000_000  # characters


def severity(ratio: float) -> float:
    """A ratio of error to bound as a sort key: NaN, which no bound contains, counts as infinite."""
    return math.inf if math.isnan(ratio) else ratio


def _read_status(data: Json, key: str) -> str:
    status = fields.text(data, key)
    if status not in STATUSES:
        raise fields.wrong(key, status, f"one of {', '.join(STATUSES)}")
    return sys.intern(status)


def _read_element(data: Json, key: str) -> Element | None:
    return None if data.get(key) is None else Element.read(data[key])


def _read_elements(data: Json, key: str) -> tuple[Element, ...]:
    return tuple(map(Element.read, fields.array(data, key)))


def _write_elements(elements: tuple[Element, ...]) -> list[dict[str, Any]]:
    return [e.to_dict() for e in elements]


def _read_node(data: Json, key: str) -> tuple[int, str] | None:
    found = data.get(key)
    if found is None:
        return None
    if not (isinstance(found, dict) and isinstance(found.get("node"), int)):
        raise fields.wrong(key, found, "a node and an op")
    return found["node"], fields.text(found, "op", "")


def _write_node(node: tuple[int, str] | None) -> dict[str, Any] | None:
    return None if node is None else {"node": node[0], "op": node[1]}


def _read_observed(data: Json, key: str) -> Observed | None:
    return None if data.get(key) is None else Observed.read(fields.obj(data, key))


def _write_part(part: Element | Observed | None) -> dict[str, Any] | None:
    return None if part is None else part.to_dict()


def _read_tallies(data: Json, key: str) -> dict[str, Tally]:
    return {sys.intern(cut(str(op), 1000)): _tally(op, row) for op, row in fields.obj(data, key).items()}


def _tally(op: str, row: Any) -> Tally:
    if not isinstance(row, list) or len(row) != 3:
        raise fields.wrong(f"ops.{op}", row, "a list of nodes, elements and worst ratio")
    nodes, elements, ratio = row
    # The usual case, without the checks of fields.py: files hold many thousands of rows.
    if type(nodes) is type(elements) is int and type(ratio) is float and nodes >= 0 <= elements:
        return nodes, elements, ratio
    data = {"nodes": nodes, "elements": elements, "ratio": 0.0 if ratio is None else ratio}
    return fields.count(data, "nodes"), fields.count(data, "elements"), fields.number(data, "ratio")


def _mode(data: Json, key: str) -> str:
    """The name of a mode; a former name is replaced."""
    return current(fields.word(data, key))


@dataclass(frozen=True, slots=True)
class Result(Record):
    """The verdict on one case in one mode.

    The case stands in a line of its own. ``outline`` is set when a file is loaded, ``case_record`` when a result is read in full.

    status           one of STATUSES
    reason           why there is no verdict, or what kind of disagreement it is
    elements         elements compared
    skipped          elements at which the derivative is undefined
    loose            compared elements whose bound exceeds a tenth of the expected magnitude
    blind            compared elements whose bound reaches the expected magnitude
    imprecise        elements beyond their bound by an error that rounding explains
    digits           correct decimal digits of the worst of these
    worst            the element with the largest ratio of error to bound
    sensitivity      the median over elements of the smallest relative error that the bounds exclude
    ops              by op, its Tally
    first_wrong      node number and op of the first disagreement
    known            the ids of the recorded deviations that match, joined by ", "
    worst_elements   further elements beyond their bounds
    script           a program that shows the disagreement
    again            the command that repeats the judgement, where that is not ``refgrad repro``
    where            file and line of the test that made the check
    wrong            number of elements beyond their bounds
    shrunk           whether shrinking made the case from a larger failing one
    observed         the framework's arrays around the first wrong node
    """

    TYPE: ClassVar[str] = "result"

    id: str = field(metadata=column(fields.text))
    family: str = field(metadata=column(fields.word))
    dtype: str = field(metadata=column(fields.word))
    device: str = field(metadata=column(fields.word))
    mode: str = field(metadata=column(_mode))
    status: str = field(metadata=column(_read_status))
    reason: str = field(default="", metadata=column(fields.word, "", omit_default=True))
    elements: int = field(default=0, metadata=column(fields.count))
    skipped: int = field(default=0, metadata=column(fields.count, 0, omit_default=True))
    loose: int = field(default=0, metadata=column(fields.count, 0, omit_default=True))
    blind: int = field(default=0, metadata=column(fields.count, 0, omit_default=True))
    imprecise: int = field(default=0, metadata=column(fields.count, 0, omit_default=True))
    digits: float | None = field(default=None, metadata=column(fields.optional_number, omit_default=True))
    worst: Element | None = field(default=None, metadata=column(_read_element, write=_write_part))
    sensitivity: float | None = field(default=None, metadata=column(fields.optional_number))
    ops: Mapping[str, Tally] = field(default_factory=dict, metadata=column(_read_tallies))
    first_wrong: tuple[int, str] | None = field(
        default=None, metadata=column(_read_node, write=_write_node, omit_default=True)
    )
    message: str = field(default="", metadata=column(fields.text, "", MOST_MESSAGE, omit_default=True))
    known: str = field(default="", metadata=column(fields.text, "", omit_default=True))
    worst_elements: tuple[Element, ...] = field(
        default=(), metadata=column(_read_elements, write=_write_elements, omit_default=True)
    )
    script: str = field(default="", metadata=column(fields.text, "", MOST_SCRIPT, omit_default=True))
    again: str = field(default="", metadata=column(fields.text, "", omit_default=True))
    where: str = field(default="", metadata=column(fields.text, "", omit_default=True))
    wrong: int = field(default=0, metadata=column(fields.count, 0, omit_default=True))
    shrunk: bool = field(default=False, metadata=column(fields.flag, omit_default=True))
    observed: Observed | None = field(
        default=None, metadata=column(_read_observed, write=_write_part, omit_default=True)
    )
    outline: CaseOutline | None = None
    case_record: CaseRecord | None = None

    @property
    def case(self) -> Json:
        """The case as plain data; empty where the file does not hold it."""
        return fields.NOTHING if self.case_record is None else self.case_record.case

    @property
    def failed(self) -> bool:
        """Whether the status is one that fails a run."""
        return self.status in FAILURES

    @property
    def nodes(self) -> list[Any]:
        """The nodes of the case's graph; empty where the file does not hold the case."""
        graph = self.case.get("graph")
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        return nodes if isinstance(nodes, list) else []

    @property
    def size(self) -> int:
        """Number of nodes of the case's graph; 0 where the file does not hold the case."""
        return 0 if self.outline is None else self.outline.nodes

    @property
    def size_key(self) -> tuple[float, ...]:
        """A sort key, the smallest case first: nodes, elements of the inputs, elements compared. A case that shows none of them is last."""
        inputs = 0 if self.outline is None else self.outline.elements
        return self.size or math.inf, inputs or math.inf, self.elements

    @property
    def op(self) -> str:
        """The op to report: the first wrong one, else the only one, else that of the worst element; "" where none is known."""
        if self.first_wrong is not None:
            return self.first_wrong[1]
        used = self.outline.ops if self.outline is not None and self.outline.ops else self.ops
        if len(used) == 1:
            return next(iter(used))
        return self.worst.op if self.worst is not None else ""

    @property
    def text(self) -> str:
        """The explanation to show: the message of a disagreement, the reason of everything else."""
        return (
            self.message or self.reason if self.status in (DISAGREE, KNOWN) else self.reason or self.message
        )

    @property
    def order(self) -> tuple[str, ...]:
        """The sort key of results. It makes a report independent of the order in which workers finish."""
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

    @property
    def lean(self) -> Self:
        """The result without what only the display of a single case needs: its case, script, observation and further elements."""
        if not (self.script or self.observed or self.case_record or len(self.worst_elements) > 1):
            return self
        return replace(
            self, script="", observed=None, case_record=None, worst_elements=self.worst_elements[:1]
        )

    def with_case(self, record: CaseRecord | None) -> Self:
        """The result with its case; as it is where there is none."""
        if record is None:
            return self
        return replace(self, case_record=record, outline=CaseOutline.of(record.case))

    @classmethod
    def read(cls, data: Json) -> Self:
        """The result that a line holds; a failure that a deviation records is KNOWN. Raises CaseFileError where the line holds none."""
        found = read_columns(cls, data)
        if found.get("known") and found["status"] in FAILURES:
            found["status"] = KNOWN
        return cls(**found)
