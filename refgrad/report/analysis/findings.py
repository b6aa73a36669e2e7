"""Failures grouped into findings: one finding for each first wrong op, with all modes, dtypes and devices in which it is wrong.

Errors and wrong numbers make separate findings. blame.py attributes the results that name no single op.

Findings are sorted by these criteria, most certain and most severe first:

1. directness of the evidence: node-by-node results of values, reverse and forward mode; further first-order modes; second derivatives;
   modes that contradict each other; end-to-end results;
2. one op at fault, then "a or b", then none;
3. severity: the sum, over mode, dtype and device, of the failing share of judged results times the share of the format's digits that their
   worst element has lost (all digits for an error). One correct result is added to the judged ones, so that a single failing case weighs
   less than many failing cases;
4. number of failing cases;
5. reverse mode before the other modes, then the smallest case, then the name.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from refgrad.bounds.formats import FORMATS
from refgrad.records import AGREE, DISAGREE, ERROR, FAILURES, IMPRECISE, KNOWN, Result
from refgrad.report.analysis.blame import END_TO_END, OR, Blame
from refgrad.report.analysis.case_tally import Entries
from refgrad.report.analysis.matrix import DIRECT, Matrix, matrix, mode_rank
from refgrad.report.analysis.mode_groups import group_of, order
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import count, cut, one_line, pattern, several
from refgrad.testing.judging.verdict import digits

JUDGED = frozenset({AGREE, DISAGREE, IMPRECISE, KNOWN})  # statuses of results whose numbers were compared
_EVIDENCE = {"value": 1, "reverse": 1, "forward": 1, "second order": 2, "consistency": 3, "end to end": 4}
Position = tuple[str, str, str]  # mode, device, dtype


@dataclass(frozen=True, slots=True)
class Finding:
    """The failing results with one cause.

    op        the op at fault; "a or b" where either may be; "" where no result names one
    reason    what results without an op have in common
    where     file and line of the test, for checks of a project's own tests
    results   the failing results, that with the smallest case first
    of        judged cases that contain the op, the failing ones included
    """

    status: str
    op: str
    reason: str
    where: str
    results: tuple[Result, ...]
    matrix: Matrix
    of: int

    @property
    def smallest(self) -> Result:
        """The result to inspect first: in reverse mode if there is one, then with the fewest nodes, then the fewest elements."""
        return self.results[0]

    @property
    def title(self) -> str:
        """The op at fault; where there is none, the common reason."""
        return self.op or self.reason or "no op"

    @property
    def name(self) -> str:
        """The name in every report, stable from run to run: "disagree at tanh"."""
        place = f" ({one_line(self.where)})" if self.where else ""
        return f"{self.status}{' at' if self.op else ':'} {cut(one_line(self.title), 120)}{place}"

    @property
    def counted(self) -> tuple[Result, ...]:
        """The results of cases as drawn. Shrunk cases are shown, and not counted."""
        return _counted(self.results)

    @property
    def cases(self) -> int:
        """Number of distinct failing cases."""
        return len({r.id for r in self.counted})

    @property
    def modes(self) -> tuple[str, ...]:
        """The failing modes, reverse mode first."""
        return tuple(sorted({r.mode for r in self.results}, key=mode_rank))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The failing dtypes, the widest first."""
        failing = {r.dtype for r in self.results}
        return tuple(dict.fromkeys(dtype for _, dtype in self.matrix.columns if dtype in failing))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices with failing results."""
        failing = {r.device for r in self.results}
        return tuple(device for device in self.matrix.devices if device in failing)

    @property
    def extent(self) -> str:
        """The extent in words: "12 of 40 cases, 9 modes, float64 float32, cpu". More than two dtypes or devices are counted."""
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
        """The distinct error messages, with numbers replaced by #, and their frequencies; empty for wrong numbers."""
        if self.status == DISAGREE:
            return ()
        return tuple(Counter(pattern(r.text) for r in self.counted).most_common())

    @property
    def key(self) -> tuple[str, ...]:
        """The identity of the finding across runs. It contains neither numbers nor case ids."""
        return self.status, self.op, self.reason, self.where

    @property
    def anchor(self) -> str:
        """The HTML id of the finding, derived from its key: "disagree-tanh"."""
        plain = f"{self.status}-{self.op}"
        if not self.where and re.fullmatch(r"[a-z]+-[A-Za-z0-9_.]{1,60}", plain):
            return plain
        readable = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-")
        return f"{readable}-{hashlib.sha256(chr(0).join(self.key).encode()).hexdigest()[:8]}"

    @property
    def query(self) -> str:
        """The query that lists its results in the table of the page."""
        return " ".join(
            term(key, value) for key, value in (("op", self.op), ("status", self.status)) if value
        )


def term(key: str, value: str) -> str:
    """One term of a query, quoted where necessary."""
    value = one_line(value).replace('"', " ")
    return f'{key}:"{value}"' if set(value) & set(" ,") else f"{key}:{value}"


