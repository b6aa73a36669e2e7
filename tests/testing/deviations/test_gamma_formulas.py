"""The recorded formulas of digamma and polygamma give the numbers that torch gives, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad import special
from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.gamma_formulas import GAMMA_FORMULAS
from refgrad.testing.deviations.recorded_formula import VALUE, Inputs
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]
X = np.array([1.0, 1.5, -0.25])


def asked(*, second: bool = False, order: int = 1) -> Inputs:
    x, ones = (exact(a, FMT) for a in (X, np.ones(3)))
    return Inputs(second, (x,), {"order": order}, ones, (ones,), FMT)


@pytest.mark.parametrize(
    ("name", "key", "second"),
    [
        ("polygamma of order 1 by a short series", VALUE, False),
        ("slope of digamma by a short series", 0, False),
        ("second derivative of lgamma by a short series", 0, True),
    ],
)
def test_the_short_series_has_nine_digits(name: str, key: Any, second: bool) -> None:
    value = parts(GAMMA_FORMULAS[name](asked(second=second))[key][0])[0]
    off = np.abs(value - special.polygamma(1, X))
    assert np.all((off > 1e-11) & (off < 2e-9))
    if key == 0:
        assert not GAMMA_FORMULAS[name](asked(second=not second)).get(VALUE)


def test_other_orders_are_not_by_the_short_series() -> None:
    assert GAMMA_FORMULAS["polygamma of order 1 by a short series"](asked(order=2)) == {}


def test_the_tangent_is_as_right_as_its_bound_says() -> None:
    value, radius = parts(GAMMA_FORMULAS["digamma by a tangent"](asked())[VALUE][0])
    assert np.all(np.abs(value - special.digamma(X)) <= radius)
    assert np.all(radius < 1e-13)
