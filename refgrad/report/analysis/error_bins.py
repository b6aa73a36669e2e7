"""Bins of worst errors, in units of their bounds and in units in the last place."""

from __future__ import annotations

import math
from bisect import bisect_left

# The upper edges of the bins. One bin follows for larger errors, and one for errors that are not finite.
RATIOS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 1e2, 1e4)
ULPS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 1024.0, 2.0**20)


def bin_of(error: float, edges: tuple[float, ...]) -> int:
    """The number of the bin of an error."""
    return bisect_left(edges, abs(error)) if math.isfinite(error) else len(edges) + 1


def missing_ulp(ulp: float, ratio: float) -> bool:
    """Whether the error in ULP is missing: NaN beside a finite ratio."""
    return math.isnan(ulp) and math.isfinite(ratio)
