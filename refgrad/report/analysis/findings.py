"""Failures put together: one cause is one finding, the first wrong op with all modes, dtypes and devices in which it is wrong.

What raises and what gives a wrong number are told apart. Whose fault a result is that names no single op is said by blame.py.

Findings come in this order, the most certain and most severe first:

1. how direct the evidence is: node by node in reverse mode, the value or forward mode, before a further way to ask for a first derivative,
   before second derivatives, before modes that merely contradict each other, before end to end alone;
2. one op that is to blame, before "a or b" and before nothing that is named;
3. how much is wrong: in each mode, dtype and device the share of the judged results that fail, times the share of the format's digits that
   their worst element has lost (all where it raises, or where there is no number), summed. To the judged ones a right one is added, so that
   a single case does not weigh as much as many that fail without exception;
4. the number of failing cases;
5. plain reverse mode before the other modes, the smaller case first, then the name.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.bounds.formats import FORMATS
from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, KNOWN, Result, Run
from refgrad.report.analysis.blame import END_TO_END, OR, Blame
from refgrad.report.analysis.matrix import PLAIN, Matrix, matrix, mode_rank
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.text import count, cut, one_line, pattern, several
from refgrad.testing.judging.verdict import digits

JUDGED = frozenset({AGREE, DISAGREE, IMPRECISE, KNOWN})  # numbers were compared
_EVIDENCE = {"value": 1, "reverse": 1, "forward": 1, "second order": 2, "consistency": 3, "end to end": 4}
Place = tuple[str, str, str]  # mode, device, dtype


@dataclass(frozen=True, slots=True)
class Finding:
    """The failures of one cause, the case to look at first."""

    status: str
    op: str  # "a or b" where either may be at fault; empty where nothing names one
    reason: str  # what results without an op have in common
    where: str  # file and line of the test, where a project's own test made the check
    results: tuple[Result, ...]
    matrix: Matrix
    of: int  # cases judged that contain the op, the failing ones included

    @property
    def smallest(self) -> Result:
        """The case to look at: in plain reverse mode where there is one, then with the fewest nodes, then the fewest elements."""
        return self.results[0]

    @property
    def title(self) -> str:
        """What is at fault, in a few words."""
        return self.op or self.reason or "no op"

    @property
    def name(self) -> str:
        """The finding in every rendering, the same from run to run: "disagree at tanh"."""
        place = f" ({one_line(self.where)})" if self.where else ""
        return f"{self.status}{' at' if self.op else ':'} {cut(one_line(self.title), 120)}{place}"

    @property
    def counted(self) -> tuple[Result, ...]:
        """The results that count: of cases as they were drawn. What shrinking made of one is shown and is no further case."""
        return _counted(self.results)

    @property
    def cases(self) -> int:
        """Distinct cases that fail."""
        return len({r.id for r in self.counted})

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that fail, plain reverse mode first."""
        return tuple(sorted({r.mode for r in self.results}, key=mode_rank))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that fail, wide ones first."""
        failing = {r.dtype for r in self.results}
        return tuple(dict.fromkeys(dtype for _, dtype in self.matrix.columns if dtype in failing))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices on which it fails."""
        failing = {r.device for r in self.results}
        return tuple(device for device in self.matrix.devices if device in failing)

    @property
    def extent(self) -> str:
        """How far it reaches: "12 of 40 cases, 9 modes, float64 float32, cpu". More than two of a kind are counted, not named."""
        cases = f"{count(self.cases)} of {several(self.of, 'case')}"
        modes, dtypes, devices = self.modes, self.dtypes, self.devices
        return ", ".join(
            (
                cases,
                one_line(modes[0]) if len(modes) == 1 else several(len(modes), "mode"),
                " ".join(map(one_line, dtypes)) if len(dtypes) <= 2 else several(len(dtypes), "dtype"),
                " ".join(map(one_line, devices)) if len(devices) <= 2 else several(len(devices), "device"),
            )
        )

    @property
    def reasons(self) -> tuple[tuple[str, int], ...]:
        """What errors say, numbers blanked, with how often; empty for wrong numbers."""
        if self.status == DISAGREE:
            return ()
        return tuple(Counter(pattern(r.text) for r in self.counted).most_common())

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same finding in another run: never a number or a case."""
        return self.status, self.op, self.reason, self.where

    @property
    def anchor(self) -> str:
        """Its place in the page, made from its content: "disagree-tanh"."""
        plain = f"{self.status}-{self.op}"
        if not self.where and re.fullmatch(r"[a-z]+-[A-Za-z0-9_.]{1,60}", plain):
            return plain
        readable = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-")
        return f"{readable}-{hashlib.sha256(chr(0).join(self.key).encode()).hexdigest()[:8]}"

    @property
    def query(self) -> str:
        """The table's query that lists its results."""
        return " ".join(
            term(key, value) for key, value in (("op", self.op), ("status", self.status)) if value
        )


