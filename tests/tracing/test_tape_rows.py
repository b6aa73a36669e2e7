"""Rows of a tape: which part of a program is elementwise, and entries cut to rows and put together again."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.tracing.entry import Edge, Entry
from refgrad.tracing.tape_rows import ball_rows, elementwise_part, entry_rows, joined, saved

FMT = FORMATS["float64"]
SHAPE = (4, 3)
X = np.arange(12.0).reshape(SHAPE)


def entry(name: str, *places: int, shape=SHAPE, kept=(X,), ordinary=True) -> Entry:
    edges = [Edge(k, np.sin, tuple(kept), shape, X.dtype, i) for i, k in enumerate(places)]
    return Entry(REGISTRY[name], edges, ordinary)


def test_what_leads_to_a_place_is_elementwise_or_there_is_no_part() -> None:
    tape = [None, entry("sin", 0), entry("exp", 0), (1, None, (X,)), entry("multiply", 3, 0)]
    some = elementwise_part(tape, {4}, SHAPE)
    assert some is not None
    assert [k for k, e in enumerate(some) if e is not None] == [1, 3, 4]  # exp is not needed, 0 is an input
    for other in (entry("sum", 0), entry("sin", 0, shape=(4, 1)), entry("sin", 0, ordinary=False)):
        assert elementwise_part([None, other], {1}, SHAPE) is None


def test_what_will_be_differentiated_once_more_is_no_part() -> None:
    higher = exact(X, FMT)
    assert elementwise_part([None, entry("sin", 0, kept=(higher,))], {1}, SHAPE) is not None
    traced = type("Traced", (), {"_level": 1})()
    assert elementwise_part([None, entry("sin", 0, kept=(traced,))], {1}, SHAPE) is None
    assert elementwise_part([None, (0, None, (traced,))], {1}, SHAPE) is None


def test_what_an_entry_holds_is_listed() -> None:
    assert list(saved(entry("sin", 0, 1, kept=(1, 2)))) == [1, 2, 1, 2]
    assert list(saved((0, None, (1, 2), 1, None, (3,)))) == [1, 2, 3]


def test_an_entry_is_cut_to_rows_and_what_broadcasts_stays() -> None:
    here, own = slice(1, 3), (2, 3)
    row = np.arange(3.0)
    cut = entry_rows(entry("multiply", 0, kept=(X, row, 2.0)), here, SHAPE, own)
    [(place, _, kept, shape, *_)] = cut.edges
    assert (place, shape) == (0, own)
    assert np.array_equal(kept[0], X[1:3])
    assert kept[1] is row
    assert kept[2] == 2.0
    place, rule, kept = entry_rows((0, None, (X,)), here, SHAPE, own)
    assert (place, rule) == (0, None)
    assert np.array_equal(kept[0], X[1:3])
    assert entry_rows(None, here, SHAPE, own) is None


def test_balls_of_rows_are_put_together_again() -> None:
    ball = Ball(X, np.sqrt(X), FMT)
    assert ball_rows(X, slice(0, 1), (5, 3)) is X
    whole = None
    for here in (slice(0, 2), slice(2, 4)):
        whole = joined(whole, ball_rows(ball, here, SHAPE), here, SHAPE)
    assert whole is not None
    value, radius = parts(whole.ball())
    assert np.array_equal(value, X)
    assert np.array_equal(radius, np.sqrt(X))
    assert whole.ball().fmt is FMT
    assert joined(whole, None, slice(0, 2), SHAPE) is None
