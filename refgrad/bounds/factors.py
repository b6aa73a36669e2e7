"""The rounding rule of a product of many factors, in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.evaluation import Radius, zero
from refgrad.bounds.formats import Format


def product_underflow(
    fmt: Format, size: Array, e: Radius, factors: Any, multiply: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """How much a product of many factors may lose to underflow in some order, and where a partial product overflows in some order.

    A partial product below the normal range is off by eta, which the factors still to come enlarge by at most the product of
    those above one.
    """
    largest = multiply(np.maximum(size + e, 1.0))
    smallest = multiply(np.minimum(np.maximum(size - e, 0.0), 1.0))
    some_lost = (smallest < fmt.eta / fmt.u) & (multiply((size + e > 0) * 1.0) > 0)
    return np.where(some_lost, factors * fmt.eta * largest, 0.0), largest > fmt.max


def multiplied(
    fmt: Format, y: Array, xs: Any, es: Any, add: Callable[[Array], Array], multiply: Callable[[Array], Array]
) -> Array:
    """A product of m factors other than +-1 in any order: (m-1) u |y|, and underflow; nothing where a partial product may overflow.

    ``add`` and ``multiply`` are the sum and the product over the same axes.
    """
    size, e = np.abs(xs[0]), zero(es[0])
    most, factors = multiply(size + e), add((size != 1) | (e > 0))
    lost, unsafe = product_underflow(fmt, size, e, factors, multiply)
    radius = np.maximum(most - np.abs(y), 0.0) + np.maximum(factors - 1, 0) * fmt.u * most + lost
    return np.where(unsafe & (np.abs(y) - radius < fmt.max), np.inf, radius)
