"""What a results file holds, as typed records. A record reads itself from a JSON object and names what it cannot read."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refgrad.errors import ArgumentError
from refgrad.report import fields
from refgrad.report.course import Crash, End, Running
from refgrad.report.fields import Json
from refgrad.report.text import cut
from refgrad.testing.shards import Shard
from refgrad.testing.shares import NODE_BY_NODE

if TYPE_CHECKING:
    from refgrad.report.lessons import Lesson, Measured

AGREE, DISAGREE, UNDECIDED, UNSUPPORTED, ERROR = "agree", "disagree", "undecided", "unsupported", "error"
KNOWN = "known"  # a disagreement that deviations.toml records: shown, and no failure
STATUSES = (DISAGREE, ERROR, KNOWN, UNDECIDED, UNSUPPORTED, AGREE)  # the order in which a reader wants them
FAILURES = (DISAGREE, ERROR)
TEXTBOOK = "textbook"  # the family whose items have a section of their own


def severity(ratio: float) -> float:
    """A ratio as a number that sorts: NaN, which no bound contains, counts as infinite."""
    return math.inf if math.isnan(ratio) else ratio


@dataclass(frozen=True, slots=True)
class Element:
    """One element of one array: what came, what was expected, how far they may differ."""

    node: int
    op: str
    what: str
    element: tuple[int, ...]
    got: float
    expected: float
    bound: float
    ratio: float
    ulp: float

    @classmethod
    def read(cls, data: Any) -> Element:
        """Raise CaseFileError where ``data`` is not an element."""
        if not isinstance(data, dict):
            raise fields.wrong("worst", data, "an object")
        place = fields.array(data, "element")
        if not all(isinstance(k, int) for k in place):
            raise fields.wrong("element", place, "a list of integers")
        node = data.get("node", -1)
        if not isinstance(node, int):
            raise fields.wrong("node", node, "a node number")
        return cls(
            node,
            fields.word(data, "op", ""),
            fields.word(data, "what", ""),
            tuple(place),
            fields.number(data, "got"),
            fields.number(data, "expected"),
            fields.number(data, "bound"),
            fields.number(data, "ratio"),
            fields.number(data, "ulp", math.nan),
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one case in one mode."""

    id: str
    family: str
    dtype: str
    device: str
    mode: str
    status: str
    reason: str
    elements: int
    loose: int
    blind: int
    worst: Element | None
    sensitivity: float | None
    ops: Mapping[str, tuple[int, int, float]]  # op -> nodes judged, elements compared, worst error in bounds
    first_wrong: tuple[int, str] | None
    message: str
    worst_elements: tuple[Element, ...]
    script: str
    case: Json
    known: str = ""  # the entries of deviations.toml that record this disagreement
    again: str = ""  # the command that judges it again, where that is not `refgrad repro`
    where: str = ""  # file and line of the test that judged it

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
        used = {str(n["op"]) for n in self.nodes if isinstance(n, dict) and "op" in n} or set(self.ops)
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

    @classmethod
    def read(cls, data: Json) -> Result:
        """Raise CaseFileError where ``data`` is not a result."""
        status = fields.text(data, "status")
        if status not in STATUSES:
            raise fields.wrong("status", status, f"one of {', '.join(STATUSES)}")
        known = fields.text(data, "known", "")
        if known and status == DISAGREE:
            status = KNOWN
        first = data.get("first_wrong")
        if first is not None and not (isinstance(first, dict) and isinstance(first.get("node"), int)):
            raise fields.wrong("first_wrong", first, "a node and an op")
        sensitivity = data.get("sensitivity")
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
            loose=fields.count(data, "loose", 0),
            blind=fields.count(data, "blind", 0),
            worst=None if worst is None else Element.read(worst),
            sensitivity=None if sensitivity is None else fields.number(data, "sensitivity"),
            ops={
                sys.intern(cut(str(op), 1000)): _tally(op, row) for op, row in fields.obj(data, "ops").items()
            },
            first_wrong=None if first is None else (first["node"], fields.text(first, "op", "")),
            message=fields.text(data, "message", "", 10_000),
            worst_elements=tuple(Element.read(e) for e in fields.array(data, "worst_elements")),
            script=fields.text(data, "script", "", 1_000_000),
            case=fields.obj(data, "case"),
            known=known,
            again=fields.text(data, "again", ""),
            where=fields.text(data, "where", ""),
        )


def _tally(op: str, row: Any) -> tuple[int, int, float]:
    if not isinstance(row, list) or len(row) != 3:
        raise fields.wrong(f"ops.{op}", row, "a list of nodes, elements and worst ratio")
    data = {"nodes": row[0], "elements": row[1], "ratio": 0.0 if row[2] is None else row[2]}
    return fields.count(data, "nodes"), fields.count(data, "elements"), fields.number(data, "ratio")


