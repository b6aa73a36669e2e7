"""Which wrong elements an entry covers: kinds, operands, formulas, notes, errors and recorded numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refgrad.graph import Graph, Node
from refgrad.modes import AGREEMENT
from refgrad.op import FUNCTIONS
from refgrad.testing import Case, Observation, Verdict
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.deviations.narrowing import Narrowing, first_line, kind
from refgrad.testing.judging.verdict import Comparison, Element

X = np.array([0.0, 3.0, 400.0])
GRAPH = Graph.record(np.sin, X)


@pytest.fixture
def setting() -> Setting:
    GRAPH.forward(X)
    case = Case("graphs", GRAPH, {"x": X}, {"x": X}, np.ones(3), "float64")
    nothing: list[None] = [None] * len(GRAPH.nodes)
    return Setting(case, Observation([np.asarray(v) for v in GRAPH.values], nothing, nothing, {}, {}))


def element(got: float = 2.0, expected: float = 1.0, k: int = 1) -> Element:
    return Element(got, expected, 1e-9, 9.0, 9.0, (k,), what="value of sin", place=("values", 1))


@pytest.mark.parametrize(
    ("x", "due"), [(math.nan, "nan"), (-math.inf, "inf"), (-0.0, "zero"), (1e-300, "number")]
)
def test_a_number_has_a_kind(x: float, due: str) -> None:
    assert kind(x) == due


@pytest.mark.parametrize(
    ("narrow", "met"),
    [
        (Narrowing(), [True, True, True]),
        (Narrowing(got=frozenset({"zero", "nan"})), [False] * 3),
        (Narrowing(got=frozenset({"number"}), expected=frozenset({"number"})), [True] * 3),
        (Narrowing(expected=frozenset({"inf"})), [False] * 3),
        (Narrowing(operand=(1.0, 10.0)), [False, True, False]),
        (Narrowing(where="zero"), [True, False, False]),
        (Narrowing(note="has dtype"), [False] * 3),
        (Narrowing(error="RuntimeError: *"), [False] * 3),
    ],
)
def test_an_element_meets_every_condition_or_none(
    setting: Setting, narrow: Narrowing, met: list[bool]
) -> None:
    assert [narrow.meets(element(k=k), "value", ["sin"], setting) for k in range(3)] == met


def test_only_a_condition_that_an_ordinary_number_does_not_meet_is_narrow() -> None:
    assert not Narrowing().narrow
    assert not Narrowing(got=frozenset({"number", "nan"})).narrow
    for narrow in (
        Narrowing(got=frozenset({"nan"})), Narrowing(expected=frozenset({"zero"})), Narrowing(operand=(0.0, 1.0)), Narrowing(where="zero"),
        Narrowing(formula="exp minus one"), Narrowing(note="x"), Narrowing(error="x"), Narrowing(numbers={}),
    ):  # fmt: skip
        assert narrow.narrow, narrow


def test_recorded_numbers_admit_the_same_case_with_the_same_elements(setting: Setting) -> None:
    def verdict(*elements: Element, count: int) -> Verdict:
        found = Comparison(wrong=list(elements), count=count)
        return Verdict("value", "disagree", wrong=list(elements), wrong_nodes=[(1, "sin", found)])

    numbers = {
        setting.case.id: {
            "value": {"count": 2, "elements": [["value of sin", [1], 2.0], ["value of sin", [2], math.nan]]}
        }
    }
    narrow = Narrowing(numbers=numbers)
    assert narrow.admits(verdict(element(), element(math.nan, k=2), count=2), setting)
    assert not narrow.admits(verdict(element(), count=1), setting)  # fewer than recorded
    assert not narrow.admits(verdict(element(), element(math.nan, k=2), count=3), setting)  # too many
    assert not narrow.admits(verdict(element(2.1), element(math.nan, k=2), count=2), setting)  # other number
    assert not narrow.admits(verdict(element(k=0), element(math.nan, k=2), count=2), setting)  # elsewhere
    assert narrow.admits(verdict(element(2.0 + 1e-10), element(math.nan, k=2), count=2), setting)  # rounded
    assert not Narrowing(numbers={}).admits(verdict(element(), count=1), setting)


def test_an_error_is_told_by_its_first_line_and_the_place(setting: Setting) -> None:
    v = Verdict("value", "error", reason="RuntimeError: size [3] and [4]\nmore", first_wrong=(1, "sin"))
    assert Narrowing(error="RuntimeError: size [*] and [*]").raised(v, setting)
    assert not Narrowing(error="RuntimeError: size").raised(v, setting)
    assert not Narrowing().raised(v, setting)
    assert Narrowing(error="RuntimeError: *", where="zero").raised(v, setting)
    # Where no node is known, no condition on its operands holds.
    assert not Narrowing(error="RuntimeError: *", where="at the threshold").raised(
        Verdict("value", "error", reason="RuntimeError: x"), setting
    )
    unknown = Verdict("value", "error", reason="RuntimeError: x")
    # sin of 0 is there, and tanh is not.
    assert [
        Narrowing(error="RuntimeError: *", where="zero").raised(unknown, setting, frozenset({op}))
        for op in ("sin", "tanh")
    ] == [True, False]


def test_a_note_is_part_of_what_is_said_of_an_array_that_meets_the_condition(setting: Setting) -> None:
    said = "tangent of node 3 has dtype float64, expected float32"

    def noted(narrow: Narrowing, note: str = said) -> bool:
        return narrow.noted(note, element(), ["sin"], setting)

    assert noted(Narrowing(note="has dtype float64"))
    assert not noted(Narrowing(note="has dtype float16"))
    assert not noted(Narrowing())
    assert noted(Narrowing(note="has dtype", where="zero"))
    assert not noted(Narrowing(note="has dtype", where="the smallest number"))
    assert first_line("  one \ntwo") == "one"
    assert first_line(" \n") == ""


def test_two_modes_of_a_formula_are_apart_within_the_rounding_of_both_pairings() -> None:
    """The gradient of a prelu of weight 0 rounds nothing, and its pairing in float64 does."""
    x, w = np.array([0.0, 0.3, -0.7]), np.zeros(1)
    tangents = {"input": np.array([2.0, 0.1, 0.2]), "weight": np.array([-1.75])}
    graph = Graph()
    graph.nodes = [Node(name="input"), Node(name="weight"), Node(op=FUNCTIONS["nn.prelu"], of=(0, 1))]
    graph.outputs = (2,)
    case = Case(
        "functions", graph, {"input": x, "weight": w}, tangents, np.array([0.75, 0.9, 0.3]), "float64"
    )
    values = [x, w, np.array([0.0, 0.3, 0.0])]
    dots = [*tangents.values(), np.array([2.0, 0.1, 0.7 * 1.75])]
    seen = Observation(values, [None, None, case.cotangent], dots, {}, {})
    narrow = Narrowing(formula="prelu with two slopes at 0")
    reverse = 0.9 * 0.1 - 1.75 * 0.3 * -0.7
    for got, covered in (
        (reverse + 1.5, True),
        (np.nextafter(reverse + 1.5, 9), True),
        (reverse + 1.5 + 2.0**-46, False),
    ):
        pairing = Element(got, reverse, 1e-15, 9.0, 9.0, (), node=2, op="nn.prelu", place=None)
        assert narrow.meets(pairing, AGREEMENT, ["nn.prelu"], Setting(case, seen)) == covered
