"""Numbers and words as a reader sees them."""

from __future__ import annotations

import math

import pytest

from refgrad.report.analysis import text

NARROW = text.NARROW


@pytest.mark.parametrize(
    ("x", "due"),
    [(None, "–"), (math.nan, "nan"), (math.inf, "∞"), (-math.inf, "−∞"), (0.0, "0"), (-1.5, "−1.5"), (1e-7, "1e−7"),
     (1234567.0, "1.23e6"), (1e100, "1e100"), (0.12345, "0.123")],
)  # fmt: skip
def test_a_number_to_three_digits(x: float | None, due: str) -> None:
    assert text.short(x) == due


def test_an_exact_number_keeps_every_digit() -> None:
    assert text.exact(-0.1 - 0.2) == "−0.30000000000000004"
    assert text.exact(math.inf) == "∞"


@pytest.mark.parametrize(
    ("n", "due"),
    [
        (940, "940"),
        (1000, "1.0k"),
        (1234, "1.2k"),
        (35_900, "35k"),
        (2_100_000, "2.1M"),
        (3_000_000_000, "3.0G"),
    ],
)
def test_a_brief_count_has_at_most_five_characters(n: int, due: str) -> None:
    assert text.brief(n) == due
    assert len(due) <= 5


def test_counts_have_thousands_and_nouns() -> None:
    assert text.count(1234567) == f"1{NARROW}234{NARROW}567"
    assert [text.several(n, "case") for n in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
    assert text.several(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("part", "whole", "due"),
    [
        (0, 0, "–"),
        (0, 7, "0%"),
        (7, 7, "100%"),
        (1, 3, "33.3%"),
        (1, 100_000, "< 0.1%"),
        (99_999, 100_000, "> 99.9%"),
    ],
)
def test_a_share_never_rounds_to_nothing_or_all(part: int, whole: int, due: str) -> None:
    assert text.percent(part, whole) == due


def test_text_holds_nothing_that_a_terminal_obeys_or_nobody_sees() -> None:
    hostile = "a\x1b[31m\tb\u202ec\nd\u200b"
    assert text.one_line(hostile) == "a [31m b c d"
    assert text.plain(hostile) == "a [31m\tb c\nd"
    assert text.place((0, 2)) == "[0, 2]"
    assert text.place(()) == ""


def test_like_messages_meet_and_names_with_digits_do_not() -> None:
    assert (
        text.pattern("at 0x7f3a: 12 of 3.5e-7\nmore")
        == text.pattern("at 0x00ff: 7 of 1.0\nother")
        == "at #: # of #"
    )
    assert text.pattern("conv2d failed") == "conv2d failed"
    assert len(text.pattern("long " * 100)) == 160
