"""Known disagreements: what an entry describes is marked, and everything else still fails."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import profile_of
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation, mark
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.deviations.narrowing import Narrowing
from refgrad.testing.deviations.releases import Releases
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import ERROR, Verdict
from refgrad.tracing.ball import Ball, exact

A, B = np.array([0.1, 2.0, 0.5]), np.array([1.0, 1.0, 0.5])


def setting(dtype: str = "float64", device: str = "cpu", family: str = "graphs") -> Setting:
    graph = Graph.record(np.maximum, A, B)
    a, b = graph.inputs
    case = Case(family, graph, {a: A, b: B}, {a: A, b: B}, A, dtype, device)
    nothing = {part: [None] * 3 for part in ("values", "cotangents", "tangents")}
    return Setting(case, Observation([A, B, np.maximum(A, B)], [None] * 3, [A, B, A], nothing, dict(nothing)))


def deviation(**narrow: object) -> Deviation:
    sets = (frozenset({"maximum"}), frozenset({"forward"}), frozenset({"float64"}), frozenset({"cpu"}))
    narrowing = Narrowing(**{"got": frozenset({"number"}), **narrow})  # type: ignore[arg-type]
    return Deviation(
        "one", *sets, Releases("2.6", "2.12"), "because", "docs", Path("case.json"), narrow=narrowing
    )


def wrong(mode: str = "forward", *accused: list[str], got: float = 9.0, at: int = 0) -> Verdict:
    """A verdict with one wrong element at each of these nodes."""
    tally, came = Tally(mode, "float64", "cpu"), np.ones(3)
    came[at] = got
    for ops in accused or [["maximum"]]:
        due = Ball(np.ones(3, np.longdouble), np.full(3, 1e-12), FORMATS["float64"])
        found = compare(came, due, FORMATS["float64"], "tangent")
        found.place = ("tangents", 2)
        tally.add(2, " or ".join(ops), found, ops)
    return tally.verdict()


def test_a_recorded_disagreement_does_not_fail() -> None:
    v = wrong()
    mark([v], [deviation()], setting())
    assert v.known == "one"
    assert not v.failed
    assert not v  # known is not agreement


def test_an_entry_that_does_not_stand_excuses_nothing() -> None:
    asked: list[int] = []
    gone = dataclasses.replace(deviation(), stands=lambda: bool(asked.append(1)))
    mark([wrong("reverse")], [gone], setting())
    assert not asked  # evidence is judged only where the entry is needed
    v = wrong()
    mark([v], [gone], setting())
    assert asked
    assert v.failed


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_an_entry_of_a_mode_covers_a_fused_backend_from_end_to_end_and_no_other_backend(mode: str) -> None:
    entry, here = dataclasses.replace(deviation(), modes=frozenset({mode})), setting()
    profile = dataclasses.replace(profile_of("cpu"), fused=True)
    fused = dataclasses.replace(here, seen=dataclasses.replace(here.seen, profile=profile))
    end_to_end = f"{mode} end to end"
    assert entry.concerns(mode, here)
    assert entry.concerns(end_to_end, fused)
    assert not entry.concerns(end_to_end, here)
    other = "forward end to end" if mode == "reverse" else "reverse end to end"
    assert not entry.concerns(other, fused)
    assert not entry.concerns("value", fused)


@pytest.mark.parametrize(
    ("v", "where"),
    [
        (wrong("reverse"), setting()),
        (wrong(), setting(dtype="float32")),
        (wrong(), setting(device="cuda")),
        (wrong("forward", ["tanh"]), setting()),
        (wrong("forward", ["maximum"], ["tanh"]), setting()),
        (wrong("forward", ["maximum", "tanh"]), setting()),
        (wrong(got=float("nan")), setting()),
    ],
)
def test_everything_else_still_fails(v: Verdict, where: Setting) -> None:
    mark([v], [deviation()], where)
    assert v.failed


def test_a_format_is_covered_by_the_dtype_that_stores_it_and_a_device_by_its_kind() -> None:
    single = dataclasses.replace(deviation(), dtypes=frozenset({"float32"}), devices=frozenset({"cuda"}))
    for where, known in (
        (setting(dtype="tf32", device="cuda"), "one"),
        (setting(dtype="float32", device="cuda:1"), "one"),
        (setting(dtype="bfloat16", device="cuda"), ""),
        (setting(dtype="float32"), ""),
    ):
        v = wrong()
        mark([v], [single], where)
        assert v.known == known


def test_an_entry_may_be_of_a_layout_in_memory() -> None:
    entry, contiguous = dataclasses.replace(deviation(), layouts=frozenset({"channels last"})), setting()
    case = dataclasses.replace(contiguous.case, layouts={next(iter(contiguous.case.inputs)): "channels last"})
    assert entry.concerns("forward", dataclasses.replace(contiguous, case=case))
    assert not entry.concerns("forward", contiguous)


def test_a_missing_gradient_is_no_wrong_number() -> None:
    def missing() -> Verdict:
        v = wrong()
        v.wrong_nodes[0][2].note, v.wrong_nodes[0][2].every_wrong = (
            "tangent: the framework gave none, one is due",
            None,
        )
        return v

    for narrow, known in (({}, ""), ({"note": "gave none"}, "one"), ({"note": "has dtype"}, "")):
        v = missing()
        mark([v], [deviation(**narrow)], setting())
        assert v.known == known


def test_an_entry_for_a_dtype_does_not_cover_a_wrong_number_beside_it() -> None:
    note, number = deviation(note="has dtype"), dataclasses.replace(deviation(), id="two")

    def both() -> Verdict:
        v = wrong()
        v.wrong_nodes[0][2].note = "tangent of node 2 has dtype float64, expected float32"
        return v

    for entries, known in (([note], ""), ([number], ""), ([note, number], "one, two")):
        v = both()
        mark([v], entries, setting())
        assert v.known == known
        assert v.failed is not bool(known)


def test_end_to_end_is_known_only_where_the_nodes_are() -> None:
    end_to_end = wrong("forward end to end", ["tanh"])
    mark([wrong(), end_to_end], [deviation()], setting())
    assert end_to_end.known == "one"
    alone = wrong("forward end to end", ["maximum"])
    mark([alone], [deviation()], setting())
    assert alone.failed


@pytest.mark.parametrize("forward", ["agree", "disagree"])
def test_end_to_end_repeats_a_known_value_where_every_step_after_it_is_right(forward: str) -> None:
    value = dataclasses.replace(deviation(), modes=frozenset({"value"}))
    after = Verdict("forward") if forward == "agree" else wrong("forward")
    end_to_end = wrong("forward end to end")
    mark([wrong("value"), after, end_to_end], [value], setting())
    assert end_to_end.known == ("one" if forward == "agree" else "")


@pytest.mark.parametrize(("at", "known"), [(0, "one"), (2, "one"), (1, "")])
def test_a_range_of_operands_narrows_an_entry(at: int, known: str) -> None:
    v = wrong(at=at)
    mark([v], [deviation(operand=(0.0, 0.5))], setting())
    assert v.known == known


@pytest.mark.parametrize(("at", "known"), [(0, ""), (2, "one")])
def test_a_place_narrows_an_entry(at: int, known: str) -> None:
    v = wrong(at=at)
    mark([v], [deviation(where="ties")], setting())
    assert v.known == known


@pytest.mark.parametrize(("expected", "known"), [("number", "one"), ("zero", "")])
def test_the_kind_of_what_is_due_narrows_an_entry(expected: str, known: str) -> None:
    v = wrong()
    mark([v], [deviation(expected=frozenset({expected}))], setting())
    assert v.known == known


def test_each_wrong_node_is_held_against_its_own_entry() -> None:
    v = wrong("forward", ["maximum"], ["tanh"])
    other = dataclasses.replace(deviation(), id="two", ops=frozenset({"tanh"}))
    mark([v], [deviation(), other], setting())
    assert v.known == "one, two"


def test_every_wrong_element_needs_an_entry_not_only_the_worst() -> None:
    n = 40
    graph = Graph.record(np.maximum, np.zeros(n), np.zeros(n))
    a, b = graph.inputs
    x = np.zeros(n)
    x[-1] = 3.0
    case = Case("graphs", graph, {a: x, b: x}, {a: x, b: x}, x, "float64")
    nothing = {part: [None] * 3 for part in ("values", "cotangents", "tangents")}
    where = Setting(case, Observation([x, x, x], [None] * 3, [x, x, x], nothing, dict(nothing)))
    for last, known in ((1.0, "one"), (1.5, "")):  # the smallest error of forty
        tally, came = Tally("forward", "float64", "cpu"), np.full(n, 9.0)
        came[-1] = last
        found = compare(came, np.ones(n), FORMATS["float64"], "tangent")
        found.place = ("tangents", 2)
        tally.add(2, "maximum", found)
        v = tally.verdict()
        mark([v], [deviation(operand=(0.0, 1.0))], where)
        assert v.known == known


def test_the_very_numbers_narrow_an_entry() -> None:
    v, where = wrong(), setting()
    numbers = {where.case.id: {"forward": {"count": 1, "elements": [("tangent", (0,), 9.0)]}}}
    entry = deviation(numbers=numbers)
    for v, known in (
        (wrong(), "one"),
        (wrong(got=9.0 + 1e-15), "one"),
        (wrong(got=8.0), ""),
        (wrong(at=1), ""),
        (wrong("forward", ["maximum"], ["maximum"]), ""),  # more of it than was recorded
    ):
        mark([v], [entry], where)
        assert v.known == known
    other = setting(family="mlp")
    v = wrong()
    mark([v], [entry], other)
    assert v.failed


@pytest.mark.parametrize(
    ("reason", "known"), [("RuntimeError: no kernel", "one"), ("RuntimeError: memory", "")]
)
def test_a_recorded_error_does_not_fail(reason: str, known: str) -> None:
    v = Verdict("forward", ERROR, reason=reason)
    mark([v], [deviation(error="RuntimeError: no kernel")], setting())
    assert v.known == known
    assert v.failed is not bool(known)


def test_what_fails_beside_a_known_disagreement_is_named_in_its_place() -> None:
    """maximum is known to be wrong, tanh after it is not: neither the verdict nor that from end to end accuses maximum."""
    tally = Tally("forward", "float64", "cpu")
    one, two = np.array([1.0]), exact(np.array([2.0]), FORMATS["float64"])
    for node, op in ((1, "maximum"), (2, "exp"), (3, "tanh")):
        got = one if op != "exp" else np.array([2.0])
        tally.add(node, op, compare(got, two, FORMATS["float64"], f"tangent of {op}"))
    end_to_end = Tally("forward end to end", "float64", "cpu")
    end_to_end.add(4, "mean", compare(one, two, FORMATS["float64"], "tangent of the output"))
    verdicts = [tally.verdict(), end_to_end.verdict()]
    assert verdicts[0].first_wrong == (1, "maximum")
    mark(verdicts, [deviation()], setting())
    for v in verdicts:
        assert v.failed
        assert v.first_wrong == (3, "tanh")
        assert v.message.startswith(f"{v.mode}: first wrong at op tanh (node 3), float64 on cpu: ")
    assert "tangent of tanh[0]: got 1.0" in verdicts[0].message
    assert verdicts[0].evidence is not None
    assert verdicts[0].evidence.wrong[0].op == "tanh"


SHAPES = "RuntimeError: shape [*] is not [*]"


def raised(reason: str, mode: str = "forward", op: str = "maximum") -> Verdict:
    return Verdict(mode, ERROR, reason=reason, first_wrong=(2, op))


@pytest.mark.parametrize(
    ("v", "known"),
    [
        (raised("RuntimeError: shape [3] is not [2, 3]"), "one"),
        (raised("RuntimeError: shape [] is not []"), "one"),
        (raised("RuntimeError: shape [3] is not [2, 3], and more"), ""),
        (raised("KeyError: shape [3] is not [2, 3]"), ""),
        (raised("lost support: RuntimeError: shape [3] is not [2]"), ""),
        (raised("RuntimeError: shape [3] is not [2]", op="tanh"), ""),
        (raised("RuntimeError: shape [3] is not [2]", mode="reverse"), ""),
    ],
)
def test_a_star_in_a_recorded_error_stands_for_anything(v: Verdict, known: str) -> None:
    mark([v], [deviation(error=SHAPES)], setting())
    assert v.known == known


def test_an_error_from_end_to_end_is_known_by_the_same_words_node_by_node() -> None:
    words = "RuntimeError: shape [3] is not [2]"
    for told, known in ((words, "one"), ("KeyError: 1", "")):
        end_to_end = raised(told, "forward end to end")
        mark([raised(words), end_to_end], [deviation(error=SHAPES)], setting())
        assert end_to_end.known == known
        assert end_to_end.failed is not bool(known)


def test_a_recorded_error_may_be_confined_to_places() -> None:
    for ties, known in ((True, "one"), (False, "")):
        there = setting()
        there.seen.values[:2] = [np.ones(2), np.ones(2) + (0 if ties else 1)]
        v = raised("RuntimeError: shape [3] is not [2]")
        mark([v], [deviation(error=SHAPES, where="ties")], there)
        assert v.known == known
