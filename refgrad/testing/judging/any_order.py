"""Nested sums in any order: a graph compiler may add up the terms of a sum of sums as one sum, or in another order.

(x + y) + z rounds x + y first, and x + (y + z) rounds y + z, which may be much larger. The bound of one sum of all terms holds for both
(Higham, "Accuracy and Stability of Numerical Algorithms", section 4.2). So do sums that derivatives make: the tangent of a product is a sum
of two, and the cotangent of a value is the sum of what its users send.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.op import Op
from refgrad.ops.arithmetic import fan_in
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.sweep import Sweep
from refgrad.transforms import jvp


class AnyOrder(Sweep):
    """A sweep in which the bound of a sum of sums holds for every order of its terms."""

    def __init__(self, case: Case, fmt: Format) -> None:
        # the terms of each value, tangent and cotangent that is a sum
        self._values: dict[int, list[Any]] = {}
        self._tangents: dict[int, list[Any]] = {}
        self._received: dict[int, list[Any]] = {}
        super().__init__(case, fmt)

    def value(self, k: int, y: Any) -> Any:
        """The value of node k."""
        if (signs := self._signs(k)) is None:
            return y
        of = self.graph.nodes[k].of
        return self._sum(
            self._values,
            k,
            y,
            ((s, self._values.get(j, [self.values[j]])) for s, j in zip(signs, of, strict=True)),
        )

    def moved(self, k: int, y_dot: Any, x_dots: list[Any]) -> Any:
        """The tangent of node k."""
        node, signs = self.graph.nodes[k], self._signs(k)
        moving = [p for p, x_dot in enumerate(x_dots) if x_dot is not None]
        if signs is not None:
            parts = [(signs[p], self._tangents.get(node.of[p], [x_dots[p]])) for p in moving]
        elif len(moving) > 1:
            alone = [[x_dot if p == q else None for p, x_dot in enumerate(x_dots)] for q in moving]
            parts = [(1, [node.tangent(self.operands(node), self.values[k], given)]) for given in alone]
        else:
            return y_dot
        return self._sum(self._tangents, k, y_dot, parts)

    def arriving(self, k: int, y_bar: Any) -> Any:
        """The cotangent of node k."""
        return self._sum(self._received, k, y_bar, [(1, self._received.get(k, [y_bar]))])

    def sent(self, k: int, position: int, x_bar: Any, y_bar: Any) -> Any:
        """What node k sends to the operand at a position: all terms of a sum, where it hands the sum on."""
        signs, j = self._signs(k), self.graph.nodes[k].of[position]
        handed = signs is not None and np.shape(x_bar) == np.shape(y_bar)
        terms = self._received.get(k, [y_bar]) if handed else [x_bar]
        sign = signs[position] if signs is not None and handed else 1
        self._received.setdefault(j, []).extend(terms if sign == 1 else [-t for t in terms])
        return x_bar

    def _signs(self, k: int) -> tuple[int, ...] | None:
        """The signs of the operands of a sum; None for another op."""
        node = self.graph.nodes[k]
        return None if node.params or not isinstance(node.op, Op) else _slopes(node.op, len(node.of))

    def _sum(
        self, terms: dict[int, list[Any]], k: int, y: Any, parts: Iterable[tuple[int, list[Any]]]
    ) -> Any:
        """The sum of all terms with the bound of any order, which are noted as those of node k."""
        found = [t if sign == 1 else -t for sign, given in parts for t in given]
        terms[k] = found
        return fan_in(*[np.broadcast_to(t, y.shape) for t in found]) if len(found) > 2 else y


@functools.cache
def _slopes(op: Op, operands: int) -> tuple[int, ...] | None:
    """The derivatives of an op whose derivatives are 1 or -1 at every point, by its rules; None for another op."""
    if not (op.elementwise and op.branch_free and op.unit_slopes):
        return None
    ones, units = [np.float64(1.0)] * operands, np.eye(operands)
    return tuple([int(jvp(op, tuple(ones), tuple(unit))[1]) for unit in units])
