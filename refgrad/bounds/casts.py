"""The rounding rule of a cast that rounds the value."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Radius, zero
from refgrad.bounds.formats import FORMATS, UNIT_ROUNDOFF, Format
from refgrad.bounds.profiles import SINGLE
from refgrad.bounds.rounding import rounded


def cast(fmt: Format, target: Format, x: PlainArray, e: Radius) -> tuple[PlainArray, Radius]:
    """Value and radius of a cast from a format to a target that does not hold all its numbers.

    Of an exact operand the nearest number of the target, exactly; of others, from the lowest to the highest that may be nearest.

    A cast is a step function that never falls. Kernels cast float64 to formats narrower than float32 by way of float32, whose rounding
    may decide a tie. Where the processor takes subnormal numbers of the target as zero, a subnormal result may be zero. Of a number
    beyond the range of a format without infinities nothing is promised: kernels may saturate or give NaN.
    """
    reach = zero(e)
    if fmt.u < UNIT_ROUNDOFF[SINGLE] < target.u:
        reach = reach + UNIT_ROUNDOFF[SINGLE] * np.abs(x)
    back = FORMATS.get(fmt.name, fmt)  # which keeps its subnormal numbers
    low, y, high = (rounded(rounded(end, target), back) for end in (x - reach, x, x + reach))
    if target.name in fmt.flushing:
        low = np.where(np.abs(low) < target.least_normal, np.minimum(low, 0.0), low)
        high = np.where(np.abs(high) < target.least_normal, np.maximum(high, 0.0), high)
    radius = np.where((low == high) | np.isnan(x), 0.0, np.maximum(high - y, y - low))
    radius = np.where(np.isnan(radius), np.inf, radius)
    if not target.infinity:
        radius = np.where(np.abs(x) + reach >= target.overflow, np.inf, radius)
    return y, radius if radius.any() else None
