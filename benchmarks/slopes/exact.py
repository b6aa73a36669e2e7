"""Slopes of the elementwise ops, from their records, as functions of mpmath numbers; their values to as many digits as it takes.

A formula here may cancel: it is evaluated with more and more digits until they agree. It raises ZeroDivisionError or ValueError, or is
NaN or complex, where there is no slope.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

import refgrad.ops  # noqa: F401 - fills the registry
from refgrad.op import REGISTRY, Op

Number = Any
Slope = Callable[..., Number]

# By op, one for each operand.
SLOPES: dict[str, tuple[Slope, ...]] = {
    name: tuple(functools.partial(slope, mpmath) for slope in op.slopes)
    for name, op in sorted(REGISTRY.items())
    if op.slopes
}

DIGITS = 80  # bits that two evaluations agree in
LADDER = (120, 260, 600, 1200, 2400, 4800)  # bits of precision
# Nothing beyond 2^OUT or below 2^-OUT comes back into the range by a number of float64, its factor or divisor: 2200 > 1024 + 1074.
OUT = 2200


def ops() -> list[Op]:
    """The ops that are measured, by name: those whose record has exact slopes."""
    return [REGISTRY[name] for name in SLOPES]


def value(f: Slope, xs: tuple[float, ...]) -> Number | None:
    """f at numbers of any dtype, to 80 bits; None where it has no real value, or none that settles.

    Where a value is far out of the range, two evaluations that say so are enough.
    """
    before: Number = None
    for bits in LADDER:
        with mpmath.workprec(bits):
            try:
                now = f(*[mpf(x) for x in xs])
            except (ZeroDivisionError, ValueError):
                return None
            if not isinstance(now, mpf) or not mpmath.isfinite(now):
                return None
            settled = now != 0 or bits >= LADDER[-2]  # few digits of a difference may cancel to 0
            if before is not None and settled and (_agree(before, now) or _out(before) == _out(now) != 0):
                return now
        before = now
    return None


def _agree(before: Number, now: Number) -> bool:
    return bool(abs(now - before) <= mpmath.ldexp(abs(now), -DIGITS))


def _out(now: Number) -> int:
    """2 and -2 far above the range and far below its negative part, 1 where nothing in the range is as small, 0 for all others."""
    if mpmath.mag(now) < -OUT:
        return 1
    return 2 * int(mpmath.sign(now)) if mpmath.mag(now) > OUT else 0


def slope(name: str, position: int) -> Slope:
    """The slope of an op in one operand."""
    return SLOPES[name][position]


def second(name: str, position: int, again: int) -> Slope:
    """The second derivative, in the operands at two positions."""
    return moving(SLOPES[name][position], again)


def moving(f: Slope, again: int) -> Slope:
    """The derivative of f in the operand at a position: a difference in three times the digits."""

    def derivative(*xs: Number) -> Number:
        bits = mpmath.mp.prec
        f(*xs)  # at a pole there is no derivative, though the difference of both sides may be a number
        with mpmath.workprec(3 * bits):
            x = xs[again]
            h = mpmath.ldexp(abs(x) if x != 0 else mpf(1), -bits)
            low, high = ((*xs[:again], z, *xs[again + 1 :]) for z in (x - h, x + h))
            return (f(*high) - f(*low)) / (2 * h)

    return derivative
