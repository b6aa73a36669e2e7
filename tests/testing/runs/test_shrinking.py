"""One small case for each fault: no fault shrinks to another, every op has its turn, and the budget is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.cases.source import Source
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, Verdict
from refgrad.testing.runs.shrinking import Budget, Failure, Fault, Shrinker

SEED, MOST = 3, 40


def chain(source: Source, dtype: str) -> Case:
    """A chain of one to sixteen ops."""
    names = [source.choice(("exp", "sin", "tanh", "cos")) for _ in range(1 + source.integer(0, 15))]
    x = np.array([source.integer(0, 255) / 4.0])

    def f(x: np.ndarray) -> np.ndarray:
        for name in names:
            x = getattr(np, name)(x)
        return x

    return Case("chains", Graph.record(f, x), {"x": x}, {"x": x}, x, dtype)


def wrong(case: Case, op: str, mode: str, status: str = DISAGREE, reason: str = "") -> Verdict:
    """A verdict that accuses an op where the case has it; agreement otherwise."""
    k = next((k for k, node in enumerate(case.graph.nodes) if node.op and node.op.name == op), None)
    return Verdict(mode, AGREE) if k is None else Verdict(mode, status, reason, first_wrong=(k, op))


def shrinker(examine: Callable[[Case], list[Verdict]], budget: Budget | None = None) -> Shrinker:
    """A shrinker after a whole block has been judged."""
    sequence = CaseSequence(chain, "chains", "float64", "cpu", SEED)
    judged: dict[str, Failure] = {}
    for k in range(MOST):
        case = sequence.case(k)
        judged[case.id] = Failure(case, examine(case), sequence.choices(k))
    failures = {name: failure for name, failure in judged.items() if failure.failed}
    return Shrinker(sequence, examine, failures, judged.keys() - failures.keys(), budget or Budget())


def ops(case: Case) -> list[str]:
    return [node.op.name for node in case.graph.nodes if node.op is not None]


def test_every_fault_ends_in_its_own_smallest_case() -> None:
    found = shrinker(
        lambda case: [
            wrong(case, "tanh", "reverse"),
            wrong(case, "tanh", "forward"),
            wrong(case, "exp", "reverse"),
        ]
    )
    assert any(len(failure.faults) == 3 for failure in found.failures.values())
    small, shrunk, unshrunk = found.run()
    assert (shrunk, unshrunk) == (3, 0)
    # One case serves both modes of tanh.
    assert sorted(ops(failure.case) for failure in small) == [["exp"], ["tanh"]]
    assert all(failure.case.inputs["x"][0] == 0 for failure in small)


def test_a_case_that_shows_another_fault_is_not_taken_for_a_smaller_one() -> None:
    """tanh is wrong after another op only; alone it is wrong in another mode."""
    found = shrinker(lambda case: [wrong(case, "tanh", "reverse" if len(ops(case)) > 2 else "forward")])
    small, _, _ = found.run()
    sizes = {fault.mode: len(ops(failure.case)) for failure in small for fault in failure.faults}
    assert sizes == {"reverse": 3, "forward": 1}


def test_errors_are_faults_by_their_class() -> None:
    def examine(case: Case) -> list[Verdict]:
        reason = "IndexError: beyond the end" if "tanh" in ops(case) else "TypeError: a string"
        return [Verdict("value", ERROR, reason=reason)] if len(ops(case)) > 1 else [Verdict("value", AGREE)]

    small, shrunk, _ = shrinker(examine).run()
    assert shrunk == 2
    assert {str(next(iter(failure.faults))) for failure in small} == {
        "IndexError (value)",
        "TypeError (value)",
    }
    assert {len(ops(failure.case)) for failure in small} == {2}


def test_the_first_mode_of_every_op_comes_first() -> None:
    """A budget for three faults names three ops, the plain modes before the further ones."""
    modes = ("reverse over reverse", "forward", "reverse")
    found = shrinker(lambda case: [wrong(case, op, mode) for op in ("exp", "sin", "tanh") for mode in modes])
    tried: list[Fault] = []

    class Three(Budget):
        def begin(self) -> bool:
            return len(tried) < 3

    found.budget = Three()
    found._shrink = lambda fault: (
        tried.append(fault) or replace(next(iter(found.failures.values())), verdicts=[])
    )  # type: ignore[assignment, func-returns-value]
    _, shrunk, unshrunk = found.run()
    assert {(fault.op, fault.mode) for fault in tried} == {(op, "reverse") for op in ("exp", "sin", "tanh")}
    assert (shrunk, unshrunk) == (3, 6)


def test_attempts_are_counted_for_each_fault() -> None:
    judged: list[str] = []

    def examine(case: Case) -> list[Verdict]:
        judged.append(case.id)
        return [wrong(case, "tanh", "reverse"), wrong(case, "cos", "reverse")]

    found = shrinker(examine, Budget(attempts=1))
    judged.clear()
    small, shrunk, unshrunk = found.run()
    assert len(judged) == len(set(judged)) == 2
    assert (shrunk, unshrunk) == (2, 0)
    for op in ("tanh", "cos"):  # the smallest seen so far
        sizes = [f.size for f in found.failures.values() if Fault(op, "reverse") in f.faults]
        assert min(sizes) in [f.size for f in small if Fault(op, "reverse") in f.faults]


def test_without_time_nothing_is_judged_again() -> None:
    found = shrinker(lambda case: [wrong(case, "tanh", "reverse")], Budget(seconds=0.0))
    found.examine = lambda case: pytest.fail("no time is left")
    assert found.run() == ([], 0, 1)
