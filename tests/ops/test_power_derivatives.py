"""The bound of the slopes of powers where the exponent less one is rounded, which kernels form in the format of their operands."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rounding import nearest
from refgrad.ops.arithmetic import power_slope
from refgrad.tracing.ball import exact, parts


@pytest.mark.parametrize(("dtype", "last"), [("bfloat16", 256.0), ("float16", 2048.0)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_integers_beyond_the_significand_are_rounded(dtype: str, last: float, sign: float) -> None:
    """x2 - 1 of the last integer in a row is none of the format: its neighbour is a factor x1 away, and of the other sign for -x1."""
    fmt = FORMATS[dtype]
    bases = sign * (1 + 2.0 ** np.arange(1, 4) / last)
    for exponent in (-last, 1 - last, -4 * last):
        value, radius = parts(power_slope(exact(bases, fmt), exact(np.full(3, exponent), fmt)))
        kernel = exponent * np.power(bases, nearest(exponent - 1, fmt))
        moved = np.abs(kernel - value)
        assert np.all(moved <= radius)
        if exponent == 1 - last:
            assert np.all(radius < 0.3 * np.abs(value)), "the difference is exact"
        else:
            assert np.all(moved > 0.5 * (np.abs(bases) - 1) * np.abs(value)), "the rule counts this"


@pytest.mark.parametrize(("dtype", "last"), [("bfloat16", 256.0), ("float16", 2048.0)])
def test_the_sign_of_an_infinity_may_be_open(dtype: str, last: float) -> None:
    """-0 to an odd or an even power is an infinity of either sign, and 0 is not."""
    fmt = FORMATS[dtype]
    base, exponent = exact(np.array([-0.0, 0.0, -0.0]), fmt), exact(np.array([-last, -last, 1 - last]), fmt)
    value, radius = parts(power_slope(base, exponent))
    assert np.isinf(value).all()
    assert np.array_equal(np.isnan(radius), [True, False, False])
    tiny = exact(np.array([2.0**-16]), fmt)  # less one it is -1, which is odd, by rounding
    assert nearest(2.0**-16 - 1, fmt) == -1
    assert np.isnan(parts(power_slope(exact(np.array([-0.0]), fmt), tiny))[1]).all()
    assert not np.isnan(parts(power_slope(exact(np.array([0.0]), fmt), tiny))[1]).any()


@pytest.mark.parametrize(("dtype", "last"), [("bfloat16", 256.0), ("float16", 2048.0)])
def test_an_exponent_is_rounded_each_time_that_it_is_lowered(dtype: str, last: float) -> None:
    """-256 less one is rounded to -256 in bfloat16, and so it is again: the power is two factors x1 away."""
    fmt, exponent = FORMATS[dtype], -last
    bases = 1 + 2.0 ** np.arange(4, 7) / last
    once = nearest(exponent - 1, fmt)
    twice = nearest(once - 1, fmt)
    assert once == twice == exponent
    value, radius = parts(power_slope(exact(bases, fmt), exact(np.full(3, exponent), fmt), base=2))
    kernel = exponent * once * np.power(bases, twice)
    assert np.all(np.abs(kernel - value) <= radius)
