"""Draws of arguments: shapes, roles of operands, and intervals."""

from __future__ import annotations

import numpy as np

from refgrad.op.draws import SIZES, Draws, Seeded
from refgrad.testing.cases.source import Replayed


def drawn(seed: int) -> Draws:
    return Draws(Seeded(np.random.default_rng(seed)))


def test_choices_are_among_the_options_and_all_come_up() -> None:
    draw = drawn(0)
    assert {draw.choice((1, 2, 3)) for _ in range(100)} == {1, 2, 3}
    assert {draw.integer(-1, 1) for _ in range(100)} == {-1, 0, 1}
    assert {draw.size() for _ in range(200)} == {*SIZES}
    assert {len(draw.shape(0, 2)) for _ in range(100)} == {0, 1, 2}


def test_operands_are_arrays_of_the_shape_and_role_that_is_asked_for() -> None:
    draw = drawn(1)
    for shape in ((), (3,), (2, 0), (40, 3)):
        arrays = {"f": draw.numbers(shape), "i": draw.labels(shape, 4), "b": draw.mask(shape)}
        for kind, x in arrays.items():
            assert type(x) is np.ndarray, kind
            assert (x.shape, x.dtype.kind) == (shape, kind)
    assert {*draw.labels((200,), 4).tolist()} == {0, 1, 2, 3}
    assert 0 < np.mean(draw.mask((200,))) < 1


def test_numbers_lie_in_their_interval() -> None:
    for low, high in ((0.0, np.inf), (-np.inf, -1.0), (0.25, 0.5)):
        x = drawn(2).numbers((500,), low, high)
        assert low <= x.min() < x.max() <= high


def test_the_first_options_make_the_simplest_draw() -> None:
    draw = Draws(Replayed((), 0))
    assert draw.shape() == (SIZES[0],)
