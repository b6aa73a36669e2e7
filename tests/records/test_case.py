from __future__ import annotations

import pytest

from refgrad.errors import CaseFileError
from refgrad.records import CaseRecord, encoded


def test_a_case_makes_the_same_line_whatever_the_order_of_its_keys() -> None:
    one, other = (
        CaseRecord.of("a", {"b": 1, "c": {"d": 2, "e": 3}}),
        CaseRecord.of("a", {"c": {"e": 3, "d": 2}, "b": 1}),
    )
    assert one == other
    assert encoded(one) == encoded(other)
    assert one.case == {"b": 1, "c": {"d": 2, "e": 3}}


@pytest.mark.parametrize(
    "data", [{"id": "a"}, {"id": "a", "case": None}, {"id": "a", "case": [1]}, {"id": 3, "case": {}}]
)
def test_a_line_without_a_case_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(CaseFileError, match="is expected"):
        CaseRecord.read(data)


@pytest.mark.parametrize("value", [float("inf"), {1, 2}])
def test_a_case_that_strict_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(CaseFileError, match="strict JSON can hold"):
        CaseRecord.of("a", {"x": value})
