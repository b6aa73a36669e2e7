"""Rows of the judge: a full check of a gradient beside torch's gradcheck, and random graphs drawn by Hypothesis and from seeds."""

from __future__ import annotations

from benchmarks.rows import OURS, Row, fastest, peers  # isort: skip  first, for it sets one thread before NumPy is loaded

import time
from typing import Any

import numpy as np

Array = Any
SLOW = "torch, slow mode"


def gradchecks() -> list[Row]:
    """gradcheck of tanh with n inputs: how many times faster than torch's fast and slow modes."""
    if peers.torch is None:
        return []
    from benchmarks.gradcheck import FEWEST, cases, checked

    peers.torch.manual_seed(0)
    rows, check = [], peers.torch.autograd.gradcheck
    for n, goal, slow_goal in ((100, 5.0, 60.0), (10_000, 2.8, 4000.0), (100_000, 1.8, None)):
        fn, _, inputs = case = cases(n)["tanh"]
        calls = {
            OURS: checked(case, **FEWEST),
            peers.TORCH: lambda fn=fn, inputs=inputs: check(fn, inputs, fast_mode=True),
        }
        if n == 100:
            calls[SLOW] = lambda fn=fn, inputs=inputs: check(fn, inputs)
        times = fastest(calls, 5.0)
        row = Row(
            f"full check of a gradient, n = {n:,}",
            "x faster than gradcheck, fast mode",
            {OURS: times[peers.TORCH] / times[OURS]},
            goal,
            False,
        )
        slow = times.get(SLOW)
        if n == 10_000:
            start = time.process_time()
            check(fn, inputs)
            slow = time.process_time() - start
        if slow is not None and slow_goal is not None:
            ratio = slow / times[OURS]
            row.note = f"slow mode: {ratio:,.0f} x faster (goal {slow_goal:,.0f}, {'met' if ratio >= slow_goal else 'missed'})"
        rows.append(row)
    return rows


def drawn() -> Row:
    """Random graphs per second: one core draws graphs and evaluates each node once."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    from conformance.families import FAMILIES
    from refgrad.testing.cases.source import Seeded

    functions = (np.sin, np.tanh, np.add, np.multiply)

    @st.composite
    def cases(draw: Any) -> Array:
        ys = [draw(hnp.arrays(np.float64, (2, 3), elements=st.floats(-2, 2))) for _ in range(2)]
        for _ in range(8):
            function = functions[draw(st.integers(0, 3))]
            of = [ys[draw(st.integers(0, len(ys) - 1))] for _ in range(function.nin)]
            ys.append(function(*of))
        return ys[-1]

    count = 300

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def through_hypothesis(_: Array) -> None: ...

    nodes = 0

    def from_seeds() -> None:
        nonlocal nodes
        nodes = sum(len(FAMILIES["graphs"](Seeded([9, k]), "float64").graph.nodes) for k in range(count))

    times = fastest({"Hypothesis": through_hypothesis, OURS: from_seeds}, 6.0, least=3)
    base, ours = count / times["Hypothesis"], nodes / 10 / times[OURS]
    return Row(
        "random graphs of 10 nodes a second", "x Hypothesis with hnp.arrays", {OURS: ours / base}, 8.0, False,
        note=f"Hypothesis: {base:,.0f} a second; refgrad from seeds: {ours:,.0f} (its graphs have {nodes / count:.1f} nodes; scaled to 10)",
    )  # fmt: skip
