"""Choices of a case: the same for the same seed, evenly spread, repeated from a record, and drawn by Hypothesis so that they shrink."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import find, given, seed, settings
from hypothesis import strategies as st

from refgrad.testing.cases.source import Drawn, Eager, Recorded, Replayed, Seeded, Source, rarely


def test_a_seed_is_all_there_is() -> None:
    def choices(source: Seeded) -> list[object]:
        return [source.integer(0, 99), source.choice("abcdef"), source.rng.random(), source.integer(-5, 5)]

    assert choices(Seeded([3, 4])) == choices(Seeded([3, 4]))
    assert choices(Seeded([3, 4])) != choices(Seeded([3, 5]))


def test_integers_cover_their_range_evenly_with_both_ends() -> None:
    source = Seeded(0)
    seen = Counter(source.integer(-2, 4) for _ in range(7000))
    assert set(seen) == set(range(-2, 5))
    assert min(seen.values()) > 850  # 1000 are due; six standard deviations are 176
    assert source.integer(3, 3) == 3


def test_a_choice_is_made_by_its_place_and_nothing_is_chosen_of_nothing() -> None:
    source = Seeded(1)
    assert {source.choice([10, 20, 30]) for _ in range(100)} == {10, 20, 30}
    with pytest.raises(ValueError, match="nothing to choose from"):
        source.choice([])


def some(source: Source) -> list[object]:
    return [
        source.integer(-3, 99),
        source.choice("abc"),
        source.rng.random(),
        source.integer(7, 7),
        source.choice([1]),
    ]


def test_recorded_choices_are_those_of_the_seed_and_can_be_repeated() -> None:
    for k in range(50):
        recorded = Recorded([k])
        assert some(recorded) == some(Seeded([k]))
        replayed = Replayed(recorded.made, [k])
        assert some(replayed) == some(Seeded([k]))
        assert replayed.made == recorded.made
    assert len(recorded.made) == 4


def test_choices_beyond_the_record_are_the_first_and_those_beyond_the_options_the_last() -> None:
    source = Replayed([250, 1], 0)
    assert (source.integer(5, 9), source.choice("ab"), source.choice("ab"), source.integer(3, 8)) == (
        9,
        "b",
        "a",
        3,
    )
    assert source.made == [4, 1, 0, 0]
    with pytest.raises(ValueError, match="nothing to choose from"):
        source.choice([])


@st.composite
def drawn(draw: st.DrawFn) -> tuple[int, str]:
    source = Drawn(draw)
    return source.integer(5, 25), source.choice(["first", "second", "third"])


def test_recorded_choices_are_used_up_after_the_last() -> None:
    source = Replayed((1, 2), (0,))
    assert not source.exhausted
    found = [(source.integer(0, 5), source.exhausted) for _ in range(3)]
    assert found == [(1, False), (2, True), (0, True)]


def test_hypothesis_draws_the_whole_range() -> None:
    seen = set()

    @seed(1)
    @settings(max_examples=500, database=None)
    @given(drawn())
    def gather(pair: tuple[int, str]) -> None:
        seen.add(pair)

    gather()
    assert {k for k, _ in seen} == set(range(5, 26))
    assert {word for _, word in seen} == {"first", "second", "third"}


def test_shrinking_goes_to_the_least_integer_and_the_first_option() -> None:
    assert find(drawn(), lambda pair: True, settings=settings(database=None)) == (5, "first")
    assert find(drawn(), lambda pair: pair[1] != "first", settings=settings(database=None)) == (5, "second")


def test_what_is_rare_comes_into_one_case_of_a_share() -> None:
    source = Seeded(3)
    assert 60 <= sum(rarely(source, 8) for _ in range(800)) <= 140
    assert not rarely(Replayed((), 0), 8)


def test_an_eager_source_has_all_that_is_rare_and_is_repeated() -> None:
    source = Eager(5)
    taken = [source.integer(0, 9), rarely(source, 8), source.choice("abc"), rarely(source, 128)]
    assert (taken[1], taken[3]) == (True, True)
    again = Replayed(source.made, 5)
    assert [again.integer(0, 9), rarely(again, 8), again.choice("abc"), rarely(again, 128)] == taken
