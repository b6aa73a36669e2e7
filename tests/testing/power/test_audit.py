"""The audit: what is planted, what is equivalent, and that a blind judge is detected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families import FAMILIES, ON_GRID, can_draw
from refgrad import nn
from refgrad.graph import Graph
from refgrad.modes import FORWARD, REVERSE, VALUE
from refgrad.records import Crash
from refgrad.records.audit import END_TO_END, EXACT_CASES, NODE_BY_NODE
from refgrad.testing import Audit, Case, NodeByNode, judge
from refgrad.testing.cases.sequence import Family
from refgrad.testing.cases.source import Seeded
from refgrad.testing.judging import judge as judge_module
from refgrad.testing.judging import node_by_node
from refgrad.testing.judging.alternative_formulas import Reach
from refgrad.testing.judging.observation import NoAnswer, Place
from refgrad.testing.power import audit as auditing
from refgrad.testing.power.graph_mutations import CATALOGUE, ONE_UNIT, Scene, changed
from refgrad.torch.observe import observe
from refgrad.tracing.ball import exact
from tests.whole_runs import WholeRun, conformance

# Graphs hold empty arrays, of which torch and NumPy warn that their deviation is not defined.
pytestmark = [
    pytest.mark.filterwarnings("ignore:std:UserWarning"),
    pytest.mark.filterwarnings("ignore:Degrees of freedom:RuntimeWarning"),
]


FIRST = range(10)


def example(x: Any, f: Any, y_bar: Any, dtype: str = "float64") -> Case:
    x = np.asarray(x, dtype)
    return Case(
        "graphs", Graph.record(f, x), {"x": x}, {"x": np.ones_like(x)}, np.asarray(y_bar, dtype), dtype
    )


def judged(case: Case) -> NodeByNode:
    node_judge = NodeByNode(case, observe(case))
    assert not any(v.failed for v in (node_judge.value(), node_judge.reverse(), node_judge.forward()))
    return node_judge


def equivalent(case: Case, place: Any, mutation: str, seed: int = 0) -> bool:
    """Whether the audit calls a mutation at a place equivalent."""
    node_judge = judged(case)
    scene = Scene(node_judge, place, exact(node_judge.seen.at(place), node_judge.fmt))
    wrong = CATALOGUE[mutation](scene, np.random.default_rng(seed))
    assert wrong is not None
    return auditing._Reference(node_judge).equivalent(place, wrong)


# Others draw single ops.
WHOLE = [draw for draw in FAMILIES.values() if draw(Seeded(0), "float64").order == 1]


def counts(seeds: range, families: Iterable[Family] = FAMILIES.values()) -> Audit:
    """Further modes are not judged: nothing is planted there."""
    audit = Audit()
    for family in families:
        for seed in seeds:
            case = family(Seeded([11, seed]), "float64")
            judge(case, observe(case), audit, end_to_end=case.order == 1)
    return audit


@pytest.fixture(scope="module")
def planted() -> tuple[Audit, Audit]:
    """The first cases, and these with many more programs."""
    first, every = counts(FIRST), Audit()
    for audit in (first, counts(range(FIRST.stop, 60), WHOLE)):
        every.add(audit)
    return first, every


def test_every_kind_of_error_is_planted_and_nearly_all_are_caught(planted: tuple[Audit, Audit]) -> None:
    _, every = planted
    assert every.broken == []
    for mutation in CATALOGUE:
        number, equivalent, caught, _ = every.counts[NODE_BY_NODE, mutation, "float64"]
        assert number >= 20, mutation
        assert number > equivalent, mutation
        assert caught <= number - equivalent
        # a correct kernel may be off by one unit, so many of these are not caught
        assert caught >= (0.5 if mutation == ONE_UNIT else 0.95) * (number - equivalent), mutation
    assert every.counts[END_TO_END, "sign", "float64"][2] >= 20


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_every_error_of_an_exact_case_is_caught(dtype: str) -> None:
    audit = Audit()
    for family, draw in ON_GRID.items():
        if not can_draw(family, None, dtype):
            continue
        for seed in range(15):
            case = draw(Seeded([12, seed]), dtype)
            judge(case, observe(case), audit)
        assert audit.counts.keys() & {(EXACT_CASES, ONE_UNIT, dtype)}, family
    exact = {mutation: c for (check, mutation, _), c in audit.counts.items() if check == EXACT_CASES}
    assert {"sign", "one wrong element", ONE_UNIT} <= exact.keys()
    for mutation, (number, equivalent, caught, imprecise) in exact.items():
        assert caught == number - equivalent, mutation
        assert not imprecise
    number, equivalent, caught, _ = exact[ONE_UNIT]
    assert caught > 20
    assert not equivalent


def test_an_exact_case_is_one_without_any_radius() -> None:
    def exact(case: Case) -> bool:
        return auditing._Reference(judged(case)).exact

    ones = [1.0, 2.0, 3.0]
    assert exact(example(ones, lambda x: 2.0 * x * x, ones, "float16"))
    assert not exact(example(ones, np.exp, ones, "float16"))
    assert not exact(example([0.0], np.abs, [1.0], "float16"))  # the derivative is a set
    assert not exact(example([1.0, 2.0, 2.0**-11], lambda x: 2.0 * np.sum(x), 1.0, "float16"))


def test_where_another_formula_rounds_no_place_is_exact() -> None:
    """As where a kernel multiplies by an approximate reciprocal: its last bit is no error."""
    case = example([1.0, 2.0, 3.0], lambda x: 2.0 * x * x, [1.0, 2.0, 3.0], "float16")
    node_judge = judged(case)
    reference, place = auditing._Reference(node_judge), next(auditing.places(node_judge))
    assert reference.exact_at(place)
    node_judge.expectations[place]._reaches = [Reach(np.array([0.0, 0.0, 2.0**-11]), blind=False)]
    assert not reference.exact_at(place)


def test_a_bound_that_is_not_zero_where_nothing_rounds_makes_no_exact_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge_module, "on_grid", lambda case: False)
    monkeypatch.setattr(node_by_node, "on_grid", lambda case: False)
    audit, case = Audit(), ON_GRID["matmul"](Seeded(3), "float32")
    judge(case, observe(case), audit)
    assert not [check for check, *_ in audit.counts if check == EXACT_CASES]


def test_the_same_cases_give_the_same_audit(planted: tuple[Audit, Audit]) -> None:
    first, _ = planted
    assert first.counts
    assert counts(FIRST).counts == first.counts


def test_a_blind_comparison_catches_nothing_and_nothing_else_becomes_equivalent(
    monkeypatch: pytest.MonkeyPatch, planted: tuple[Audit, Audit]
) -> None:
    from refgrad.testing.judging import judge as judge_module
    from refgrad.testing.judging.verdict import Comparison

    monkeypatch.setattr(
        judge_module,
        "compare_all",
        lambda pairs, fmt, nan=False: [Comparison(elements=np.size(got)) for got, *_ in pairs],
    )
    blind, (first, _) = counts(FIRST), planted
    assert sum(caught for _, _, caught, _ in blind.counts.values()) == 0
    number, equivalent = (sum(c[k] for c in blind.counts.values()) for k in range(2))
    sighted = sum(c[1] for c in first.counts.values()) / sum(c[0] for c in first.counts.values())
    assert equivalent / number <= sighted + 0.05


def test_a_judge_that_passes_nodes_over_misses_what_is_planted_there(monkeypatch: pytest.MonkeyPatch) -> None:
    expect = NodeByNode.expect

    def forgetful(self: Any, tally: Any, place: Any, *rest: Any, **more: Any) -> None:
        if place[0] != "cotangents":
            expect(self, tally, place, *rest, **more)

    monkeypatch.setattr(NodeByNode, "expect", forgetful)
    x = np.array([0.5, -1.0, 2.0])
    case = example(x, lambda x: np.exp(np.sin(x)), np.ones(3))
    node_judge = NodeByNode(case, observe(case))
    for mode in (node_judge.value, node_judge.reverse, node_judge.forward):
        mode()
    assert ("cotangents", 0) in set(auditing.places(node_judge))
    assert (
        node_judge.rejudge(
            Place("cotangents", 0), node_judge.seen.with_array(Place("cotangents", 0), -x)
        ).status
        == "undecided"
    )


@pytest.mark.parametrize(
    ("mutation", "f", "x", "y_bar"),
    [
        ("sign", lambda x: 0.0 * x, [1.0, 2.0], [1.0, 1.0]),
        ("roll", lambda x: 3.0 * x, [1.0, 2.0], [0.5, 0.5]),
        ("transpose", lambda x: 3.0 * x, [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [2.0, 1.0]]),
        ("stale saved tensor", lambda x: x + 1.0, [1.0, 2.0], [1.0, 2.0]),
        ("wrong branch", np.abs, [0.0], [2.0]),
    ],
)  # fmt: skip
def test_what_makes_no_difference_is_equivalent(mutation: str, f: Any, x: Any, y_bar: Any) -> None:
    assert equivalent(example(x, f, y_bar), ("cotangents", 0), mutation)


@pytest.mark.parametrize(
    "mutation", ["relative 1e-6", "relative 1e-2", "sign", "factor 2", "dropped path", "one wrong element"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_difference_that_the_bound_hides_is_not_equivalent(mutation: str, dtype: str) -> None:
    """What softmax sends back to equal logits is a difference of nearly equal numbers: it may lie below its bound and is still not 0."""
    case = example([1.0, 1.0, 1.0], nn.softmax, [1.0, 1.0, 1.0 + 2**-23], dtype)
    assert not equivalent(case, ("cotangents", 0), mutation)


def test_one_lost_digit_of_the_wide_format_is_no_error_and_a_lost_digit_of_the_narrow_one_is() -> None:
    case = example([0.7], np.exp, [1.0], "float32")
    node_judge = judged(case)
    reference = auditing._Reference(node_judge)
    for change, expected in ((2.0**-52, True), (2.0**-22, False)):
        assert (
            reference.equivalent(("cotangents", 0), changed(lambda x, factor=1 + change: x * factor))
            is expected
        )


def test_errors_are_what_their_names_say() -> None:
    x = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    case = Case("graphs", Graph.record(lambda x, b: np.mean(np.maximum(x * b, 0.0)), x, x[0]), {"x": x, "b": x[0]},
                {"x": np.ones((2, 3)), "b": np.ones(3)}, np.float64(6.0), "float64")  # fmt: skip
    node_judge = judged(case)
    nodes = {str(n): k for k, n in enumerate(case.graph.nodes)}
    sent = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])  # of the mean through the mask

    def wrong(mutation: str, place: Any) -> Any:
        scene = Scene(node_judge, place, exact(node_judge.seen.at(place), node_judge.fmt))
        found = CATALOGUE[mutation](scene, np.random.default_rng(0))
        return None if found is None else np.asarray(found(scene).value, float)

    assert np.array_equal(wrong("forgotten 1/n", ("cotangents", nodes["maximum"])), 6 * np.ones((2, 3)))
    assert wrong("missing broadcast sum", ("cotangents", nodes["b"])).tolist() in [
        list(row) for row in sent * x
    ]
    assert wrong("missing broadcast sum", ("cotangents", nodes["x"])) is None
    flipped = wrong("wrong branch", ("cotangents", nodes["multiply"]))
    assert np.sum(flipped != sent) == 1
    mean = ("tangents", nodes["mean"])  # linear: nothing is saved
    assert np.array_equal(wrong("stale saved tensor", mean), node_judge.seen.at(mean))
    assert wrong("transpose", ("cotangents", nodes["x"])) is None


def test_a_known_disagreement_is_no_place_to_plant() -> None:
    case = example([0.5, 1.0], np.sin, [1.0, 2.0])
    seen = observe(case)
    seen.cotangents[0] = -seen.cotangents[0]
    node_judge = NodeByNode(case, seen)
    node_judge.reverse()
    assert not auditing._agreed(node_judge, ("cotangents", 0))


def test_a_mode_without_an_answer_is_no_place_to_plant() -> None:
    """A framework may have given some tangents before it refuses an op: nobody compares them."""
    case = example([0.5, 1.0], np.sin, [1.0, 2.0])
    seen = observe(case)
    parts = {place[0] for place in auditing.places(NodeByNode(case, seen))}
    assert parts >= {"values", "cotangents", "tangents"}
    for mode, lost in ((FORWARD, {"tangents"}), (REVERSE, {"cotangents", "parts"}), (VALUE, {"values"})):
        without = replace(seen, unavailable={mode: NoAnswer("no rule", refused=True)})
        node_judge = NodeByNode(case, without)
        assert {place[0] for place in auditing.places(node_judge)} == parts - lost


def test_an_exception_in_the_audit_is_a_crash_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(scene: Any, rng: Any) -> Any:
        raise ZeroDivisionError("planted")

    monkeypatch.setitem(CATALOGUE, "sign", fails)
    case, audit = example([0.5], np.sin, [1.0]), Audit()
    assert not any(v.failed for v in judge(case, observe(case), audit))
    (crash,) = [r for r in audit.records() if isinstance(r, Crash)]
    assert crash.item == f"audit of case {case.id}"
    assert crash.reason == "ZeroDivisionError: planted"


@pytest.mark.long
def test_a_run_shows_what_it_would_have_caught(clean_run: WholeRun) -> None:
    assert clean_run.code == 0
    kinds = {line["mutation"] for line in clean_run.lines("audit")}
    assert kinds >= {"sign", "missing broadcast sum", "forgotten 1/n", "relative 1e-4"}
    assert "planted  node by node" in clean_run.stdout
    assert "missing broadcast sum" in (clean_run.out / "report.html").read_text()


def run(out: Path) -> WholeRun:
    """A run of generated cases."""
    scope = ["--family", "mlp", "--dtype", "float64", "--device", "cpu", "--examples", "60", "--workers", "0"]
    return conformance(out, *scope)


@pytest.mark.long
def test_a_run_with_a_blind_judge_is_vacuous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_anew: Callable[[str], None]
) -> None:
    """The comparison always agrees: everything is green, and the run exits with 3.

    The recorded disagreements, which would be missed first, are taken out.
    """
    from refgrad.testing.deviations import file
    from refgrad.testing.judging import judge as judge_module

    read_anew("conformance.test_families")
    monkeypatch.setattr(file, "load", lambda path, **_: [])

    compare_all = judge_module.compare_all
    monkeypatch.setattr(
        judge_module,
        "compare_all",
        lambda pairs, fmt, nan=False: compare_all(
            [(getattr(expected, "value", expected), expected, *rest) for _, expected, *rest in pairs], fmt
        ),
    )
    done = run(tmp_path)
    assert {line["status"] for line in done.lines("result")} <= {"agree", "undecided"}
    assert done.code == 3
    assert "The run is vacuous" in done.printed


@pytest.mark.long
def test_a_judge_that_is_blind_to_a_factor_of_two_alone_is_vacuous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_anew: Callable[[str], None]
) -> None:
    from refgrad.testing.deviations import file
    from refgrad.testing.judging import judge as judge_module

    # One recorded disagreement is a gradient counted twice, which this judge would miss first.
    read_anew("conformance.test_families")
    monkeypatch.setattr(file, "load", lambda path, **_: [])
    compare_all = judge_module.compare_all

    def half_blind(pairs: Any, fmt: Any, nan: bool = False) -> Any:
        halves = compare_all([(got / 2, *rest) for got, *rest in pairs], fmt)
        return [
            whole if half.wrong else half for whole, half in zip(compare_all(pairs, fmt), halves, strict=True)
        ]

    monkeypatch.setattr(judge_module, "compare_all", half_blind)
    done = run(tmp_path)
    assert done.code == 3
    assert "factor 2 in float64: 0 of" in done.printed
