"""Exact derivatives that take more than one line, for the records (``OpRecord.slopes``).

Each receives mpmath and its numbers. A formula here may cancel: it is evaluated with more and more digits until they agree. It raises
ZeroDivisionError or ValueError, or is NaN or complex, where there is no derivative.
"""

from __future__ import annotations

from typing import Any

Number = Any  # of mpmath
CUBIC = 0.044715  # the number of float64: mpmath takes it exactly


def sigmoid(mp: Any, x: Number) -> Number:
    """1/(1 + exp(-x))."""
    return 1 / (1 + mp.exp(-x))


def sigmoid_slope(mp: Any, x: Number) -> Number:
    """s (1 - s) with s = sigmoid(x)."""
    z = mp.exp(-abs(x))
    return z / (1 + z) ** 2


def silu(mp: Any, x: Number) -> Number:
    """The slope of x sigmoid(x)."""
    return sigmoid(mp, x) * (1 + x * sigmoid(mp, -x))


def mish(mp: Any, x: Number) -> Number:
    """The slope of x tanh(log(1 + exp(x)))."""
    w = mp.exp(-abs(x))
    if x > 0:
        t, d = (1 + 2 * w) / (1 + 2 * w + 2 * w * w), 1 + 2 * w + 2 * w * w
        return t + x * 4 * (1 + w) * w * w / d**2
    d = w * w + 2 * w + 2
    return (w * w + 2 * w) / d + x * 4 * (1 + w) * w / d**2


def gelu_tanh(mp: Any, x: Number) -> Number:
    """The slope of the tanh form of gelu."""
    c = mp.sqrt(2 / mp.pi)
    cubic = mp.mpf(CUBIC)
    u = c * (x + cubic * x**3)
    return sigmoid(mp, 2 * u) + 2 * x * sigmoid_slope(mp, 2 * u) * c * (1 + 3 * cubic * x * x)


def sinc(mp: Any, x: Number) -> Number:
    """The closed form; near 0 two terms of the series, which are exact to far more digits than are asked for there."""
    a = mp.pi * x
    if abs(x) < mp.mpf(2) ** -200:
        return -mp.pi * a / 3
    return (a * mp.cos(a) - mp.sin(a)) / (a * x)


def hardswish(mp: Any, x: Number) -> Number:
    """The slope of x relu6(x + 3)/6."""
    if abs(x) == 3:
        raise ValueError("a kink")
    return mp.mpf(0) if x < -3 else mp.mpf(1) if x > 3 else (2 * x + 3) / 6


def stepped(mp: Any, x: Number, low: float, high: float, slope: Number) -> Number:
    """``slope`` between two kinks, and 0 outside."""
    if x in (low, high):
        raise ValueError("a kink")
    return slope if low < x < high else mp.mpf(0)


def power_exponent(mp: Any, x1: Number, x2: Number) -> Number:
    """The slope of x1^x2 in x2."""
    return x1**x2 * mp.log(x1)


def radius(mp: Any, x1: Number, x2: Number) -> Number:
    """x1^2 + x2^2."""
    return x1 * x1 + x2 * x2
