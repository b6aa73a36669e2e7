"""Pooling over windows at random places, which has no derivative to compare."""

from __future__ import annotations

from typing import Any, NoReturn

from refgrad.arrays import Array
from refgrad.errors import NoRuleError


def fractional_max_pool2d(
    input: Array,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> NoReturn:
    """Raises NoRuleError: the windows lie at random places. Graham, "Fractional max-pooling" (2014)."""
    _refuse("fractional_max_pool2d", "adaptive_max_pool2d")


def fractional_max_pool3d(
    input: Array,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> NoReturn:
    """Raises NoRuleError, as fractional_max_pool2d does."""
    _refuse("fractional_max_pool3d", "adaptive_max_pool3d")


def _refuse(who: str, other: str) -> NoReturn:
    raise NoRuleError(
        f"{who}: the windows lie at random places, which has no rule; write {other}, whose windows are fixed, or read windows of your own "
        "places by an index and take their maxima"
    )
