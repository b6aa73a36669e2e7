"""The sign of an infinite product: known or not."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.bounds.signs import unknown_signs_undefined
from refgrad.tracing.ball import Ball, exact, parts

FMT = FORMATS["float32"]


@pytest.mark.parametrize("swapped", [False, True])
def test_an_infinity_times_a_number_of_either_sign_is_undefined(swapped: bool) -> None:
    infinite = Ball(np.array([np.inf, np.inf, np.inf, 2.0]), np.array([np.inf, 0.0, np.inf, 0.0]), FMT)
    factor = Ball(np.array([0.3, 0.3, -0.3, 0.3]), np.array([0.5, 0.3, 0.1, 0.5]), FMT)
    value, _ = parts(infinite * factor)
    np.testing.assert_array_equal(value[:3], [np.inf, np.inf, -np.inf])
    with unknown_signs_undefined():
        value, radius = parts(factor * infinite if swapped else infinite * factor)
    np.testing.assert_array_equal(value[:3], [np.nan, np.nan, -np.inf])
    assert value[3] == 2 * 0.3
    assert radius[3] >= 1.0


def test_exact_factors_have_their_sign() -> None:
    with unknown_signs_undefined():
        found = exact(np.array([np.inf, -np.inf]), FMT) * exact(np.array([-2.0, -2.0]), FMT)
    np.testing.assert_array_equal(parts(found)[0], [-np.inf, np.inf])
