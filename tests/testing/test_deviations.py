"""deviations.toml: known disagreements are marked, everything else still fails."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from refgrad.testing.deviations import Deviation, mark
from refgrad.testing.releases import Releases
from refgrad.testing.verdict import DISAGREE, Element, Verdict


def deviation() -> Deviation:
    sets = (frozenset({"maximum"}), frozenset({"forward"}), frozenset({"float64"}), frozenset({"cpu"}))
    return Deviation("one", *sets, Releases("2.6", "2.12"), "because", "docs", Path("case.json"))


def wrong(mode: str = "forward", *accused: list[str]) -> Verdict:
    return Verdict(mode, DISAGREE, accused=list(accused) or [["maximum"]])


def test_a_recorded_disagreement_does_not_fail() -> None:
    v = wrong()
    mark([v], [deviation()], "float64", "cpu")
    assert v.known == "one"
    assert not v.failed
    assert not v  # known is not agreement


def test_an_entry_that_does_not_stand_excuses_nothing() -> None:
    asked = []
    gone = dataclasses.replace(deviation(), stands=lambda: bool(asked.append(1)))
    mark([wrong("reverse")], [gone], "float64", "cpu")
    assert not asked  # evidence is judged only where the entry is needed
    v = wrong()
    mark([v], [gone], "float64", "cpu")
    assert asked
    assert v.failed


@pytest.mark.parametrize(
    ("v", "dtype", "device"),
    [
        (wrong("reverse"), "float64", "cpu"),
        (wrong(), "float32", "cpu"),
        (wrong(), "float64", "cuda"),
        (wrong("forward", ["tanh"]), "float64", "cpu"),
        (wrong("forward", ["maximum"], ["tanh"]), "float64", "cpu"),
        (wrong("forward", ["maximum", "tanh"]), "float64", "cpu"),
    ],
)
def test_everything_else_still_fails(v: Verdict, dtype: str, device: str) -> None:
    mark([v], [deviation()], dtype, device)
    assert v.failed


def test_end_to_end_is_known_only_where_the_nodes_are() -> None:
    whole = wrong("forward end to end", ["tanh"])
    mark([wrong(), whole], [deviation()], "float64", "cpu")
    assert whole.known == "one"
    alone = wrong("forward end to end", ["maximum"])
    mark([alone], [deviation()], "float64", "cpu")
    assert alone.failed


@pytest.mark.parametrize(("at", "known"), [(0.1, "one"), (0.5, "one"), (0.6, ""), (float("nan"), "")])
def test_a_range_of_operands_narrows_an_entry(at: float, known: str) -> None:
    v = wrong()
    v.wrong = [Element(1.0, 2.0, 0.1, 10.0, 1.0, (), op="maximum", operand=at)]
    mark([v], [dataclasses.replace(deviation(), operand=(0.0, 0.5))], "float64", "cpu")
    assert v.known == known


def test_each_wrong_node_is_held_against_its_own_entry() -> None:
    v = wrong("forward", ["maximum"], ["tanh"])
    v.wrong = [
        Element(1.0, 2.0, 0.1, 10.0, 1.0, (), op="maximum"),
        Element(9.0, 2.0, 0.1, 70.0, 1.0, (), op="tanh", operand=0.2),
    ]
    other = dataclasses.replace(deviation(), id="two", ops=frozenset({"tanh"}), operand=(0.0, 0.5))
    mark([v], [deviation(), other], "float64", "cpu")
    assert v.known == "one, two"
