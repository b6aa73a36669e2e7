"""Cases by Hypothesis: the same for the same seed, as many as asked for, shrunk where one fails, ended on request."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from refgrad.testing.cases.source import Source, StopDrawing
from refgrad.testing.cases.strategies import each


def family(source: Source, dtype: str) -> SimpleNamespace:
    """A family of one number."""
    return SimpleNamespace(number=source.integer(0, 999), dtype=dtype)


def numbers(seed: int, most: int = 20) -> list[int]:
    seen: list[int] = []
    each(family, "float32", most, seed, lambda case: seen.append(case.number), shrink=False)
    return seen


def test_a_seed_gives_the_same_cases_again() -> None:
    assert numbers(1) == numbers(1) != numbers(2)
    assert 0 < len(numbers(1)) <= 20


def test_the_dtype_reaches_the_family() -> None:
    dtypes = set()
    each(family, "bfloat16", 3, 0, lambda case: dtypes.add(case.dtype), shrink=False)
    assert dtypes == {"bfloat16"}


@pytest.mark.parametrize("shrink", [True, False])
def test_a_failure_ends_with_the_smallest_case_where_one_is_asked_for(shrink: bool) -> None:
    seen: list[int] = []

    def body(case: SimpleNamespace) -> None:
        seen.append(case.number)
        assert case.number < 128

    with pytest.raises(AssertionError):
        each(family, "float64", 200, 0, body, shrink=shrink)
    assert (seen[-1] == 128) == shrink


def test_stopping_ends_the_calls_and_does_not_come_out() -> None:
    seen: list[int] = []

    def body(case: SimpleNamespace) -> None:
        seen.append(case.number)
        if len(seen) == 5:
            raise StopDrawing

    each(family, "float64", 100, 0, body, shrink=True)
    assert len(seen) == 5
