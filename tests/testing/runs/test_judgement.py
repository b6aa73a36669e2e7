"""Judgement of several observations: the verdicts are those on each by itself, in every field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families import FAMILIES, can_draw
from refgrad.bounds.formats import DTYPES, judged_on
from refgrad.graph import Graph
from refgrad.modes import FORWARD_END_TO_END, REVERSE_END_TO_END
from refgrad.ops.piecewise_activations import softshrink
from refgrad.records.audit import EXACT_CASES, NODE_BY_NODE
from refgrad.testing import Case, judge
from refgrad.testing.cases.source import Seeded
from refgrad.testing.judging import settlement
from refgrad.testing.judging.judge import Judge
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import Comparison, Verdict
from refgrad.testing.power.audit import EVERY, Audit
from refgrad.testing.runs.judgement import Observed, judge_together, sampled, wide
from refgrad.torch.observe import observe

END_TO_END = {REVERSE_END_TO_END, FORWARD_END_TO_END}
ON_CPU = [dtype for dtype in DTYPES if judged_on("cpu", dtype)]


def cases(family: str, dtype: str, count: int) -> list[Case]:
    return [FAMILIES[family](Seeded([17, k]), dtype) for k in range(count)]


def observed(family: str, dtype: str, count: int) -> list[Observed]:
    return [Observed(case, observe(case)) for case in cases(family, dtype, count)]


def plain(x: Any) -> Any:
    """All fields of verdicts, comparisons and elements as text; what makes elements on request is called."""
    if isinstance(x, Comparison):
        made = (plain(x.worst), None if x.every_wrong is None else plain(x.every_wrong()))
        return made, _fields(x, {"make_worst", "every_wrong", "sharpness"})
    # Its sensitivity is a mean, formed in float64 or long double by the number of elements.
    if isinstance(x, Verdict):
        fields = _fields(x, {"name_first_wrong", "seen", "sensitivity"})
        return fields | {"sensitivity": None if x.sensitivity is None else f"{x.sensitivity:.14g}"}
    if dataclasses.is_dataclass(x):
        return _fields(x, set())
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return [plain(v) for v in x] if isinstance(x, (list, tuple)) else repr(x)


def _fields(x: Any, but: set[str]) -> dict[str, Any]:
    return {f.name: plain(getattr(x, f.name)) for f in dataclasses.fields(x) if f.name not in but}


@pytest.mark.parametrize(
    ("family", "dtype"), [(f, d) for f in sorted(FAMILIES) for d in ON_CPU if can_draw(f, None, d)]
)
def test_a_sweep_has_the_verdicts_of_single_cases(family: str, dtype: str) -> None:
    sweep = observed(family, dtype, 12)
    together = judge_together(sweep, end_to_end=True)
    assert [plain(v) for v in together] == alone(sweep)


def alone(sweep: list[Observed], end_to_end: bool = True) -> list[Any]:
    """The verdicts on each case by itself, every array compared by its own judge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "_rows", lambda draft: [])
        return [plain(judge(case, seen, end_to_end=end_to_end)) for case, seen, _ in sweep]


def wrong(seen: Observation, change: Callable[[np.ndarray], np.ndarray]) -> Observation:
    """The observation with the last array of each part changed."""
    for part in (seen.values, seen.cotangents, seen.tangents):
        k = max((k for k, x in enumerate(part) if x is not None and x.dtype.kind == "f"), default=None)
        if k is not None:
            part[k] = change(np.array(part[k]))
    return seen


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 2 * x + 1,
        lambda x: x * np.nan,
        lambda x: np.full_like(x, np.inf),
    ],
    ids=["gross", "nan", "infinite"],
)
def test_wrong_arrays_among_right_ones_have_the_verdicts_of_single_cases(change: Any) -> None:
    drawn = cases("graphs", "float32", 24)
    sweep = [
        Observed(c, wrong(observe(c), change) if k % 3 == 0 else observe(c)) for k, c in enumerate(drawn)
    ]
    together = judge_together(sweep, end_to_end=True)
    assert [plain(v) for v in together] == alone(sweep)
    failing = [any(v.failed for v in verdicts) for verdicts in together]
    assert any(failing[::3])
    assert not all(failing)


