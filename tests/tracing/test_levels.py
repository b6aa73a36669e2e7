"""The traced array of the innermost transformation among arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

import refgrad as rg
from refgrad.tracing.levels import innermost

Array = Any
X = np.array([0.7, -1.3])


def test_the_inner_one_is_found_wherever_it_stands() -> None:
    assert innermost((1.0, [X], {"a": None})) is None
    seen: list[bool] = []

    def outer(x: Array) -> Array:
        def inner(y: Array) -> Array:
            places: list[Any] = [(x, y), ([x], [[y]]), (slice(x, y),), ({"a": y, "b": x},), {"a": y}]
            seen.extend(innermost(place) is y for place in places)
            return y * x

        return rg.jvp(inner, (X,), (X,))[1]

    rg.jvp(outer, (X,), (X,))
    assert seen == [True] * 5
