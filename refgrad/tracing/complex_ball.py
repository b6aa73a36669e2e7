"""Complex values with error bounds: two Balls, of the real and of the imaginary part.

An op of complex numbers is computed by real ops on the parts, as its record says (refgrad/ops/by_parts.py). So every radius comes from the
rounding rules of real ops. The level is that of Balls: forward and reverse mode run over both alike. An op whose record has no formula for
parts raises NoRuleError: no bound is known, and no verdict is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.errors import NoRuleError
from refgrad.op import Op, Params
from refgrad.ops.by_parts import Parts
from refgrad.tracing.array import TracedArray
from refgrad.tracing.ball import ENCLOSED_BY_PARTS, Ball, lift


class ComplexBall(TracedArray):
    """A complex array whose real and imaginary parts are Balls of one shape."""

    __slots__ = ("_fmt", "_im", "_re", "_value")
    _level = 0

    def __init__(self, re: Ball, im: Ball, fmt: Format, value: Any = None) -> None:
        self._re, self._im, self._fmt = re, im, fmt
        self._value: Any = _complex(re.value, im.value) if value is None else value

    @property
    def parts(self) -> tuple[Ball, Ball]:
        """The Balls of the real and of the imaginary part."""
        return self._re, self._im

    @property
    def fmt(self) -> Format:
        """The judged format of the parts."""
        return self._fmt

    def _become(self, other: Any) -> None:
        self._re, self._im, self._value = other._re, other._im, other._value

    def _constant(self, y: Any) -> Any:
        return enclosed(y, self._fmt)

    def _snapshot(self) -> ComplexBall:
        return ComplexBall(self._re._snapshot(), self._im._snapshot(), self._fmt, self._value)

    @property
    def _scalar_type(self) -> type:
        return np.result_type(self._fmt.carrier, np.complex64).type

    def _key(self) -> int:
        return self._re._key()

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        return by_parts(op, operands, params, top._fmt)


def _complex(re: Any, im: Any) -> Any:
    y = np.empty(np.shape(re), np.result_type(re, np.complex64))
    y.real, y.imag = re, im
    return y[()]


def by_parts(op: Op, operands: tuple[Any, ...], params: Params, fmt: Format) -> Any:
    """The value of an op of Balls, ComplexBalls and constants. Raises NoRuleError where its record has no formula for parts."""
    instead = op.complex_rules
    if callable(instead):
        return instead(*operands, **params)
    if op.by_parts is None:
        raise NoRuleError(
            f"op {op.name!r} met complex operands, for which refgrad has no error bound: values and derivatives are not judged. Write it "
            "with real and imaginary parts (z.real, z.imag), or with products, sums, quotients, exp and Fourier transforms."
        )
    y = op.by_parts(op, tuple([_parts(x, fmt) for x in operands]), params)
    if not isinstance(y, Parts):
        return y
    shared = op.view and type(operands[0]) is ComplexBall  # its memory shows whether NumPy has made a view
    value = op.forward(operands[0]._value, **params) if shared else None
    return ComplexBall(_ball(y.re, fmt), _ball(y.im, fmt), fmt, value)


def _parts(x: Any, fmt: Format) -> Parts:
    if type(x) is ComplexBall:
        return Parts(x._re, x._im)
    if isinstance(x, TracedArray):
        return Parts(x)
    x = x if hasattr(x, "dtype") else np.asarray(x)[()]
    if x.dtype.kind != "c":
        return Parts(x)
    return Parts(lift(x.real, fmt), lift(x.imag, fmt))


def _ball(x: Any, fmt: Format) -> Ball:
    return x if type(x) is Ball else lift(np.asarray(x, fmt.wide), fmt)


def enclosed(x: Any, fmt: Format) -> Any:
    """A constant met by Balls, real or complex."""
    x = np.asarray(x)[()] if not hasattr(x, "dtype") else x
    if x.dtype.kind != "c":
        return lift(x, fmt)
    return ComplexBall(lift(x.real, fmt), lift(x.imag, fmt), fmt)


ENCLOSED_BY_PARTS.append(by_parts)
