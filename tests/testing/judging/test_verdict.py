"""Verdicts: correct digits of an element, and which verdicts fail a run."""

from __future__ import annotations

import math

import pytest

from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Comparison,
    Element,
    Verdict,
    digits,
)


@pytest.mark.parametrize(
    ("got", "expected", "due"),
    [
        (1.001, 1.0, 3.0), (-100.0, -1e4, -math.log10(0.99)), (1.0, 1.0, math.inf), (2.0, 1.0, 0.0), (9.0, 1.0, 0.0),
        (math.nan, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, math.inf, 0.0), (math.inf, 1.0, 0.0),
    ],
)  # fmt: skip
def test_digits_are_those_before_the_error(got: float, expected: float, due: float) -> None:
    found = digits(Element(got, expected, 0.0, 0.0, 0.0, ()))
    assert found == due or abs(found - due) < 1e-9


@pytest.mark.parametrize("status", [AGREE, DISAGREE, ERROR, IMPRECISE, UNDECIDED, UNSUPPORTED])
def test_a_disagreement_or_an_error_fails_unless_it_is_known(status: str) -> None:
    assert Verdict("value", status).failed == (status in (DISAGREE, ERROR))
    assert not Verdict("value", status, known="an-entry").failed
    assert bool(Verdict("value", status)) == (status == AGREE)


def test_the_worst_element_is_made_when_it_is_asked_for() -> None:
    made = []

    def make() -> Element:
        made.append(1)
        return Element(1.0, 1.0, 0.0, 0.0, 0.0, ())

    c = Comparison(make_worst=make)
    assert not made
    assert c.worst is not None
    assert made == [1]
    assert Comparison().worst is None
