"""What is known of the kernel of a function (refgrad.op.function): its formula is hidden, and so are its intermediate results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.bounds.signs import unknown_signs_undefined
from refgrad.node import Node
from refgrad.testing.judging.imprecision import Hidden
from refgrad.tracing.ball import Ball, exact, operations_across, parts, rounded_operations


def hidden_formula(node: Node, operands: Sequence[Any], fmt: Format) -> Hidden:
    """What is known about the formula: it rounds as often as the reference for value and gradient together, or less often.

    Where all ops of the reference are elementwise, its elements are computed alone.
    """
    # Balls that remember results count no operation again, so these forget.
    forgetful = [Ball(x.value, x.radius, fmt) if isinstance(x, Ball) else x for x in operands]
    y = node.applied(forgetful)
    before, across = rounded_operations(), operations_across()
    node.contributions(forgetful, y, exact(parts(y)[0], fmt))  # which computes the value again
    alone = operations_across() == across
    return Hidden(fmt.u * (rounded_operations() - before), finite=False, alone=alone)


def undecided_where_lost(y: Ball, again: Callable[[], Ball]) -> Ball:
    """The value without bounds where it is NaN, or infinite of unknown sign; ``again`` computes it once more.

    An intermediate result may have left the range, which need not happen in a kernel.
    """
    value, radius = parts(y)
    if np.any(np.isinf(value) & np.isinf(radius)):
        with unknown_signs_undefined():
            value, _ = parts(again())
    lost = np.isnan(value)
    return Ball(np.where(lost, 0.0, value), np.where(lost, np.inf, radius), y.fmt) if lost.any() else y


__all__ = ["hidden_formula", "undecided_where_lost"]
