"""Operations on small arrays give what NumPy's own give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.small_arrays import constant, every, some, spread


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
@pytest.mark.parametrize("x", [0.0, 2.0**-53, 5e-324, 1.7976931348623157e308])
def test_a_constant_computes_as_the_number_does(x: float, dtype: Any) -> None:
    array = np.asarray([1.5, -2.0, 0.0, np.inf], dtype)
    with np.errstate(all="ignore"):
        for got, expected in (
            (constant(x, array.dtype) * array, x * array),
            (array + constant(x, array.dtype), array + x),
            (array <= constant(x, array.dtype), array <= x),
        ):
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


def test_a_constant_beside_whole_numbers_stays_a_fraction() -> None:
    assert constant(2.0**-53, np.dtype(int)) == 2.0**-53


def test_a_constant_is_kept_and_cannot_be_written_to() -> None:
    kept = constant(0.5, np.dtype(float))
    assert constant(0.5, np.dtype(float)) is kept
    with pytest.raises(ValueError, match="read-only"):
        kept[...] = 1.0


@pytest.mark.parametrize("size", [0, 1, 5, 4096, 4097])
def test_masks_of_any_size(size: int) -> None:
    mask = np.ones(size, bool)
    assert every(mask)
    assert every(mask.reshape(-1, 1).T)
    if size:
        mask[-1] = False
        assert not every(mask)
    assert every(np.True_)
    assert not every(np.False_)


def test_an_array_is_spread_or_stays_itself() -> None:
    x = np.arange(3.0)
    assert spread(x, (3,)) is x
    np.testing.assert_array_equal(spread(x, (2, 3)), np.broadcast_to(x, (2, 3)))


def test_one_radius_makes_some() -> None:
    assert not some(())
    assert not some((None, None))
    assert some((None, np.zeros(2)))
    assert some((0.0,))
