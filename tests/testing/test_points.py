"""Special points of operands that were broadcast."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.op import REGISTRY
from refgrad.testing.points import patches


@pytest.mark.parametrize(("one", "other"), [((1,), (0,)), ((1, 1), (0, 1)), ((1, 1), (3,)), ((), (0, 2))])
def test_a_broadcast_operand_that_meets_nothing_has_no_special_point(
    one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    """Not even where it stretches over an array without elements."""
    op = REGISTRY["maximum"]
    assert patches(op, (np.full(one, 2.0), np.full(other, 3.0)), {}, 0) == []


def test_a_tie_with_a_broadcast_operand_leaves_its_sum_open() -> None:
    op = REGISTRY["maximum"]
    ((places, low, high),) = patches(op, (np.full((1,), 2.0), np.array([2.0, 3.0])), {}, 0)
    assert places.tolist() == [True]
    assert low[0] > high[0]