@dataclass(frozen=True, slots=True, eq=False)
class _ByIdentity:
    """A run as a key of the cache, compared by identity: equality of runs costs more than the findings."""

    run: Run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.run is other.run

    def __hash__(self) -> int:
        return id(self.run)


def findings(run: Run) -> tuple[Finding, ...]:
    """The findings of a run, sorted. Every report of a run needs them, so those of the last run are cached."""
    return _findings(_ByIdentity(run))


@functools.lru_cache(maxsize=1)
def _findings(key: _ByIdentity) -> tuple[Finding, ...]:
    run = key.run
    failing = [r for r in run.results if r.failed]
    if not failing:
        return ()
    blame = Blame(failing)
    groups: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    for r in failing:
        op = blame.op(r)
        groups[r.status, op, "" if op else _reason_without_op(r), r.where].append(r)
    correct = _correct_results(run, failing, blame, {op for _, op, _, _ in groups})
    found = []
    for (status, op, reason, where), results in groups.items():
        results.sort(key=lambda r: (not blame.certain(r), *_size(r), r.order))
        right = correct[op]
        counted = _counted(results)
        of = right.others + len(right.failing | {r.id for r in counted})
        found.append(Finding(status, op, reason, where, tuple(results), matrix(counted, right.results), of))
    return tuple(sorted(found, key=_rank))


def _counted(results: Sequence[Result]) -> tuple[Result, ...]:
    drawn = tuple(r for r in results if not r.shrunk)
    return drawn or tuple(results)


def _reason_without_op(r: Result) -> str:
    """The reason under which a result without an op is grouped."""
    return (
        "end to end, right node by node" if r.mode in END_TO_END and r.status == DISAGREE else pattern(r.text)
    )


@dataclass(slots=True)
class _Correct:
    """The judged results in which an op takes part and is not wrong.

    results   by mode, device and dtype
    failing   the cases of these results that have a failing result as well
    others    number of the other cases
    """

    results: Counter[Position] = field(default_factory=Counter)
    failing: set[str] = field(default_factory=set)
    others: int = 0


def _correct_results(run: Run, failing: Sequence[Result], blame: Blame, ops: set[str]) -> dict[str, _Correct]:
    """By op, its correct results.

    The ops of an end-to-end result's case are taken from the node-by-node results of that case.
    """
    cases, found = run.tally.cases, {op: _Correct() for op in ops}
    failed = {r.id for r in failing}
    for contained, entries, number in cases.by_ops(ops, without=failed):
        correct = _correct_entries(entries)
        for op in contained if correct else ():
            found[op].others += number
            for position, results in correct.items():
                found[op].results[position] += number * results
    for case in failed:
        correct = _correct_entries(cases.entries(case))
        for op in cases.judged(case, ops) if correct else ():
            found[op].failing.add(case)
            found[op].results.update(correct)
    for r in failing:
        for op in cases.judged(r.id, ops) if r.status in JUDGED and not r.shrunk else ():
            if op != blame.op(r) and _found_correct(r, op):
                found[op].failing.add(r.id)
                found[op].results[r.mode, r.device, r.dtype] += 1
    return found


def _correct_entries(entries: Entries) -> Counter[Position]:
    """The judged results of a case that do not fail, by mode, device and dtype."""
    return Counter(
        (e.mode, e.device, e.dtype)
        for e in entries
        if e.status in JUDGED and e.status not in FAILURES and not e.shrunk
    )


def _found_correct(r: Result, op: str) -> bool:
    """Whether a failing result found this op correct. An end-to-end result does not judge single ops."""
    return r.mode not in END_TO_END and (op not in r.ops or r.ops[op][2] <= 1)


def _size(r: Result) -> tuple[object, ...]:
    """A sort key: mode, size of the case; of equals the widest format, in which an error is clearest."""
    return *mode_rank(r.mode), *r.size_key, order(r.device, r.dtype, r.mode)


def _rank(f: Finding) -> tuple[object, ...]:
    evidence = min(0 if mode in DIRECT else _EVIDENCE.get(group_of(mode), 1) for mode in f.modes)
    named = 2 if not f.op else 1 if OR in f.op else 0
    return evidence, named, -_severity(f), -f.cases, _size(f.smallest), f.key


def _severity(f: Finding) -> float:
    """The third sort criterion of the module's docstring."""
    return math.fsum(_lost_share(r) / (f.matrix.at(r.mode, r.device, r.dtype).judged + 1) for r in f.counted)


def _lost_share(r: Result) -> float:
    """The share of the format's digits that a result's worst element has lost; 1 for an error."""
    fmt = FORMATS.get(r.dtype)
    if r.status == ERROR or not r.worst_elements or fmt is None:
        return 1.0
    return 1 - min(1.0, digits(r.worst_elements[0]) / -math.log10(fmt.u))
