"""Draws: each kind is what its name says, in every format."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.testing.checks.seeds import CONSTANT, DRAWS, LARGE, ONES, SINGLE, SPARSE, WHOLE, ZERO, drawn
from refgrad.tracing.ball import nearest, representable

SHAPE = (64, 32)


def largest(x):
    return np.max(np.abs(x))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("dtype", computed_on())
def test_every_draw_holds_finite_numbers_of_the_format(kind, dtype, rng) -> None:
    x = drawn(kind, rng, SHAPE, FORMATS[dtype])
    assert x.shape == SHAPE
    assert np.isfinite(x).all()
    assert representable(x, FORMATS[dtype]).all()
    assert drawn(kind, rng, (0, 3), FORMATS[dtype]).shape == (0, 3)
    assert drawn(kind, rng, (), FORMATS[dtype]).shape == ()


@pytest.mark.parametrize(
    ("dtype", "shorter"), [("float64", "float32"), ("float32", "bfloat16"), ("float16", "bfloat16")]
)
def test_the_whole_significand_does_not_survive_a_shorter_format(dtype, shorter, rng) -> None:
    x = drawn(WHOLE, rng, SHAPE, FORMATS[dtype])
    assert np.mean(nearest(x, FORMATS[shorter]) == x) < 0.2


def test_single_sparse_constant_ones_and_zero(rng) -> None:
    count = {
        kind: np.count_nonzero(drawn(kind, rng, SHAPE, FORMATS["float32"])) for kind in (SINGLE, SPARSE, ZERO)
    }
    assert count == {SINGLE: 1, SPARSE: 45, ZERO: 0}
    assert len(np.unique(drawn(CONSTANT, rng, SHAPE, FORMATS["float32"]))) == 1
    assert np.unique(drawn(ONES, rng, SHAPE, FORMATS["float32"])).tolist() == [1.0]


def test_small_and_large_ones_differ_by_the_root_of_the_range(rng) -> None:
    for dtype, exponent in (("float64", 256), ("float32", 32), ("bfloat16", 32), ("float16", 4)):
        fmt = FORMATS[dtype]
        assert 2.0**exponent < largest(drawn(LARGE, rng, SHAPE, fmt)) < 8 * 2.0**exponent
        assert 2.0**-exponent < largest(drawn("very small", rng, SHAPE, fmt)) < 8 * 2.0**-exponent


def test_large_ones_leave_room_for_the_square_of_a_gradient(rng) -> None:
    fmt = FORMATS["float16"]
    assert largest(drawn(LARGE, rng, SHAPE, fmt, unit=100.0)) * 100 <= np.sqrt(fmt.max)
    assert largest(drawn(LARGE, rng, SHAPE, fmt, unit=0.1)) > 16  # there is room: nothing is damped
