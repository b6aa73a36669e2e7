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
    """Value and radius where one of two values is NaN: the value, or the one that operands taken as zero give.

    The root of a subnormal negative number is NaN, and that of zero is 0; a remainder by a subnormal divisor is a number, and by zero NaN.
    There the value is the one that is a number, and the radius is infinite. The logarithm of a subnormal negative number is NaN, and that
    of zero is infinite: an infinite value would have to be met, so the value is the largest number of its sign.
    """
    zeros = [
        np.where(np.abs(x) < fmt.zeroed, np.copysign(0.0, x), x).astype(x.dtype, copy=False)
        if x.dtype.kind == "f"
        else x
        for x in xs
    ]
    instead = forward(*zeros)
    unknown = np.isnan(y) != np.isnan(instead)
    if not np.count_nonzero(unknown):
        return y, radius
    number = np.where(np.isnan(y), instead, y)
    number = np.where(unknown & np.isinf(number), np.copysign(fmt.max, number), number).astype(
        y.dtype, copy=False
    )
    return number, np.where(unknown, np.inf, 0.0 if radius is None else radius)


def lost(fmt: Format, xs: Sequence[Array]) -> bool:
    """Whether an operand is taken as zero and is not zero."""
    return any(x.dtype.kind == "f" and np.count_nonzero((np.abs(x) < fmt.zeroed) & (x != 0)) for x in xs)


def of_value(fmt: Format, name: str, y: Array, radius: Radius, *, exact_operands: bool) -> Radius:
    """The radius of the value y of an op with a figure of its own, from the one that the op's rule states.

    Of exact operands the figure is the radius, in place of the steps of the formula that the rule follows. It is added to a radius that
    operands have caused.
    """
    stated = fmt.own_figures[name]
    before = 0.0 if exact_operands or radius is None else radius
    return before + 2.0 * stated * fmt.u * (np.abs(y) + before) + math.ceil(2.0 * stated) * fmt.eta
