"""Means by weights exp(x)/sum(exp(x)), as forward mode forms them for softmax's kin: through the shift, which it differentiates.

The mean does not depend on the shift m = max(x), so its derivative in m is 0. A kernel sends the sum of the derivatives of all x - m
there, each of which it has rounded. Along an axis of hundreds of elements this may exceed the derivative in the largest element itself. The
sum is part of reverse mode over forward mode alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.formula import Formula, Rule
from refgrad.ops.weighted_rows import shift


def shifted_mean(x_dot: Array, x: Array, axis: Any) -> Array:
    """The mean of x_dot along the axis by the weights exp(x - max(x)); the axis has size 1."""
    weights = np.exp(x - shift(x, axis))
    return np.sum(weights * x_dot, axis=axis, keepdims=True) / np.sum(weights, axis=axis, keepdims=True)


def by_shifted_means(*, jvp: Rule, vjp: Rule) -> Formula:
    """A formula whose jvp takes ``shifted_mean``."""
    why = "forward mode by weights exp(x - m) with m = max(x), whose derivative in m is the sum of what was rounded along the axis"
    return Formula(why, jvp=jvp, vjp=vjp, blind=True)
