"""What a results file holds, as typed records. A record reads itself from a JSON object and names what it cannot read."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refgrad.errors import CaseFileError
from refgrad.testing.shares import NODE_BY_NODE

if TYPE_CHECKING:
    from refgrad.report.lessons import Lesson

AGREE, DISAGREE, UNDECIDED, UNSUPPORTED, ERROR = "agree", "disagree", "undecided", "unsupported", "error"
KNOWN = "known"  # a disagreement that deviations.toml records: shown, and no failure
STATUSES = (DISAGREE, ERROR, KNOWN, UNDECIDED, UNSUPPORTED, AGREE)  # the order in which a reader wants them
FAILURES = (DISAGREE, ERROR)
Json = Mapping[str, Any]

_NOTHING: Json = {}
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def severity(ratio: float) -> float:
    """A ratio as a number that sorts: NaN, which no bound contains, counts as infinite."""
    return math.inf if math.isnan(ratio) else ratio


def _wrong(key: str, value: Any, expected: str) -> CaseFileError:
    shown = repr(value)
    return CaseFileError(
        f'"{key}" is {shown if len(shown) <= 60 else shown[:57] + "..."}; {expected} is expected'
    )


def _text(data: Json, key: str, default: str | None = None) -> str:
    value = data.get(key, default)
    if not isinstance(value, str):
        raise _wrong(key, value, "a string")
    return value


def _word(data: Json, key: str, default: str | None = None) -> str:
    """A text that many records share; it is kept once."""
    return sys.intern(_text(data, key, default))


def _count(data: Json, key: str, default: int | None = None) -> int:
    value = data.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(key, value, "a count")
    return value


def _float(data: Json, key: str, default: float | None = None) -> float:
    value = data.get(key, default)
    if isinstance(value, str) and value in _NONFINITE:
        return _NONFINITE[value]
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(key, value, 'a number, "nan", "inf" or "-inf"')
    try:
        return float(value)
    except OverflowError:
        raise _wrong(key, value, "a number that fits a float") from None


def _object(data: Json, key: str) -> Json:
    value = data.get(key)
    if value is None:
        return _NOTHING
    if not isinstance(value, dict):
        raise _wrong(key, value, "an object")
    return value


def _list(data: Json, key: str) -> list[Any]:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(key, value, "a list")
    return value


def _texts(data: Json, key: str) -> tuple[str, ...]:
    return tuple(str(v) for v in _list(data, key))


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
            raise _wrong("worst", data, "an object")
        place = _list(data, "element")
        if not all(isinstance(k, int) for k in place):
            raise _wrong("element", place, "a list of integers")
        node = data.get("node", -1)
        if not isinstance(node, int):
            raise _wrong("node", node, "a node number")
        return cls(
            node, _word(data, "op", ""), _word(data, "what", ""), tuple(place), _float(data, "got"),
            _float(data, "expected"), _float(data, "bound"), _float(data, "ratio"), _float(data, "ulp", math.nan),
        )  # fmt: skip


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
        status = _text(data, "status")
        if status not in STATUSES:
            raise _wrong("status", status, f"one of {', '.join(STATUSES)}")
        known = _text(data, "known", "")
        if known and status == DISAGREE:
            status = KNOWN
        first = data.get("first_wrong")
        if first is not None and not (isinstance(first, dict) and isinstance(first.get("node"), int)):
            raise _wrong("first_wrong", first, "a node and an op")
        sensitivity = data.get("sensitivity")
        worst = data.get("worst")
        return cls(
            id=_text(data, "id"), family=_word(data, "family"), dtype=_word(data, "dtype"),
            device=_word(data, "device"), mode=_word(data, "mode"), status=sys.intern(status), reason=_word(data, "reason", ""),
            elements=_count(data, "elements"), loose=_count(data, "loose", 0), blind=_count(data, "blind", 0),
            worst=None if worst is None else Element.read(worst),
            sensitivity=None if sensitivity is None else _float(data, "sensitivity"),
            ops={sys.intern(str(op)): _tally(op, row) for op, row in _object(data, "ops").items()},
            first_wrong=None if first is None else (first["node"], _text(first, "op", "")),
            message=_text(data, "message", ""),
            worst_elements=tuple(Element.read(e) for e in _list(data, "worst_elements")),
            script=_text(data, "script", ""), case=_object(data, "case"), known=known,
            again=_text(data, "again", ""),
        )  # fmt: skip


def _tally(op: str, row: Any) -> tuple[int, int, float]:
    if not isinstance(row, list) or len(row) != 3:
        raise _wrong(f"ops.{op}", row, "a list of nodes, elements and worst ratio")
    data = {"nodes": row[0], "elements": row[1], "ratio": 0.0 if row[2] is None else row[2]}
    return _count(data, "nodes"), _count(data, "elements"), _float(data, "ratio")


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

    @classmethod
    def read(cls, data: Json) -> Header:
        """Raise CaseFileError where ``data`` is not the beginning of a run."""
        around = _object(data, "environment")
        return cls(
            _text(data, "refgrad", ""), _text(data, "started", ""), _texts(data, "command"), str(data.get("seed", "")),
            str(data.get("profile") or ""), _texts(data, "families"), _texts(data, "dtypes"), _texts(data, "devices"),
            _texts(data, "modes"), {str(k): str(v) for k, v in sorted(around.items()) if k != "devices"},
            {str(k): str(v) for k, v in sorted(_object(around, "devices").items())},
            tuple((_text(d, "id"), _text(d, "reason", ""), _text(d, "link", "")) for d in _list(data, "deviations") if isinstance(d, dict)),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Audit:
    """How many of the wrong gradients planted in one dtype by one mutation were caught, and by which check."""

    mutation: str
    dtype: str
    planted: int
    equivalent: int
    caught: int
    check: str = NODE_BY_NODE

    @property
    def key(self) -> tuple[bool, str, str, str]:
        """What is counted together: every item of a run writes its own counts."""
        return self.check != NODE_BY_NODE, self.check, self.mutation, self.dtype

    def __add__(self, other: Audit) -> Audit:
        planted, equivalent = self.planted + other.planted, self.equivalent + other.equivalent
        return Audit(self.mutation, self.dtype, planted, equivalent, self.caught + other.caught, self.check)

    @property
    def detectable(self) -> int:
        """Planted errors that change a result at all."""
        return max(0, self.planted - self.equivalent)

    @classmethod
    def read(cls, data: Json) -> Audit:
        """Raise CaseFileError where ``data`` is not an audit."""
        return cls(
            _text(data, "mutation"), _text(data, "dtype", ""), _count(data, "planted"),
            _count(data, "equivalent", 0), _count(data, "caught"), _word(data, "check", NODE_BY_NODE),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crash:
    """A test item that died or failed outside a verdict."""

    worker: str
    item: str
    reason: str

    @classmethod
    def read(cls, data: Json) -> Crash:
        """Raise CaseFileError where ``data`` is not a crash."""
        return cls(_text(data, "worker", ""), _text(data, "item", ""), _text(data, "reason", ""))


@dataclass(frozen=True, slots=True)
class End:
    """The line a run ends with, when it was allowed to end."""

    exit: int
    finished: str
    seconds: float

    @classmethod
    def read(cls, data: Json) -> End:
        """Raise CaseFileError where ``data`` is not the end of a run."""
        return cls(_count(data, "exit"), _text(data, "finished", ""), _float(data, "seconds", math.nan))


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

    @property
    def partial(self) -> bool:
        """Whether the run was cut short: it has no end line, or its last line is torn."""
        return self.end is None or self.truncated

    @property
    def elements(self) -> int:
        """Elements really compared, over all results."""
        return sum(r.elements for r in self.results)

    @property
    def cases(self) -> int:
        """Distinct cases."""
        return len({r.id for r in self.results})
