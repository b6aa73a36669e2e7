from math import inf, nan

import pytest

from refgrad.records import Numbers
from refgrad.report.page.box_numbers import compared_texts


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        (Numbers("value", (), (), (0.5,), (0.5,)), ("", "0.5", "0.5")),
        (Numbers("value", (2,), (), (0.5, -1.25), (0.5, -1.25)), ("", "[0.5, −1.25]", "[0.5, −1.25]")),
        (Numbers("gradient", (2, 2), (), (1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 9.0, 4.0), wrong=True), ("[1, 0]", "3", "9")),
        (Numbers("value", (40, 5), (7,), (3.0,), (4.0,), wrong=True), ("[1, 2]", "3", "4")),
        (Numbers("gradient", (), (), (), (2.0,), wrong=True), ("", "", "2")),
        (Numbers("value", (), (), (2.0,), ()), ("", "2", "")),
        (Numbers("value", (0, 3), (), (), ()), ("0×3", "empty", "")),
        (Numbers("value", (), (), (nan,), (inf,), wrong=True), ("", "nan", "∞")),
    ],
)  # fmt: skip
def test_what_came_stands_beside_what_was_expected(numbers, shown):
    assert compared_texts(numbers, numbers.furthest()) == shown


def test_numbers_that_are_wrong_are_told_apart_and_right_ones_kept_short():
    close = Numbers("value", (), (), (1.0000000001,), (1.0,), wrong=True)
    assert compared_texts(close, 0) == ("", "1.0000000001", "1")
    assert compared_texts(Numbers("value", (), (), (1.0000000001,), (1.0,)), 0) == ("", "1", "1")
