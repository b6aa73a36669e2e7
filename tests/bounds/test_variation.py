"""How far functions go within a radius, against their values there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds import variation
from refgrad.quiet import quiet

LONG = np.longdouble
CASES: dict[str, tuple[Any, Any, float, float]] = {
    "exp": (np.exp, variation.exp, -700, 700),
    "log": (np.log, variation.log, 1e-6, 1e6),
    "log1p": (np.log1p, variation.log1p, -0.999, 1e3),
    "sqrt": (np.sqrt, variation.sqrt, 1e-6, 1e6),
    "tanh": (np.tanh, variation.tanh, -25, 25),
    "sigmoid": (
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x, y, e: variation.sigmoid(y, 1 / (1 + np.exp(x)), e),
        -40,
        40,
    ),
    "square": (np.square, lambda x, y, e: variation.power(x, 2, e), -5, 5),
    "cube": (lambda x: x * x * x, lambda x, y, e: variation.power(x, 3, e), -5, 5),
}


@pytest.mark.parametrize("name", CASES)
def test_no_value_within_the_radius_is_farther_away(name: str) -> None:
    function, bound, low, high = CASES[name]
    rng = np.random.default_rng(1)
    x = rng.uniform(low, high, 4000).astype(LONG)
    e = np.exp(rng.uniform(np.log(1e-12), np.log(2.0), 4000))
    with quiet():
        y = function(x)
        found = bound(x, y, e)
        noise = 2.0**-60 * (1 + np.abs(x)) * (1 + np.abs(y))
        for step in (-1.0, -0.9, 0.5, 1.0):
            moved = np.abs(function(x + step * e) - y)
            inside = ~np.isnan(moved)
            assert np.all((moved <= found * (1 + 2.0**-45) + noise)[inside])
        ends = np.maximum(np.abs(function(x + e) - y), np.abs(y - function(x - e)))
    assert np.all((found <= ends * 1.01 + noise)[(e < 1e-4 * np.abs(x)) & np.isfinite(ends)])
