"""An observation by places: every part can be read and replaced in a copy, and gives its dtypes and devices."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.testing.judging.observation import (
    NOT_ASKED,
    ModeAnswers,
    NoAnswer,
    Observation,
    Part,
    Place,
    or_zeros,
)


def seen() -> Observation:
    arrays = {
        part: [np.full(2, k + 10.0 * n) for k in range(3)]
        for n, part in enumerate(("values", "cotangents", "tangents"))
    }
    return Observation(
        **arrays, dtypes={"values": ["float32", None, "float64"]}, devices={"values": ["cpu", None, "cuda"]}, parts={(2, 1): np.ones(2)}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("part", "key", "first"), [("values", 1, 1.0), ("cotangents", 2, 12.0), ("tangents", 0, 20.0), ("parts", (2, 1), 1.0)]
)  # fmt: skip
def test_a_place_is_reached_and_replaced_in_a_copy(part: Part, key: object, first: float) -> None:
    before, place = seen(), Place(part, key)
    assert before.at(place)[0] == first
    after = before.with_array(place, np.full(2, -1.0))
    assert after.at(place)[0] == -1
    assert before.at(place)[0] == first
    others = [Place(p, k) for p in ("values", "cotangents", "tangents") for k in range(3)] + [
        Place("parts", (2, 1))
    ]
    assert sum(after.at(p)[0] == before.at(p)[0] for p in others) == len(others) - 1


def test_a_use_that_was_not_observed_has_no_array() -> None:
    assert seen().at(Place("parts", (0, 0))) is None


def test_dtypes_and_devices_are_told_where_they_are_known() -> None:
    found = [(seen().dtype_at(Place("values", k)), seen().device_at(Place("values", k))) for k in range(3)]
    assert found == [("float32", "cpu"), (None, None), ("float64", "cuda")]
    assert seen().dtype_at(Place("tangents", 0)) is None
    assert seen().device_at(Place("parts", (2, 1))) is None


def test_the_first_reason_counts_and_a_mode_that_was_not_asked_has_its_own() -> None:
    answers = ModeAnswers(["a"], unavailable={"b": NoAnswer("no b"), "c": NoAnswer("no c")})
    assert answers.why("a", "c", "b").words == "no c"
    assert answers.why("a") is NOT_ASKED


def test_a_gradient_that_is_missing_is_zeros() -> None:
    assert or_zeros(None, np.ones((2, 3))).shape == (2, 3)
    assert not or_zeros(None, np.ones((2, 3))).any()
    assert or_zeros(np.ones(2), np.ones(2)).all()
