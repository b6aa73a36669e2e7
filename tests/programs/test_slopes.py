"""Differences settle where a slope exists, and there alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.programs.slopes import slopes


def vector(*fs: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda t: np.array([f(np.longdouble(t)) for f in fs], np.longdouble)


def test_smooth_functions_settle_on_their_slopes() -> None:
    fs = (
        np.sin,
        lambda t: np.exp(3 * t),
        lambda t: (t + 2) ** 4,
        lambda t: 0 * t,
        lambda t: 5 * t,
        lambda t: 1 / (t - 0.5),
    )
    found = slopes(vector(*fs), np.longdouble)
    assert found.settled.all()
    assert (np.abs(found.slope - np.array([1, 3, 32, 0, 5, -4])) <= 4 * found.error).all()
    assert (found.error < 1e-13).all()


@pytest.mark.parametrize("f", [
    np.abs, lambda t: np.maximum(t, 0), np.floor, lambda t: np.where(t > 0, 1, t), np.cbrt, np.sqrt,
    lambda t: np.maximum(t, 2 * t) + np.sin(t), lambda t: t % 1,
])  # fmt: skip
def test_kinks_and_jumps_do_not_settle(f: Callable[[Any], Any]) -> None:
    assert not slopes(vector(f), np.longdouble).settled.any()


def test_a_kink_within_the_larger_steps_is_not_seen_by_the_smaller_ones() -> None:
    f, g = lambda t: np.abs(t - 2.0**-11), lambda t: (3 * t + 2.0**-12) % 2.0**-10
    found = slopes(vector(f, g), np.longdouble)
    right = np.abs(found.slope - np.array([-1, 3])) <= 4 * found.error
    assert (right | ~found.settled).all()


def test_noise_of_a_narrower_format_does_not_settle() -> None:
    found = slopes(vector(lambda t: np.float32(1.3 + t) ** 2, lambda t: np.float16(1.3 + t)), np.longdouble)
    assert not found.settled[1]
    assert abs(found.slope[0] - 2.6) <= 4 * found.error[0] or not found.settled[0]
