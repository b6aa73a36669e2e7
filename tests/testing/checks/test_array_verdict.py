"""What a check found of one array: the question in words, the beginning of large arrays, evidence that takes little memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refgrad.testing.checks.array_verdict import BEGINNING, LargeEvidence, Question, beginning, widened


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question("reverse"), ""),
        (Question("reverse", "small integers"), "cotangents small integers"),
        (Question("forward over reverse", "ones", layout="transposed"), "tangents ones, inputs transposed"),
        (Question("reverse", seed_layout="strided"), "cotangents strided in memory"),
    ],
)
def test_a_question_is_told_in_words(question: Question, told: str) -> None:
    assert question.description() == told


@pytest.mark.parametrize(
    "shape", [(), (3,), (0, 5), (2, BEGINNING), (BEGINNING, 2), (7, 1000, 1000), (3 * BEGINNING,)]
)
def test_the_beginning_has_whole_last_axes_and_a_limited_size(shape: tuple[int, ...]) -> None:
    part = [len(range(*s.indices(n))) for s, n in zip(beginning(shape), shape, strict=True)]
    assert math.prod(part) <= BEGINNING
    if math.prod(shape) <= BEGINNING:
        assert part == list(shape)
    else:
        assert math.prod(part) > BEGINNING // max(shape)
        assert part[0] < shape[0]


def large(got: np.ndarray, seed: np.ndarray | None) -> LargeEvidence:
    return LargeEvidence(
        Question("reverse"),
        (got,),
        (seed,),
        0,
        got,
        (got[:1], got[:1], got[:1]),
        lambda seeds: (2 * got, got * 0 + 1),
    )


def test_large_evidence_keeps_float32_where_that_holds_the_numbers() -> None:
    short, long = np.array([1.5, np.nan]), np.array([1 / 3, 2.0])
    assert large(short, None)._got.dtype == np.float32
    assert large(long, None)._got.dtype == np.float64
    for x in (short, long):
        e = large(x, x)
        assert e.got.dtype == np.float64
        assert np.array_equal(e.got, x, equal_nan=True)
        assert np.array_equal(e.seeds[0], x, equal_nan=True)
    assert large(short, None).seeds == (None,)


def test_what_was_expected_is_computed_when_it_is_looked_at() -> None:
    e = large(np.array([1.5, 2.0]), None)
    assert e.expected.tolist() == [3.0, 4.0]
    assert e.bound.tolist() == [1.0, 1.0]
    assert (e.shape, e.beginning[0].tolist()) == ((2,), [1.5])


def test_only_shorter_floats_are_widened() -> None:
    assert widened(np.ones(1, np.float16)).dtype == np.float64
    assert widened(np.ones(1, int)).dtype == int
    assert widened(None) is None
