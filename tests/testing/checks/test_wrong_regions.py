"""Where the wrong elements lie, and that a few of them at random lie nowhere in particular."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.testing.checks.wrong_regions import region


def mask(shape, *at):
    made = np.zeros(shape, bool)
    made[at] = True
    return made


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (mask((4, 10), slice(None), slice(8, None)), "the last 2 of the 10 indices of axis 1"),
        (mask((6, 8), slice(0, 2)), "the first 2 of the 6 indices of axis 0"),
        (mask((6, 8), 3), "index 3 of the 6 of axis 0"),
        (mask((9, 8), slice(3, 6)), "indices 3 to 5 of the 9 of axis 0"),
        (mask((4, 12), slice(None), slice(1, None, 3)), "every 3rd of the 12 indices, from 1 on, of axis 1"),
        (mask((6, 8), slice(4, None), slice(0, 4)), "the last 2 of the 6 indices of axis 0, the first 4 of the 8 indices of axis 1"),
        (mask((100,), slice(90, None)), "the last 10 of the 100 indices of axis 0"),
    ],
)  # fmt: skip
def test_blocks_are_named(wrong, words) -> None:
    found = region(wrong)
    assert found is not None
    assert found[1] == words
    inside = np.zeros(wrong.shape, bool)
    inside[np.ix_(*found[0])] = True
    assert not np.any(wrong & ~inside)


def test_nothing_is_said_of_all_of_none_or_of_one() -> None:
    assert region(np.ones((3, 4), bool)) is None
    assert region(np.zeros((3, 4), bool)) is None
    assert region(mask((8, 8), 3, 4)) is None
    assert region(np.array(True)) is None


def test_elements_at_random_are_no_block() -> None:
    rng = np.random.default_rng(0)
    said = sum(region(rng.random((6, 7)) < 0.1) is not None for _ in range(500))
    assert said <= 500 * 2.0**-6
