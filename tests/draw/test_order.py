"""Crossings are counted right, and ordering leaves no more of them than it found."""

import random

import pytest

from refgrad.draw.order import Segment, Slot, crossings, order


def two_columns(n, edges):
    columns = [[Slot(c, 0, 0, node=i, index=i) for i in range(n)] for c in range(2)]
    for i, j, fraction in edges:
        segment = Segment(columns[0][i], columns[1][j], fraction, 1.0)
        columns[0][i].after.append(segment)
        columns[1][j].before.append(segment)
    return columns


def counted_one_by_one(edges):
    return sum(
        (a[0] - b[0]) * (a[1] + a[2] - b[1] - b[2]) < 0 for k, a in enumerate(edges) for b in edges[:k]
    )


@pytest.mark.parametrize("seed", range(30))
def test_crossings_are_counted(seed):
    rng = random.Random(seed)
    edges = [(rng.randrange(6), rng.randrange(6), rng.choice([0.25, 0.5, 0.75])) for _ in range(12)]
    assert crossings(two_columns(6, edges)) == counted_one_by_one(edges)


@pytest.mark.parametrize("seed", range(30))
def test_ordering_helps_and_loses_no_slot(seed):
    rng = random.Random(seed)
    edges = [(rng.randrange(6), rng.randrange(6), 0.5) for _ in range(9)]
    columns = two_columns(6, edges)
    before = crossings(columns)
    order(columns)
    assert crossings(columns) <= before
    assert [sorted(s.node for s in c) for c in columns] == [list(range(6))] * 2


def test_a_reversed_ladder_is_turned():
    columns = two_columns(6, [(i, 5 - i, 0.5) for i in range(6)])
    assert crossings(columns) == 15
    order(columns)
    assert crossings(columns) == 0
