"""Forward mode along many directions at once: the columns of a Jacobian by one run of the function.

An array carries its tangents along a leading axis. The rule of an elementwise op takes all of them in one call, because the operands
broadcast against them. Any other rule is called for each, without the cost of a run for each. So the numbers are those of single runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.op import Op, Params, in_dtype, shape_of
from refgrad.tracing import forward


class Singly(BaseException):
    """The function has to be run for one direction at a time. No error, so that the function does not take it for one of its own."""


class Many:
    """The directions of one run of a function.

    count     how many there are
    most      numbers that the tangents of one array may have
    singly    the run met what has to be run singly. Whatever the function returned does not count.
    """

    __slots__ = ("count", "most", "singly")

    def __init__(self, count: int, most: int) -> None:
        self.count = count
        self.most = most
        self.singly = False

    def stop(self) -> Singly:
        """What ends the run, to be raised."""
        self.singly = True
        return Singly()


class Dual(forward.Dual):
    """A value with its tangents along the directions of a run: an array of one more axis, the first.

    It has the name of the one with a single tangent, because users read it in messages.
    """

    __slots__ = ("_many",)

    def __init__(self, value: Array, tangents: Array, level: int, many: Many) -> None:
        super().__init__(value, tangents, level)
        self._many = many

    def _constant(self, y: Array) -> Dual:
        return self._paired(y, np.zeros((self._many.count, *y.shape), y.dtype))

    def _paired(self, value: Array, tangent: Array) -> Dual:
        return Dual(value, tangent, self._level, self._many)

    def _pushing(self, op: Op, y: Array) -> forward.Push:
        if y.size * self._many.count > self._many.most:
            raise self._many.stop()
        return _at_once if _elementwise(op, y) else _by_rows

    def _alone(self) -> None:
        raise self._many.stop()


def _elementwise(op: Op, y: Array) -> bool:
    """Whether the rules of an op take tangents with a further axis: they know no shape. A traced value may be at a special point."""
    sig = op.signature
    return (
        op.elementwise
        and not sig.variadic
        and isinstance(y, (np.ndarray, np.generic))
        and not any(kind == "shape" for needs in sig.jvp if needs is not None for kind, _ in needs.inputs)
    )


def _at_once(
    op: Op, values: tuple[Any, ...], params: Params, active: tuple[bool, ...], tangents: list[Any], y: Array
) -> Array | None:
    """As push, for tangents along a leading axis."""
    y_dots: Array | None = None
    for needs, x, x_dots, a in zip(op.signature.jvp, values, tangents, active, strict=True):
        if a and needs is not None:
            part = needs.rule(_aligned(x_dots, x, y.ndim), *needs.collect(values, y, params, active))
            y_dots = part if y_dots is None else y_dots + part
    if y_dots is None:
        return None
    shape = (len(next(t for t in tangents if t is not None)), *y.shape)
    if y_dots.shape != shape:
        y_dots = np.broadcast_to(y_dots, shape)
    return y_dots if y_dots.dtype == y.dtype else in_dtype(y_dots, y.dtype, op)


def _by_rows(
    op: Op, values: tuple[Any, ...], params: Params, active: tuple[bool, ...], tangents: list[Any], y: Array
) -> Array | None:
    """As push, one tangent after another."""
    rows = []
    for row in zip(*[t for t in tangents if t is not None], strict=True):
        given = iter(row)
        some = [t if t is None else next(given) for t in tangents]
        y_dot = forward.push(op, values, params, active, some, y)
        if y_dot is None:
            return None
        rows.append(y_dot)
    return np.stack(rows)


def _aligned(x_dots: Array, x: Any, ndim: int) -> Array:
    """Tangents of an operand with its axes where broadcasting puts them: behind the leading one come those that it lacks."""
    shape = shape_of(x)
    return x_dots if len(shape) == ndim else x_dots.reshape(len(x_dots), *(1,) * (ndim - len(shape)), *shape)
