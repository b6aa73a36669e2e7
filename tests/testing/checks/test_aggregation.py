"""Gathering: each array has its own verdict, and the whole has the worst of them."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.aggregation import EMPTY, Aggregation
from refgrad.testing.checks.array_verdict import Evidence, LargeEvidence, Question
from refgrad.testing.checks.explanation import explained
from refgrad.testing.judging.compare import LARGE, compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Comparison,
    Element,
)
from refgrad.tracing.ball import Ball

FMT = FORMATS["float32"]
ASK = Question("reverse", "of the whole significand")


def found(got, value, radius):
    expected = Ball(np.asarray(value, float), np.asarray(radius, float), FMT)
    return compare(np.asarray(got, float), expected, FMT, "x", hidden=Hidden()), expected


@pytest.fixture
def gathering():
    return Aggregation("reverse", FMT, "cpu", (np.zeros(2),))


def test_an_input_that_is_blind_throughout_is_undecided_beside_one_that_is_judged(gathering) -> None:
    gathering.add("gradient of input 0", found([1.0, 2.0], [1.0, 2.0], [1e-6, 1e-6])[0], ASK)
    gathering.add("gradient of input 1", found([0.0, 0.0], [5.0, -3.0], [9.0, 9.0])[0], ASK)
    v = gathering.verdict()
    assert [p.status for p in v.parts] == [AGREE, UNDECIDED]
    assert v.status == UNDECIDED
    assert "gradient of input 1: every bound is as large as the number it bounds" in v.reason
    assert (v.parts[1].blind, v.parts[1].smallest) == (2, None)
    assert v.parts[0].smallest == pytest.approx(5e-7, rel=1e-3)


def test_one_element_that_was_seen_decides(gathering) -> None:
    gathering.add("g", found([5.0, -3.0], [5.0, -3.0], [9.0, 9.0])[0], ASK)
    gathering.add("g", found([5.0, 0.0], [5.0, 0.0], [0.1, 0.0])[0], ASK)
    assert gathering.verdict().status == AGREE


def without_a_bit(got, value, radius, wider):
    """The comparison of an array whose wrong elements a formula leaves no bit of: ``wider`` are its bounds."""
    before, _ = found(got, value, radius)
    return found(got, value, wider)[0].with_bitless(before)


@pytest.mark.parametrize("wider", [1e17, np.inf])
def test_an_array_of_which_a_formula_leaves_no_bit_is_undecided_where_it_is_out_of_bounds(
    gathering, wider
) -> None:
    gathering.add("g", without_a_bit([-1.0, -2.0], [1.0, 2.0], [1e-6, 1e-6], [wider, wider]), ASK)
    v = gathering.verdict()
    assert v.status == UNDECIDED
    assert "leaves no bit" in v.reason or "no finite value" in v.reason


def test_beside_an_element_that_is_right_it_is_imprecise(gathering) -> None:
    gathering.add("g", without_a_bit([1.0, -0.5], [1.0, 0.5], [1e-6, 1e-6], [1e-6, 5.0]), ASK)
    v = gathering.verdict()
    (part,) = v.parts
    assert (v.status, part.status, part.imprecise) == (IMPRECISE, IMPRECISE, 1)
    assert [e.element for e in part.wrong] == [(1,)]
    assert part.evidence is not None


def test_beside_one_that_is_wrong_it_is_wrong(gathering) -> None:
    gathering.add("g", without_a_bit([3.0, -0.5], [1.0, 0.5], [1e-6, 1e-6], [1e-6, 5.0]), ASK)
    assert gathering.verdict().status == DISAGREE


def test_zeros_do_not_decide_where_other_elements_are_blind(gathering) -> None:
    gathering.add("g", found([0.0, -3.0], [0.0, -3.0], [0.0, 9.0])[0], ASK)
    assert gathering.verdict().status == UNDECIDED


def test_what_the_reference_cannot_tell_from_zero_is_zero(gathering) -> None:
    noise = 2.0**-53 / FMT.u
    gathering.add("g", found([0.0, 0.0], [0.5 * noise, 0.0], [1.0, 1.0])[0], ASK)
    v = gathering.verdict()
    assert (v.status, v.parts[0].blind) == (AGREE, 0)
    gathering.add("g", found([0.0, 0.0], [4 * noise, 0.0], [1.0, 1.0])[0], ASK)
    assert gathering.verdict().status == UNDECIDED


def test_the_evidence_is_the_first_wrong_answer_and_not_an_imprecise_one(gathering) -> None:
    values, radii = np.array([1e-9, 1.0, 2.0]), np.array([1e-16, 1e-7, 2e-7])
    comparison, expected = found([1e-9 + 1e-8, 1.0, 2.0], values, radii)
    gathering.add("g", comparison, ASK, (np.ones(3),), 0, lambda: np.ones(3), expected)
    assert comparison.imprecise == 1
    later = Question("reverse", "mostly zero")
    comparison, expected = found([0.0, -1.0, 2.0], values, radii)
    gathering.add("g", comparison, later, (np.zeros(3),), 0, lambda: np.array([0.0, -1.0, 2.0]), expected)
    part = gathering.verdict().parts[0]
    assert (part.status, part.asked, part.wrong_in) == (DISAGREE, 2, [later])
    assert part.evidence.question is later
    assert part.evidence.got[1] == -1.0
    assert part.wrong[0].got == -1.0


def test_an_equal_answer_is_no_new_evidence(gathering) -> None:
    comparison, _ = found([1.0], [1.0], [1e-6])
    gathering.add("g", comparison, ASK)
    gathering.add("g", comparison, Question("reverse", layout="permuted"))
    part = gathering.verdict().parts[0]
    assert (part.elements, part.asked) == (1, 2)


def test_what_is_raised_keeps_what_was_found(gathering) -> None:
    gathering.add("g", found([1.0], [1.0], [1e-6])[0], ASK)
    gathering.failed(ERROR, "backward raised RuntimeError: no")
    v = gathering.verdict()
    assert (v.status, v.elements) == (ERROR, 1)
    assert "RuntimeError" in v.reason
    gathering.add("g", Comparison(note="g: func gave none, one is due"), ASK)
    v = gathering.verdict()
    assert v.status == DISAGREE
    assert "RuntimeError" in v.reason


def test_a_mode_of_which_nothing_was_judged_is_unsupported_with_the_words(gathering) -> None:
    gathering.failed(UNSUPPORTED, "NotImplementedError: no jvp")
    v = gathering.verdict()
    assert (v.status, v.reason) == (UNSUPPORTED, "NotImplementedError: no jvp")


def test_elements_where_nothing_is_defined_are_undecided(gathering) -> None:
    gathering.add("g", found([np.nan], [np.nan], [0.0])[0], ASK)
    v = gathering.verdict()
    assert (v.status, v.parts[0].skipped) == (UNDECIDED, 1)


def test_evidence_of_an_imprecise_large_array_is_computed_again(gathering) -> None:
    n = LARGE + 3
    value = np.linspace(1, 2, n)
    seeds = (np.linspace(0, 1, n).astype(np.float32).astype(float), None)
    asked = []

    def again(given):
        asked.append(given)
        return value.copy(), value * 1e-8

    got = value * (1 + 2e-7)
    _, ball = found(got, value, value * 1e-8)
    compared = compare(got, ball, FMT, "x", hidden=Hidden(1e-6))
    gathering.add("g", compared, ASK, seeds, 0, lambda: got, ball, lambda: {"recompute": again})
    evidence = gathering.verdict().parts[0].evidence
    assert isinstance(evidence, LargeEvidence)
    assert not asked
    assert np.array_equal(evidence.got, got)
    assert evidence.seeds[1] is None
    assert np.array_equal(evidence.seeds[0], seeds[0])
    assert evidence._seeds[0].dtype == np.float32
    assert np.array_equal(evidence.expected, value)
    assert np.array_equal(evidence.bound, value * 1e-8 * gathering.slack)
    assert np.array_equal(asked[0][0], seeds[0])
    for whole, part in zip((got, value, evidence.bound), evidence.beginning, strict=True):
        assert np.array_equal(whole[: part.size], part)
        assert part.base is None
    assert explained(evidence, "reverse", "float32") is not None


def test_evidence_of_a_wrong_large_array_is_kept(gathering) -> None:
    value = np.ones(LARGE + 3)
    compared, ball = found(2 * value, value, value * 1e-8)
    gathering.add("g", compared, ASK, (), 0, lambda: 2 * value, ball)
    evidence = gathering.verdict().parts[0].evidence
    assert type(evidence) is Evidence
    assert compared.every_wrong is None  # it would keep the arrays


def test_made_up_inputs_decide_nothing(gathering) -> None:
    gathering.add("g", found([np.nan], [np.nan], [0.0])[0], ASK)
    gathering.add("h", found([0.0], [5.0], [9.0])[0], ASK)
    gathering.supplementary = True
    for name in "gh":
        gathering.add(name, found([1.0], [1.0], [1e-6])[0], Question("reverse", layout="expanded"))
    assert [p.status for p in gathering.verdict().parts] == [UNDECIDED, UNDECIDED]


def test_an_array_without_a_correct_bit_is_wrong_though_rounding_explains_each_element(gathering) -> None:
    lost = [Element(0.0, 1e-9, 1e-16, 1e7, 1e7, (0,), "g")]
    gathering.add("g", Comparison(elements=1, imprecise=1, least_precise=lost), ASK)
    part = gathering.verdict().parts[0]
    assert (part.status, part.reason) == (DISAGREE, "no element has a correct bit")


def test_arrays_without_elements_agree_where_shapes_decide(gathering) -> None:
    empty, due = found(np.zeros(0), np.zeros(0), np.zeros(0))
    gathering.add("gradient of input 0", empty, ASK, expected=due)
    assert (gathering.verdict().status, gathering.verdict().reason) == (UNDECIDED, "nothing to compare")
    gathering.shapes_decide = True
    assert (gathering.verdict().status, gathering.verdict().reason) == (AGREE, EMPTY)
    gathering.add("gradient of input 1", Comparison(), ASK, expected=np.zeros(3))  # None where zeros are due
    assert gathering.verdict().status == UNDECIDED