def test_beside_a_wrong_array_the_others_are_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [case for case in cases("graphs", "float32", 24) if not wide(case)]
    sweep = [Observed(c, wrong(observe(c), lambda x: 2 * x + 1)) for c in drawn]
    again: list[int] = []
    compare = Judge.compare
    monkeypatch.setattr(
        Judge,
        "compare",
        lambda judge, tally, places: (again.append(len(places)), compare(judge, tally, places)),
    )
    verdicts = judge_together(sweep, end_to_end=False)
    assert any(v.failed for found in verdicts for v in found)
    assert again.count(1) > len(sweep)


def test_an_array_of_another_shape_among_right_ones_is_a_disagreement() -> None:
    drawn = cases("graphs", "float32", 12)
    sweep = [Observed(case, observe(case)) for case in drawn]
    seen = next(seen for _, seen, _ in sweep if seen.tangents[-1] is not None)
    seen.tangents[-1] = seen.tangents[-1][..., None]
    together = judge_together(sweep, end_to_end=False)
    assert [plain(v) for v in together] == alone(sweep, end_to_end=False)
    assert any("has shape" in v.message for verdicts in together for v in verdicts)


def test_audits_of_a_sweep_are_those_of_single_cases() -> None:
    sweep = observed("graphs", "bfloat16", 10)
    one, many = Audit(), Audit()
    for case, seen, _ in sweep:
        judge(case, seen, one)
    judge_together([Observed(case, seen, many) for case, seen, _ in sweep], end_to_end=True)
    assert one.counts == many.counts
    assert sum(planted for planted, *_ in many.counts.values())


def test_runs_judge_a_sample_from_end_to_end_and_what_does_not_agree() -> None:
    drawn = cases("graphs", "float64", 60)
    bad = drawn[3]
    assert any(map(wide, drawn))
    sweep = [Observed(c, wrong(observe(c), lambda x: 2 * x + 1) if c is bad else observe(c)) for c in drawn]
    for (case, _, _), verdicts in zip(sweep, judge_together(sweep), strict=True):
        by_node = [v for v in verdicts if v.mode not in END_TO_END]
        undecided = any(v.status == "undecided" and v.elements + v.skipped for v in by_node)
        finding = undecided or any(v.status in ("disagree", "error") for v in by_node)
        expected = finding or (sampled(case) and not wide(case))
        assert len(verdicts) == (5 if expected else 3), case.id
    narrow = [Observed(c, s, Audit()) for c, s, _ in sweep if not wide(c)]
    assert all(len(v) == 5 for v in judge_together(narrow))
    assert all(len(v) == 3 for v in judge_together(sweep, end_to_end=False))
    share = np.mean([sampled(case) for case in drawn])
    assert 0.25 / EVERY < share < 4 / EVERY


def test_a_wide_case_is_audited_node_by_node_alone() -> None:
    case = next(case for case in cases("graphs", "float32", 60) if wide(case))
    audit = Audit()
    [verdicts] = judge_together([Observed(case, observe(case), audit)])
    assert len(verdicts) == 3
    assert {check for check, *_ in audit.counts} <= {NODE_BY_NODE, EXACT_CASES}
    assert any(planted for planted, *_ in audit.counts.values())


def test_a_single_number_whose_bound_is_a_float_is_judged() -> None:
    graph = Graph()
    graph.output(softshrink(graph.input("a"), threshold=0.0))
    a, a_dot, y_bar = (np.asarray(x, np.float32) for x in (1.9765625, 0.5, 1.25))
    case = Case("ops", graph, {"a": a}, {"a": a_dot}, y_bar, "bfloat16")
    [verdicts] = judge_together([Observed(case, observe(case))])
    assert [v.status for v in verdicts if v.mode not in END_TO_END] == ["agree"] * 3


def test_where_nothing_is_differentiated_the_value_alone_has_a_verdict() -> None:
    case = FAMILIES["functions"](Seeded([17, 0]), "float64", among=["special.modified_bessel_k0"])
    assert not case.inputs
    assert [(v.mode, v.status) for v in judge(case, observe(case))] == [("value", "agree")]