@dataclass(frozen=True, slots=True)
class Header:
    """The line a run begins with: what was asked, where it ran."""

    refgrad: str
    started: str
    command: tuple[str, ...]
    seed: str
    profile: str
    families: tuple[str, ...]
    dtypes: tuple[str, ...]
    devices: tuple[str, ...]
    modes: tuple[str, ...]
    environment: Mapping[str, str]
    present: Mapping[str, str]  # device -> what it is, or why it was not judged
    deviations: tuple[tuple[str, str, str], ...] = ()  # known disagreements: id, reason, link
    shard: str = ""  # "2/4": which part of a run this is
    # devices that the run may not do without and had to, with the reason
    missing: tuple[tuple[str, str], ...] = ()
    examples: str = ""  # of each family, dtype and device

    @classmethod
    def read(cls, data: Json) -> Header:
        """Raise CaseFileError where ``data`` is not the beginning of a run."""
        around = fields.obj(data, "environment")
        return cls(
            fields.text(data, "refgrad", ""),
            fields.text(data, "started", ""),
            fields.texts(data, "command"),
            cut(str(data.get("seed", "")), 1000),
            cut(str(data.get("profile") or ""), 1000),
            fields.texts(data, "families"),
            fields.texts(data, "dtypes"),
            fields.texts(data, "devices"),
            fields.texts(data, "modes"),
            {cut(str(k), 100): cut(str(v), 1000) for k, v in sorted(around.items()) if k != "devices"},
            {cut(str(k), 100): cut(str(v), 1000) for k, v in sorted(fields.obj(around, "devices").items())},
            tuple(
                (fields.text(d, "id"), fields.text(d, "reason", ""), fields.text(d, "link", ""))
                for d in fields.array(data, "deviations")
                if isinstance(d, dict)
            ),
            _shard(data),
            tuple(
                sorted((cut(str(k), 100), cut(str(v), 1000)) for k, v in fields.obj(data, "missing").items())
            ),
            cut(str(data.get("examples", "")), 1000),
        )


def _shard(data: Json) -> str:
    shard = fields.text(data, "shard", "")
    try:
        return str(Shard.read(shard)) if shard else ""
    except ArgumentError:
        raise fields.wrong("shard", shard, 'a part such as "2/4"') from None


@dataclass(frozen=True, slots=True)
class Audit:
    """How many of the wrong gradients planted in one dtype by one mutation were caught, and by which check.

    ``right`` counts the right formulas that were put beside wrong ones, ``refused`` those that did not pass: false alarms.
    """

    mutation: str
    dtype: str
    planted: int
    equivalent: int
    caught: int
    check: str = NODE_BY_NODE
    right: int = 0
    refused: int = 0

    @property
    def key(self) -> tuple[bool, str, str, str]:
        """What is counted together: every item of a run writes its own counts."""
        return self.check != NODE_BY_NODE, self.check, self.mutation, self.dtype

    def __add__(self, other: Audit) -> Audit:
        planted, equivalent = self.planted + other.planted, self.equivalent + other.equivalent
        caught, right, refused = (
            self.caught + other.caught,
            self.right + other.right,
            self.refused + other.refused,
        )
        return Audit(self.mutation, self.dtype, planted, equivalent, caught, self.check, right, refused)

    @property
    def detectable(self) -> int:
        """Planted errors that change a result at all."""
        return max(0, self.planted - self.equivalent)

    @classmethod
    def read(cls, data: Json) -> Audit:
        """Raise CaseFileError where ``data`` is not an audit."""
        return cls(
            fields.text(data, "mutation"),
            fields.text(data, "dtype", ""),
            fields.count(data, "planted"),
            fields.count(data, "equivalent", 0),
            fields.count(data, "caught"),
            fields.word(data, "check", NODE_BY_NODE),
            fields.count(data, "right", 0),
            fields.count(data, "refused", 0),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one results file says. Records are sorted, so that the order of lines does not matter."""

    header: Header
    results: tuple[Result, ...]
    audits: tuple[Audit, ...] = ()
    crashes: tuple[Crash, ...] = ()
    end: End | None = None
    truncated: bool = False
    lessons: tuple[Lesson, ...] = ()
    measured: tuple[Measured, ...] = ()
    running: tuple[Running, ...] = ()
    planned: int = 0
    unfinished: tuple[str, ...] = ()  # the items of the plan that did not come to their end
    absent: tuple[str, ...] = ()  # the parts of the run (shards) that are not here
    lines: bytes = field(
        default=b"", repr=False, compare=False
    )  # as the file has them, in an order of their own
    parts: tuple[Run, ...] = field(default=(), repr=False, compare=False)  # the runs that it was merged from
    source: str = field(default="", repr=False, compare=False)  # the file

    @property
    def partial(self) -> bool:
        """Whether something is missing: the end line, half of the last line, an item, a shard."""
        return self.end is None or self.truncated or bool(self.unfinished or self.absent)

    @property
    def elements(self) -> int:
        """Elements really compared, over all results."""
        return sum(r.elements for r in self.results)

    @property
    def programs(self) -> tuple[Result, ...]:
        """The results but for the textbook's, whose training runs compare more numbers than all generated programs together."""
        return tuple(r for r in self.results if r.family != TEXTBOOK)

    @property
    def cases(self) -> int:
        """Distinct cases."""
        return len({r.id for r in self.results})
