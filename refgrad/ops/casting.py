"""Casts through a format: to one of FORMATS and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS, UNIT_ROUNDOFF
from refgrad.bounds.profiles import DOUBLE, SINGLE
from refgrad.bounds.rounding import rounded
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.ops import samplers


def _cast_through(x: PlainArray, through: str = DOUBLE) -> PlainArray:
    return rounded(x, FORMATS[through])


def _rounding(run: Evaluation) -> Any:
    """Of an exact operand the nearest number of the format, exactly; of others, from the lowest to the highest that may be nearest.

    A cast is a step function that never falls. Kernels cast float64 to formats narrower than float32 by way of float32, whose rounding
    may decide a tie. Where the processor takes subnormal numbers of the format as zero, a subnormal result may be zero. Of a number
    beyond the range of a format without infinities nothing is promised: kernels may saturate or give NaN.
    """
    fmt, x, e = run.fmt, np.asarray(run.xs[0]), run.es[0]
    target = FORMATS[run.params["through"]]
    if target.holds(fmt):
        return x, e
    reach = bounds.zero(e)
    if fmt.u < UNIT_ROUNDOFF[SINGLE] < target.u:
        reach = reach + UNIT_ROUNDOFF[SINGLE] * np.abs(x)
    low, y, high = (rounded(rounded(end, target), fmt) for end in (x - reach, x, x + reach))
    if target.name in fmt.flushing:
        low = np.where(np.abs(low) < target.least_normal, np.minimum(low, 0.0), low)
        high = np.where(np.abs(high) < target.least_normal, np.maximum(high, 0.0), high)
    radius = np.where((low == high) | np.isnan(x), 0.0, np.maximum(high - y, y - low))
    radius = np.where(np.isnan(radius), np.inf, radius)
    if not target.infinity:
        radius = np.where(np.abs(x) + reach >= target.overflow, np.inf, radius)
    return y, radius if radius.any() else None


# By convention the derivative of a cast is 1. Frameworks cast tangents and cotangents to the formats of the values they belong to, so
# that they pass through the format as well.
cast_through: Op = register(
    "cast_through", _cast_through,
    jvp=lambda x_dot, through: cast_through(x_dot, through=through),
    vjp=lambda y_bar, through: cast_through(y_bar, through=through),
    rounding=_rounding,
    torch=lambda torch, x, through=DOUBLE: x.to(getattr(torch, FORMATS[through].storage)).to(x.dtype),
    domain=sampled(samplers.cast_through),
)  # fmt: skip  # a record reads by lines
