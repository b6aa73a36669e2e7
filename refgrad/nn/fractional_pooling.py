"""Pooling over windows at random places, which has no derivative to compare."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

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
    _refuse(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Array,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> NoReturn:
    """Raises NoRuleError, as fractional_max_pool2d does."""
    _refuse(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def _refuse(axes: int, input: Any, *given: Any) -> NoReturn:
    names = ("kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples")
    shown = ", ".join(f"{name}={x!r}" for name, x in zip(names, given, strict=True) if x is not None)
    raise NoRuleError(
        f"fractional_max_pool{axes}d of an input of shape {np.shape(input)} with {shown}: the windows lie at random places, which has no "
        f"rule; write adaptive_max_pool{axes}d, whose windows are fixed, or read windows of your own by an index and take their maxima"
    )
