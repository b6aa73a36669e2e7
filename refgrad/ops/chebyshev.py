"""Chebyshev series whose coefficients are tables of decimal digits, for functions without a formula that converges fast."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from refgrad.arrays import Array


class Series:
    """A sum of c_k T_k(t) for -1 <= t <= 1. ``digits`` are the coefficients, of which each format takes as many as it can tell.

    Clenshaw, "A note on the summation of Chebyshev series" (1955).
    """

    def __init__(self, digits: str) -> None:
        self.digits = tuple(digits.split())

    @functools.cache  # noqa: B019 - the series are constants of modules
    def coefficients(self, dtype: Any) -> tuple[Any, ...]:
        """The coefficients as numbers of ``dtype``, up to the last one that is above a hundredth of its rounding."""
        found = [dtype.type(c) for c in self.digits]
        least = np.finfo(dtype).eps / 128 * max(abs(c) for c in found)
        while abs(found[-1]) < least:
            found.pop()
        return tuple(found)

    def __call__(self, t: Array) -> Array:
        """The sum at t, in the dtype of t, which is float64 or wider."""
        first, *rest = self.coefficients(t.dtype)
        one, two, twice = np.zeros_like(t), np.zeros_like(t), 2 * t
        for c in reversed(rest):
            one, two = twice * one - two + c, one
        return t * one - two + first
