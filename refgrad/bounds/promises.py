"""What a rounding profile says of any op: a figure of the op itself, and values that exist because operands are taken as zero.

Rounding rules need not know of either: Balls apply both around them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.evaluation import Radius
from refgrad.bounds.formats import Format


def at_lost_operands(
    forward: Callable[..., Array], fmt: Format, y: Array, radius: Radius, xs: Sequence[Array]
) -> tuple[Array, Radius]:
    """Value and radius where the value is NaN and would not be if operands were taken as zero (the root of a subnormal negative number).

    There the value is that of the zeros, and the radius is infinite.
    """
    zeros = [
        np.where(np.abs(x) < fmt.zeroed, np.copysign(0.0, x), x).astype(x.dtype, copy=False)
        if x.dtype.kind == "f"
        else x
        for x in xs
    ]
    instead = forward(*zeros)
    saved = np.isnan(y) & ~np.isnan(instead)
    if not np.count_nonzero(saved):
        return y, radius
    return np.where(saved, instead, y), np.where(saved, np.inf, 0.0 if radius is None else radius)


def of_value(fmt: Format, name: str, y: Array, radius: Radius, *, exact_operands: bool) -> Radius:
    """The radius of the value y of an op with a figure of its own, from the one that the op's rule states.

    Of exact operands the figure is the radius, in place of the steps of the formula that the rule follows. It is added to a radius that
    operands have caused.
    """
    stated = fmt.own_figures[name]
    before = 0.0 if exact_operands or radius is None else radius
    return before + 2.0 * stated * fmt.u * (np.abs(y) + before) + math.ceil(2.0 * stated) * fmt.eta
