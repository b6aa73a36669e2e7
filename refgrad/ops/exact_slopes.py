"""Exact derivatives that take more than one line, for the records (``OpRecord.slopes``).

Each receives mpmath and its numbers. A formula here may cancel: it is evaluated with more and more digits until they agree. It raises
ZeroDivisionError or ValueError, or is NaN or complex, where there is no derivative.
"""

from __future__ import annotations

from typing import Any

Number = Any  # of mpmath
CUBIC = 0.044715  # the number of float64: mpmath takes it exactly


def exp(mp: Any, x: Number) -> Number:
    """The exponential, as 2^n by that of x - n log 2: mpmath takes powers of e where a large x is a whole number."""
    if mp.mag(x) < 20:
        return mp.exp(x)
    with mp.workprec(mp.mp.prec + int(mp.mag(x)) + 20):
        n = mp.floor(x / mp.ln2)
        rest = x - n * mp.ln2
    return mp.ldexp(mp.exp(rest), int(n))


def sigmoid(mp: Any, x: Number) -> Number:
    """1/(1 + exp(-x))."""
    return 1 / (1 + exp(mp, -x))


def sigmoid_slope(mp: Any, x: Number) -> Number:
    """s (1 - s) with s = sigmoid(x)."""
    z = exp(mp, -abs(x))
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


def erfcx(mp: Any, x: Number) -> Number:
    """2x y - 2/sqrt(pi) of y = exp(x^2) erfc(x); far out three terms of its asymptotic series, and on the other side the growing part."""
    if x > 10**12:
        return -(1 - 3 / (2 * x * x) + 15 / (4 * x**4)) / (mp.sqrt(mp.pi) * x * x)
    if x < -1000:
        return 4 * x * exp(mp, x * x)
    return 2 * x * exp(mp, x * x) * mp.erfc(x) - 2 / mp.sqrt(mp.pi)


def log_ndtr(mp: Any, x: Number) -> Number:
    """density(x)/Phi(x); far left three terms of its asymptotic series, and where Phi is 1 the density."""
    if x < -(10**9):
        return -x * (1 + 1 / (x * x) - 2 / x**4)
    density = exp(mp, -x * x / 2) / mp.sqrt(2 * mp.pi)
    return density if x > 1000 else density / (mp.erfc(-x / mp.sqrt(2)) / 2)


def gelu(mp: Any, x: Number) -> Number:
    """Phi(x) + x density(x); far left its leading term, far right 1."""
    if x > 1000:
        return mp.mpf(1)
    density = exp(mp, -x * x / 2) / mp.sqrt(2 * mp.pi)
    return x * density if x < -1000 else mp.erfc(-x / mp.sqrt(2)) / 2 + x * density


def quantile(mp: Any, p: Number) -> Number:
    """The x with Phi(x) = p < 1/2, by Newton's method on the logarithm of Phi, which is concave."""
    x = -mp.sqrt(-2 * mp.log(p)) if p < 0.1 else mp.mpf(0)
    for _ in range(200):
        distribution = mp.erfc(-x / mp.sqrt(2)) / 2
        step = (mp.log(distribution) - mp.log(p)) * distribution * mp.sqrt(2 * mp.pi) * mp.exp(x * x / 2)
        x -= step
        if abs(step) <= abs(x) * mp.ldexp(1, 8 - mp.mp.prec):
            break
    return x


def ndtri(mp: Any, p: Number) -> Number:
    """sqrt(2 pi) exp(x^2/2) with Phi(x) = p."""
    if p in (0, 1):
        raise ZeroDivisionError
    x = quantile(mp, min(p, 1 - p))
    return mp.sqrt(2 * mp.pi) * mp.exp(x * x / 2)
