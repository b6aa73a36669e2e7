"""Which elements are wrong, and how much an array says for an explanation."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.plausibility import Difference, out_of_bounds
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.tracing.ball import Ball

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_same_elements_are_wrong_as_in_a_comparison(dtype: str) -> None:
    fmt = FORMATS[dtype]
    big = float(np.nextafter(fmt.max, 0))
    numbers = [0.0, 1.0, -1.0, big, -big, 2 * fmt.max, INF, -INF, NAN]
    bounds = [0.0, 0.5, 3.0, fmt.max / 4, INF]
    judged = 0
    for got in numbers:
        for expected in numbers:
            for bound in bounds:
                one = np.array([got]), np.array([expected], fmt.wide), np.array([bound], fmt.wide)
                found = compare(one[0], Ball(one[1], one[2], fmt), fmt, hidden=Hidden())
                assert out_of_bounds(*one, fmt)[0] == bool(found.wrong), (got, expected, bound)
                judged += bool(found.wrong)
    assert 50 < judged < 350


def test_bits_are_counted_where_a_prediction_can_be_told_from_what_is_expected() -> None:
    fmt = FORMATS["float64"]
    x = np.array([1.0, 2.0, 4.0, 0.0])
    d = Difference.of(2 * x, x, np.full(4, 2.0**-20), fmt)
    assert d.bits(2 * x, np.full(4, 2.0**-20)) == pytest.approx(19 + 20 + 21, abs=1e-3)
    assert d.bits(2 * x, np.full(4, 2.0**-20), free=(0,)) == pytest.approx(19 + 20, abs=1e-3)
    assert d.bits(3 * x, np.full(4, 2.0**-20)) == -INF
    assert d.bits(2 * x + 1, np.full(4, 8.0)) == 0  # met, but so would anything be
    assert Difference.of(0 * x, x, 0 * x, fmt).bits(0 * x, 0 * x) == 0  # what is small is near zero


def test_the_window_of_a_hidden_formula_is_that_of_the_largest_element() -> None:
    x = np.array([1.0, 1e-6, 0.5])
    d = Difference.of(x + 1e-9, x, 1e-8 * x, FORMATS["float64"])
    assert list(d.wrong) == [False, True, False]
    hidden = Difference.of(x + 1e-9, x, 1e-8 * x, FORMATS["float64"], hidden=True)
    assert not hidden.wrong.any()
    assert np.all(hidden.window == hidden.window[0])
