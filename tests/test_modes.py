"""The list of modes: names and relations hold together, and former names lead to those of today."""

from __future__ import annotations

import pytest

from refgrad import modes
from refgrad.modes import COMPARISON, GROUPS, MODES, NAMES, REPEATS, current, current_in_text, giving


def test_names_are_single_and_no_former_name_is_a_present_one() -> None:
    former = [mode.formerly for mode in MODES if mode.formerly]
    assert len({*NAMES}) == len(NAMES)
    assert len({*former}) == len(former)
    assert not {*NAMES} & {*former}


def test_every_mode_has_a_group_and_repeats_an_earlier_one_at_most() -> None:
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(NAMES)
    for mode, first in REPEATS.items():
        assert NAMES.index(first) < NAMES.index(mode)
        assert first not in REPEATS


def test_every_kind_of_answer_is_given_by_some_mode_and_every_mode_gives_one() -> None:
    kinds = (modes.VALUES, modes.GRADIENTS, modes.TANGENT, modes.SECOND_DERIVATIVES, COMPARISON)
    assert all(giving(kind) for kind in kinds)
    assert sorted(name for kind in kinds for name in giving(kind)) == sorted(NAMES)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("func.vjp", "functional reverse"),
        ("double backward", "reverse over reverse"),
        ("double backward in the cotangent", "transposed reverse"),
        ("reverse", "reverse"),
        ("functional reverse", "functional reverse"),
        ("backward of mine", "backward of mine"),
    ],
)
def test_a_former_name_is_replaced_and_any_other_kept(given: str, expected: str) -> None:
    assert current(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("func.vjp against plain backward, gradient of 'a'", "functional reverse against plain reverse, gradient of 'a'"),
        ("create_graph backward against plain backward, gradient of 'a, b'", "recorded reverse against plain reverse, gradient of 'a, b'"),
        ("gradient of input 'func.vjp against plain backward'", "gradient of input 'func.vjp against plain backward'"),
        ("second derivative in 'a'", "second derivative in 'a'"),
    ],
)  # fmt: skip
def test_the_words_for_an_array_follow(given: str, expected: str) -> None:
    assert current_in_text(given) == expected
    assert current_in_text(expected) == expected
