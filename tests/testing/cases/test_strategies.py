"""Cases by Hypothesis: of the family and the dtype that are asked for, and shrunk where one fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest

from refgrad.testing.cases.source import Source
from refgrad.testing.cases.strategies import cases


def family(source: Source, dtype: str) -> Any:
    """A family of one number."""
    return SimpleNamespace(number=source.integer(0, 999), dtype=dtype)


def test_the_dtype_reaches_the_family() -> None:
    seen: list[Any] = []

    @hypothesis.settings(max_examples=20, database=None)
    @hypothesis.given(cases(family, "bfloat16"))
    def gather(case: Any) -> None:
        seen.append(case)

    gather()
    assert {case.dtype for case in seen} == {"bfloat16"}
    assert len({case.number for case in seen}) > 1


def test_a_failure_ends_with_the_smallest_case() -> None:
    seen: list[int] = []

    @hypothesis.seed(0)
    @hypothesis.settings(max_examples=200, database=None, deadline=None, print_blob=False)
    @hypothesis.given(cases(family))
    def body(case: Any) -> None:
        seen.append(case.number)
        assert case.number < 128

    with pytest.raises(AssertionError):
        body()
    assert seen[-1] == 128
