"""Cases by the ops that were judged in them, against sets made by a plain loop."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from refgrad.modes import REVERSE_END_TO_END
from refgrad.records import Result
from refgrad.report.analysis.case_tally import CaseTally

OPS = ("exp", "tanh", "sum", "multiply")


@pytest.fixture
def results() -> list[Result]:
    draw = random.Random(0)
    return [
        Result(
            f"case {draw.randrange(60)}", "graphs", draw.choice(("float64", "float32")), "cpu",
            draw.choice(("value", "reverse", REVERSE_END_TO_END)), draw.choice(("agree", "disagree", "undecided")), elements=3,
            ops=dict.fromkeys(draw.sample(OPS, 2), (1, 3, 0.5)), shrunk=draw.random() < 0.2,
        )
        for _ in range(400)
    ]  # fmt: skip


def counted(results: list[Result]) -> CaseTally:
    tally = CaseTally()
    for r in results:
        tally.add(r)
    return tally


def test_ops_come_from_node_by_node_results(results) -> None:
    judged = defaultdict(set)
    for r in results:
        if r.mode != REVERSE_END_TO_END:
            judged[r.id] |= set(r.ops)
    tally = counted(results)
    for case in tally.ids:
        assert tally.judged(case, ("exp", "sum", "absent")) == judged[case] & {"exp", "sum"}
    without = {"case 1", "case 2"}
    for op in OPS:
        found = sum(number for ops, _, number in tally.by_ops([op], without) if ops == {op})
        assert found == sum(op in ops for case, ops in judged.items() if case not in without) > 0
    assert list(tally.by_ops(["absent"], set())) == []


def test_entries_are_the_results_of_a_case_in_any_order_and_division(results) -> None:
    whole, turned, divided = counted(results), counted(results[::-1]), counted(results[:150])
    divided.update(counted(results[150:]))
    expected = {
        case: tuple(sorted((r.family, r.device, r.dtype, r.mode, r.status, r.shrunk, r.op if r.failed else "")
                           for r in results if r.id == case))
        for case in {r.id for r in results}
    }  # fmt: skip
    for tally in (whole, turned, divided):
        assert dict(tally.items()) == expected
        assert len(tally) == len(expected)
        assert sum(tally.by_entries().values()) == len(expected)
        assert all(tally.judged(case, OPS) == whole.judged(case, OPS) for case in expected)
    assert whole.entries("absent") == ()
    assert "absent" not in whole
