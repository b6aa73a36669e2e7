"""np.emath within the real domain: NumPy's own functions and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
W = np.array([0.3, 0.45, 0.8])

CALLS: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    **{name: (getattr(np.emath, name), [W]) for name in ("sqrt", "log", "log2", "log10", "arccos", "arcsin", "arctanh")},
    "logn": (np.emath.logn, [W, W + 0.6]),
    "power": (np.emath.power, [W, W - 0.5]),
    "power to an integer": (lambda x: np.emath.power(x, -2), [W]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_real_values_and_derivatives(name: str) -> None:
    f, xs = CALLS[name]
    values_and_derivatives(f, xs)
    in_any_nesting(f, xs)
