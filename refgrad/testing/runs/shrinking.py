"""Shrinks failing cases: one for each fault, that is for each first wrong op in each mode."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from refgrad.errors import NoCaseError
from refgrad.modes import NAMES as MODES
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.reduction import Rank, Reduction
from refgrad.testing.cases.sequence import CaseSequence, Choices
from refgrad.testing.judging.verdict import ERROR, Verdict

ATTEMPTS = 250  # cases judged while one fault shrinks
SECONDS = 20.0  # for all faults of an item, which bounds the time of an item with many faults


@dataclass(frozen=True, slots=True)
class Fault:
    """What a case has to show at every step of shrinking, so that the smallest case shows the same fault.

    op      the first wrong op; empty where none is known
    mode    the mode in which it is wrong
    error   of an error, the class of the exception; empty for a disagreement
    """

    op: str
    mode: str
    error: str = ""

    @classmethod
    def of(cls, verdict: Verdict) -> Fault:
        """The fault that a failing verdict shows."""
        op = verdict.first_wrong[1] if verdict.first_wrong else ""
        return cls(op, verdict.mode, verdict.reason.partition(":")[0] if verdict.status == ERROR else "")

    def __str__(self) -> str:
        return f"{self.op or self.error or 'no single op'} ({self.mode})"


@dataclass(frozen=True, slots=True)
class Failure:
    """A case with failing verdicts, and the choices that draw it."""

    case: Case
    verdicts: list[Verdict]
    choices: Choices

    @property
    def failed(self) -> list[Verdict]:
        """The failing verdicts."""
        return [v for v in self.verdicts if v.failed]

    @property
    def faults(self) -> dict[Fault, None]:
        """The faults it shows, in the order of its verdicts."""
        return dict.fromkeys(Fault.of(v) for v in self.failed)

    @property
    def size(self) -> Rank:
        """Nodes of the graph, elements of its inputs."""
        return size(self.case)


def size(case: Case) -> Rank:
    """Nodes of the graph, elements of its inputs."""
    return len(case.graph.nodes), sum(x.size for x in case.inputs.values())


@dataclass
class Budget:
    """The budget of an item for shrinking: ``attempts`` judged cases for each fault, ``seconds`` for all."""

    attempts: int = ATTEMPTS
    seconds: float = SECONDS
    _spent: int = 0
    _end: float | None = None

    def begin(self) -> bool:
        """Begin with the next fault. Returns False where the time is used up."""
        self._spent = 0
        if self._end is None:
            self._end = time.monotonic() + self.seconds
        return time.monotonic() < self._end

    def take(self) -> None:
        """Count one more judged case. Raises BudgetSpentError where there may be no more."""
        self._spent += 1
        if self._spent > self.attempts:
            raise BudgetSpentError
        self.check()

    def check(self) -> None:
        """Raise BudgetSpentError where the time is used up."""
        assert self._end is not None
        if time.monotonic() >= self._end:
            raise BudgetSpentError


class BudgetSpentError(Exception):
    """The budget for shrinking is used up."""


Examine = Callable[[Case], list[Verdict]]


@dataclass
class Shrinker:
    """Shrinks the faults of one item.

    sequence   draws cases from choices
    examine    judges a case
    failures   by case id, the cases that are known to fail
    passed     the ids of cases that are known not to fail
    """

    sequence: CaseSequence
    examine: Examine
    failures: dict[str, Failure]
    passed: set[str]
    budget: Budget = field(default_factory=Budget)

    def run(self) -> tuple[list[Failure], int, int]:
        """The smallest failures found, the number of faults that they show, and the number of faults that the budget did not cover.

        A case that shrank for one mode of an op is used for the other modes in which it shows this op.
        """
        small: list[tuple[str, Failure]] = []  # with the op for which it shrank
        shrunk = unshrunk = 0
        for fault in _by_turns(self.failures.values()):
            if not any(op == fault.op and fault in failure.faults for op, failure in small):
                if not self.budget.begin():
                    unshrunk += 1
                    continue
                small.append((fault.op, self._shrink(fault)))
            shrunk += 1
        return list({failure.case.id: failure for _, failure in small}.values()), shrunk, unshrunk

    def _shrink(self, fault: Fault) -> Failure:
        """Shrink the smallest of the drawn cases with this fault."""
        start = min((f for f in self.failures.values() if fault in f.faults), key=lambda f: f.size)

        def attempt(choices: Choices) -> tuple[Rank, Choices] | None:
            self.budget.check()
            try:
                case, taken = self.sequence.replay(choices)
            except NoCaseError:
                return None
            if not reduction.improves(size(case), taken) or not _can_show(fault, case):
                return None
            if case.id not in self.passed and case.id not in self.failures:
                self.budget.take()
                self._judge(case, taken)
            failure = self.failures.get(case.id)
            return (failure.size, taken) if failure is not None and fault in failure.faults else None

        reduction = Reduction(start.choices, start.size, attempt)
        with contextlib.suppress(BudgetSpentError):
            reduction.run()
        case, _ = self.sequence.replay(reduction.best)
        return self.failures[case.id]

    def _judge(self, case: Case, choices: Choices) -> None:
        failure = Failure(case, self.examine(case), choices)
        if failure.failed:
            self.failures[case.id] = failure
        else:
            self.passed.add(case.id)


def _can_show(fault: Fault, case: Case) -> bool:
    """Whether the graph has the op of the fault. Without this, most cases would be judged in vain."""
    return not fault.op or any(node.op is not None and node.op.name == fault.op for node in case.graph.nodes)


def _by_turns(failures: Iterable[Failure]) -> list[Fault]:
    """All faults: the first mode of every op, then the second of every op, so that a small budget names every op."""
    by_op: dict[tuple[str, str], dict[Fault, None]] = {}
    for failure in failures:
        for fault in failure.faults:
            by_op.setdefault((fault.op, fault.error), {})[fault] = None
    ranked = {key: sorted(faults, key=_mode) for key, faults in by_op.items()}
    return [
        faults[k]
        for k in range(max(map(len, ranked.values()), default=0))
        for faults in ranked.values()
        if k < len(faults)
    ]


def _mode(fault: Fault) -> int:
    return MODES.index(fault.mode) if fault.mode in MODES else len(MODES)


__all__ = ["ATTEMPTS", "SECONDS", "Budget", "BudgetSpentError", "Failure", "Fault", "Shrinker"]
