"""The identity whose derivative is defined to be zero. ``refgrad.stop_gradient`` applies it to the leaves of a tree."""

from __future__ import annotations

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.op import register
from refgrad.op.traits import REAL_LINEAR
from refgrad.ops import by_parts


def _stop_gradient(x: Array) -> Array:
    """A copy: what is returned is a plain array where nothing else traces x, and writing into it must not reach x."""
    return np.array(x)


stop_gradient = register(
    "stop_gradient", _stop_gradient,
    jvp=None,
    vjp=None,
    rounding=bounds.moved,
    torch=lambda torch, x: x.detach(),
    complex_rules=REAL_LINEAR, by_parts=by_parts.separately,
)  # fmt: skip
