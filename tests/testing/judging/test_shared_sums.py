"""Sums of contributions: computed together, they are those of one value at a time."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.formats import format_of
from refgrad.testing.judging import shared_sums
from refgrad.tracing.ball import Ball, exact


def test_sums_of_unlike_terms_are_computed_one_by_one() -> None:
    fmt = format_of("float32")
    x, y = np.array([1.0, 2.0]), np.array([0.5, -2.0])
    sums = [
        (fmt, (x, y)),
        (fmt, (exact(y, fmt), y)),
        (fmt, (Ball(x, np.full(2, 0.5), fmt), y)),
        (fmt, (x, np.float64(1.0))),
    ]
    found = shared_sums.totals(sums)
    alone = [shared_sums.total(fmt, terms) for fmt, terms in sums]
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
        np.testing.assert_array_equal(a.radius, b.radius)


def test_groups_stay_below_the_limit() -> None:
    assert [list(r) for r in shared_sums.limited([3, 3, 9, 1, 1], 7)] == [[0, 1], [2], [3, 4]]
    assert list(shared_sums.limited([], 7)) == []
