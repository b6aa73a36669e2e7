"""Slopes of the elementwise ops as functions of mpmath numbers, and their values to as many digits as it takes.

A formula here may cancel: it is evaluated with more and more digits until they agree. It raises ZeroDivisionError or ValueError, or is
NaN or complex, where there is no slope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import cos, cosh, exp, log, mpf, sin, sinh, sqrt, tanh

from refgrad.op import REGISTRY, Op
from refgrad.ops import ELEMENTWISE

Number = Any
Slope = Callable[..., Number]

# Their slopes are 0, 1 or -1, or a share of a tie: tests/ops/test_elementwise.py and the special points hold them.
SELECTING = {
    "abs", "add", "clip", "copysign", "factor_by_factor", "fan_in", "fmax", "fmin", "hardshrink", "hardtanh", "heaviside", "maximum",
    "minimum", "negative", "positive", "relu", "relu6", "reordered", "softshrink", "subtract", "underflowing", "where",
}  # fmt: skip

# Slopes of other ops, and slopes of these: measured as first and second derivatives of those.
DERIVATIVES = {
    "gelu_tanh_curve", "gelu_tanh_slope", "mish_curve", "mish_gate_slope", "mish_slope", "power_slope", "share", "share_slope",
    "silu_curve", "silu_slope",
}  # fmt: skip
# Products of a tangent or cotangent and the slope of another op, which is measured with that op.
TIMES = {"hypot_share": "hypot", "over_cosh_square": "tanh"}

CUBIC = mpf(0.044715)  # the number of float64


def _sigmoid(x: Number) -> Number:
    return 1 / (1 + exp(-x))


def _sigmoid_slope(x: Number) -> Number:
    z = exp(-abs(x))
    return z / (1 + z) ** 2


def _silu(x: Number) -> Number:
    return _sigmoid(x) * (1 + x * _sigmoid(-x))


def _mish(x: Number) -> Number:
    w = exp(-abs(x))
    if x > 0:
        t, d = (1 + 2 * w) / (1 + 2 * w + 2 * w * w), 1 + 2 * w + 2 * w * w
        return t + x * 4 * (1 + w) * w * w / d**2
    d = w * w + 2 * w + 2
    return (w * w + 2 * w) / d + x * 4 * (1 + w) * w / d**2


def _gelu_tanh(x: Number) -> Number:
    c = sqrt(2 / mpmath.pi)
    u = c * (x + CUBIC * x**3)
    return _sigmoid(2 * u) + 2 * x * _sigmoid_slope(2 * u) * c * (1 + 3 * CUBIC * x * x)


def _sinc(x: Number) -> Number:
    """The closed form; near 0 two terms of the series, which are exact to far more digits than are asked for there."""
    a = mpmath.pi * x
    if abs(x) < mpf(2) ** -200:
        return -mpmath.pi * a / 3
    return (a * cos(a) - sin(a)) / (a * x)


def _hardswish(x: Number) -> Number:
    if abs(x) == 3:
        raise ValueError("a kink")
    return mpf(0) if x < -3 else mpf(1) if x > 3 else (2 * x + 3) / 6


def _stepped(x: Number, low: float, high: float, slope: Number) -> Number:
    if x in (low, high):
        raise ValueError("a kink")
    return slope if low < x < high else mpf(0)


def _power_exponent(x1: Number, x2: Number) -> Number:
    return x1**x2 * log(x1)


def _radius(x1: Number, x2: Number) -> Number:
    return x1 * x1 + x2 * x2


SLOPES: dict[str, tuple[Slope, ...]] = {
    "arccos": (lambda x: -1 / sqrt((1 - x) * (1 + x)),),
    "arccosh": (lambda x: 1 / sqrt((x - 1) * (x + 1)),),
    "arcsin": (lambda x: 1 / sqrt((1 - x) * (1 + x)),),
    "arcsinh": (lambda x: 1 / sqrt(1 + x * x),),
    "arctan": (lambda x: 1 / (1 + x * x),),
    "arctan2": (lambda x1, x2: x2 / _radius(x1, x2), lambda x1, x2: -x1 / _radius(x1, x2)),
    "arctanh": (lambda x: 1 / ((1 - x) * (1 + x)),),
    "cbrt": (lambda x: 1 / (3 * mpmath.cbrt(abs(x)) ** 2),),
    "cbrt_slope": (lambda x: -mpmath.sign(x) * 2 / 9 * mpmath.cbrt(abs(x)) ** -5,),
    "cos": (lambda x: -sin(x),),
    "cosh": (sinh,),
    "deg2rad": (lambda _: mpmath.pi / 180,),
    "divide": (lambda _, x2: 1 / x2, lambda x1, x2: -x1 / x2 / x2),
    "elu": (lambda x: mpf(1) if x > 0 else exp(x),),
    "entr": (lambda x: -log(x) - 1,),
    "entr_slope": (lambda x: -1 / x,),
    "exp": (exp,),
    "exp2": (lambda x: mpf(2) ** x * log(2),),
    "expm1": (exp,),
    "gelu_tanh": (_gelu_tanh,),
    "hardsigmoid": (lambda x: _stepped(x, -3, 3, mpf(1) / 6),),
    "hardswish": (_hardswish,),
    "hypot": (lambda x1, x2: x1 / sqrt(_radius(x1, x2)), lambda x1, x2: x2 / sqrt(_radius(x1, x2))),
    "kl_div": (lambda _, t: -t, lambda x, t: log(t) + 1 - x),
    "leaky_relu": (lambda x: mpf(1) if x > 0 else mpf(0.01),),
    "log": (lambda x: 1 / x,),
    "log10": (lambda x: 1 / (x * log(10)),),
    "log1p": (lambda x: 1 / (1 + x),),
    "log2": (lambda x: 1 / (x * log(2)),),
    "log_sigmoid": (lambda x: _sigmoid(-x),),
    "logaddexp": (lambda x1, x2: _sigmoid(x1 - x2), lambda x1, x2: _sigmoid(x2 - x1)),
    "logaddexp2": (
        lambda x1, x2: _sigmoid((x1 - x2) * log(2)),
        lambda x1, x2: _sigmoid((x2 - x1) * log(2)),
    ),
    "logit": (lambda x: 1 / (x * (1 - x)),),
    "mish": (_mish,),
    "multiply": (lambda _, x2: x2, lambda x1, _: x1),
    "one_minus_square": (lambda x: -2 * x,),
    "power": (lambda x1, x2: x2 * x1 ** (x2 - 1), _power_exponent),
    "rad2deg": (lambda _: 180 / mpmath.pi,),
    "reciprocal": (lambda x: -1 / (x * x),),
    "remainder": (lambda *_: mpf(1), lambda x1, x2: -mpmath.floor(x1 / x2)),
    "sigmoid": (_sigmoid_slope,),
    "sigmoid_quotient": (_sigmoid_slope,),
    "sigmoid_slope": (lambda x: -_sigmoid_slope(x) * tanh(x / 2),),
    "silu": (_silu,),
    "sin": (cos,),
    "sinc": (_sinc,),
    "sinh": (cosh,),
    "softplus": (_sigmoid,),
    "softsign": (lambda x: 1 / (1 + abs(x)) ** 2,),
    "sqrt": (lambda x: 1 / (2 * sqrt(x)),),
    "square": (lambda x: 2 * x,),
    "tan": (lambda x: 1 / cos(x) ** 2,),
    "tan_slope": (lambda x: 2 * mpmath.tan(x) / cos(x) ** 2,),
    "tanh": (lambda x: 1 / cosh(x) ** 2,),
    "tanhshrink": (lambda x: tanh(x) ** 2,),
    "times_complement": (lambda x: 1 - 2 * x,),
    "xlog1py": (lambda _, x2: mpmath.log1p(x2), lambda x1, x2: x1 / (1 + x2)),
    "xlogy": (lambda _, x2: log(x2), lambda x1, x2: x1 / x2),
}  # fmt: skip

DIGITS = 80  # bits that two evaluations agree in
LADDER = (120, 260, 600, 1200, 2400, 4800)  # bits of precision


def ops() -> list[Op]:
    """The ops that are measured: elementwise, differentiable, and with a slope other than 0 and 1; by name."""
    return [
        op
        for _, op in sorted(REGISTRY.items())
        if op in ELEMENTWISE
        and op.signature.differentiable
        and op.name not in SELECTING | DERIVATIVES | TIMES.keys()
    ]


def value(f: Slope, xs: tuple[float, ...]) -> Number | None:
    """f at numbers of any dtype, to 80 bits; None where it has no real value, or none that settles."""
    before: Number = None
    for bits in LADDER:
        if before == 0 and bits < LADDER[-2]:  # few digits of a difference may cancel to 0
            continue
        with mpmath.workprec(bits):
            try:
                now = f(*[mpf(x) for x in xs])
            except (ZeroDivisionError, ValueError):
                return None
            if not isinstance(now, mpf) or not mpmath.isfinite(now):
                return None
            if before is not None and abs(now - before) <= mpmath.ldexp(abs(now), -DIGITS):
                return now
        before = now
    return None


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
