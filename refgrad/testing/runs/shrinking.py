"""Shrinks failing cases: one for each fault, that is for each first wrong op in each mode."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from refgrad.errors import GradientMismatch
from refgrad.modes import NAMES as MODES
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import StopDrawing
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
    """A case with failing verdicts."""

    case: Case
    verdicts: list[Verdict]

    @property
    def failed(self) -> list[Verdict]:
        """The failing verdicts."""
        return [v for v in self.verdicts if v.failed]

    @property
    def faults(self) -> dict[Fault, None]:
        """The faults it shows, in the order of its verdicts."""
        return dict.fromkeys(Fault.of(v) for v in self.failed)

    @property
    def size(self) -> tuple[int, int]:
        """Nodes of the graph, elements of its inputs."""
        return len(self.case.graph.nodes), sum(x.size for x in self.case.inputs.values())


@dataclass
class Budget:
    """The budget of an item for shrinking: ``attempts`` cases for each fault, ``seconds`` for all."""

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
        """Count one more case. Raises StopDrawing where the budget is used up."""
        assert self._end is not None
        self._spent += 1
        if self._spent > self.attempts or time.monotonic() >= self._end:
            raise StopDrawing


Draw = Callable[
    [Callable[[Case], None]], None
]  # calls its argument with case after case, see strategies.each
Examine = Callable[[Case], list[Verdict]]


@dataclass
class Shrinker:
    """Shrinks the faults of one item.

    draw       draws the item's cases again from the same seed, and smaller ones after an exception
    examine    judges a case
    failures   by case id, the cases that are known to fail
    passed     the ids of cases that are known not to fail
    """

    draw: Draw
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
        """Shrink the smallest of the drawn cases with this fault.

        The other drawn cases count as passed, because Hypothesis begins at the first failure.
        """
        drawn = {name: failure for name, failure in self.failures.items() if fault in failure.faults}
        start = min(drawn.values(), key=lambda failure: failure.size)
        shown = [start]

        def body(case: Case) -> None:
            if case.id not in self.passed and case.id not in self.failures:
                self.budget.take()
                self._judge(case)
            failure = self.failures.get(case.id)
            if case.id == start.case.id or (failure and case.id not in drawn and fault in failure.faults):
                shown.append(self.failures[case.id])
                raise GradientMismatch(str(fault))

        with contextlib.suppress(GradientMismatch):
            self.draw(body)
        # Of cases of one size, the last one that Hypothesis tried has the simplest numbers.
        return min(reversed(shown), key=lambda failure: failure.size)

    def _judge(self, case: Case) -> None:
        failure = Failure(case, self.examine(case))
        if failure.failed:
            self.failures[case.id] = failure
        else:
            self.passed.add(case.id)


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


__all__ = ["ATTEMPTS", "SECONDS", "Budget", "Failure", "Fault", "Shrinker"]
