"""Forward mode: dual numbers. An array carries its tangent; every op sends tangents through its JVP rule.

y_dot = sum over operands of (dy/dx_i) x_i_dot. Nothing is kept: memory does not grow with the length of a program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.blocks import COUNT, slices
from refgrad.op import Op, Params, apply, in_dtype, new_level, shape_of
from refgrad.quiet import quietly
from refgrad.tracing import complex_operands
from refgrad.tracing.array import TracedArray
from refgrad.tracing.ball import Ball
from refgrad.tracing.copies import outlived
from refgrad.tracing.special_points import met
from refgrad.tracing.tape_rows import Balls, ball_rows, joined
from refgrad.tracing.tied_tangents import between

# The tangents of a result, from an op, its operands, parameters, which operands are active, their tangents, and the result.
Push = Callable[[Op, tuple[Any, ...], Params, tuple[bool, ...], list[Any], Array], Array | None]
_RUNNING: set[int] = set()  # levels whose function has not returned yet


@contextmanager
def running() -> Iterator[int]:
    """A new level, for as long as the function runs. Dual numbers of a level that has ended compute no more."""
    level = new_level()
    _RUNNING.add(level)
    try:
        yield level
    finally:
        _RUNNING.discard(level)


class Dual(TracedArray):
    """A value with its tangent, both arrays of the level below, of one shape."""

    __slots__ = ("_level", "_tangent", "_value")

    def __init__(self, value: Array, tangent: Array, level: int) -> None:
        self._value = value
        self._tangent = tangent
        self._level = level

    @property
    def _ended(self) -> str:
        return "" if self._level in _RUNNING else "forward mode"

    def _become(self, other: Any) -> None:
        self._value, self._tangent = other._value, other._tangent

    def _snapshot(self) -> Dual:
        return self._paired(self._value, self._tangent)

    def _constant(self, y: Array) -> Dual:
        return self._paired(y, np.zeros(y.shape, y.dtype))

    def _paired(self, value: Array, tangent: Array) -> Dual:
        """A value with its tangent, of this level."""
        return Dual(value, tangent, self._level)

    def _pushing(self, op: Op, y: Array) -> Push:  # noqa: ARG002  for a class that asks
        """How the tangents of this class are sent through an op with result y."""
        return pushed

    def _alone(self) -> None:
        """Called where a rule of the user's takes the tangent: it gets one at a time."""

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        level = top._level
        active: tuple[bool, ...]
        if len(operands) == 1:
            active, values, tangents = (True,), (top._value,), [top._tangent]
        else:
            active = tuple([type(x) is cls and x._level == level for x in operands])
            values = tuple([x._value if a else x for x, a in zip(operands, active, strict=True)])
            tangents = [x._tangent if a else None for x, a in zip(operands, active, strict=True)]
        if top._value.dtype.kind == "c":
            instead = complex_operands.answers(op, real_valued=True)
            if instead is not None:
                return instead(*operands, **params)
        y = apply(op, values, params)
        if y.dtype.kind == "c":
            instead = complex_operands.answers(op, real_valued=False)
            if instead is not None:
                return instead(*operands, **params)
        if not op.signature.differentiable:
            return y
        if level not in _RUNNING:
            raise outlived("forward mode")
        y_dot = quietly(top._pushing(op, y), op, values, params, active, tangents, y)
        return y if y_dot is None else top._paired(y, y_dot)


def pushed(
    op: Op, values: tuple[Any, ...], params: Params, active: tuple[bool, ...], tangents: list[Any], y: Array
) -> Array | None:
    """As push; of large Balls some rows at a time where that comes to the same, so that the terms of a tangent take no memory."""
    blocks = slices(y.shape) if type(y) is Ball and op.elementwise and not op.signature.variadic else None
    if (
        blocks is None
        or op.picks
        or any(t is not None and (type(t) is not Ball or t.shape != y.shape) for t in tangents)
        or any(np.ndim(p) for p in params.values())
        or met(op, values, params, y) is not None
    ):
        return push(op, values, params, active, tangents, y)
    whole: Balls | None = None
    before, across, once = COUNT.rounded, COUNT.across, 0
    for here in blocks:
        xs, xs_dot, value = (
            [ball_rows(x, here, y.shape) for x in given] for given in (values, tangents, (y,))
        )
        start = COUNT.rounded
        whole = joined(whole, push(op, tuple(xs), params, active, xs_dot, value[0]), here, y.shape)
        once = once or COUNT.rounded - start
    COUNT.rounded, COUNT.across = before + once, across  # cutting is no operation of the program
    return None if whole is None else whole.ball()


def push(
    op: Op, values: tuple[Any, ...], params: Params, active: tuple[bool, ...], tangents: list[Any], y: Array
) -> Array | None:
    """Tangent of y from the tangents of the active operands; None where no active operand has a derivative.

    Tangent shape equals value shape: a narrower tangent (an operand that was broadcast) is broadcast here, once for all ops.
    """
    sig = op.signature
    exceptional = met(op, values, params, y)
    if sig.variadic:
        needs = sig.jvp[0]
        assert needs is not None
        xs_dot = tuple([t if a else _zeros(x) for x, t, a in zip(values, tangents, active, strict=True)])
        whole = _fit(needs.rule(xs_dot, *needs.collect(values, y, params, active)), y, op)
        return whole if exceptional is None else exceptional.pushed(whole, None, 0)
    y_dot: Array | None = None
    for position, (needs, tangent, a) in enumerate(zip(sig.jvp, tangents, active, strict=True)):
        if a and needs is not None:
            part = needs.rule(tangent, *needs.collect(values, y, params, active))
            if exceptional is not None:
                part = exceptional.pushed(part, tangent, position)
            y_dot = part if y_dot is None else y_dot + part
    if y_dot is None:
        return None
    return between(op, values, params, tangents, y, _fit(y_dot, y, op))


def _zeros(x: Any) -> Array:
    return np.zeros(shape_of(x), x.dtype if hasattr(x, "dtype") and x.dtype.kind in "fc" else float)


def _fit(y_dot: Any, y: Array, op: Op) -> Array:
    if type(y_dot) is complex:  # what Python makes of 1j times a float64
        y_dot = np.complex128(y_dot)
    if y_dot.shape != y.shape:
        if not op.broadcasts:
            raise AssertionError(
                f"op {op.name!r}: its JVP rule gave a tangent of shape {y_dot.shape} for a value of shape {y.shape}"
            )
        y_dot = np.broadcast_to(y_dot, y.shape)
    return y_dot if y_dot.dtype == y.dtype else in_dtype(y_dot, y.dtype, op)