def term(key: str, value: str) -> str:
    """One term of the query line."""
    value = one_line(value).replace('"', " ")
    return f'{key}:"{value}"' if set(value) & set(" ,") else f"{key}:{value}"


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A run as a key: the same object, not an equal one, for comparing runs costs more than what is kept."""

    run: Run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.run is other.run

    def __hash__(self) -> int:
        return id(self.run)


def findings(run: Run) -> tuple[Finding, ...]:
    """All failures of a run, put together and in order. Every rendering of a run asks; the last answer is kept."""
    return _findings(_Same(run))


@functools.lru_cache(maxsize=1)
def _findings(same: _Same) -> tuple[Finding, ...]:
    run = same.run
    failing = [r for r in run.results if r.failed]
    if not failing:
        return ()
    blame = Blame(failing)
    groups: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    for r in failing:
        op = blame.op(r)
        groups[r.status, op, "" if op else _nameless(r), r.where].append(r)
    others = _others(run, blame, {op for _, op, _, _ in groups})
    found = []
    for (status, op, reason, where), results in groups.items():
        results.sort(key=lambda r: (not blame.certain(r), *_size(r), r.order))
        counts, cases = others[op]
        counted = _counted(results)
        of = len(cases | {r.id for r in counted})
        found.append(Finding(status, op, reason, where, tuple(results), matrix(counted, counts), of))
    return tuple(sorted(found, key=_rank))


def _counted(results: Sequence[Result]) -> tuple[Result, ...]:
    drawn = tuple(r for r in results if not r.shrunk)
    return drawn or tuple(results)


def _nameless(r: Result) -> str:
    """What a result without an op is put together by."""
    return (
        "end to end, right node by node" if r.mode in END_TO_END and r.status == DISAGREE else pattern(r.text)
    )


def _others(run: Run, blame: Blame, ops: set[str]) -> dict[str, tuple[Counter[Place], set[str]]]:
    """For every op, the judged results whose case contains it and that do not find it wrong, counted by place, and their cases.

    An end-to-end result compares inputs and outputs alone: what its case contains is known from the results node by node.
    """
    contained: dict[str, set[str]] = defaultdict(set)  # case -> ops
    for r in run.results:
        if r.mode not in END_TO_END and not ops.isdisjoint(r.ops):
            contained[r.id] |= ops.intersection(r.ops)
    found: dict[str, tuple[Counter[Place], set[str]]] = {op: (Counter(), set()) for op in ops}
    for r in run.results:
        if r.status not in JUDGED or r.shrunk:
            continue
        for op in contained.get(r.id, ()):
            if not r.failed or (op != blame.op(r) and _right(r, op)):
                counts, cases = found[op]
                counts[r.mode, r.device, r.dtype] += 1
                cases.add(r.id)
    return found


def _right(r: Result, op: str) -> bool:
    """Whether a failing result found this op right. From end to end nothing is known of the ops that are not the first wrong one."""
    return r.mode not in END_TO_END and (op not in r.ops or r.ops[op][2] <= 1)


def _size(r: Result) -> tuple[object, ...]:
    """Mode, nodes, elements; of equals the widest format, where an error is plainest."""
    return *mode_rank(r.mode), len(r.nodes) or math.inf, r.elements, order(r.device, r.dtype, r.mode)


def _rank(f: Finding) -> tuple[object, ...]:
    evidence = min(0 if mode in PLAIN else _EVIDENCE.get(group_of(mode), 1) for mode in f.modes)
    named = 2 if not f.op else 1 if OR in f.op else 0
    return evidence, named, -_severity(f), -f.cases, _size(f.smallest), f.key


def _severity(f: Finding) -> float:
    """How much is wrong, as the third rule of the order says."""
    return math.fsum(_lost(r) / (f.matrix.at(r.mode, r.device, r.dtype).judged + 1) for r in f.counted)


def _lost(r: Result) -> float:
    """The share of the digits of its format that the worst element of a result has lost."""
    fmt = FORMATS.get(r.dtype)
    if r.status == ERROR or not r.worst_elements or fmt is None:
        return 1.0
    return 1 - min(1.0, digits(r.worst_elements[0]) / -math.log10(fmt.u))
