"""Bessel functions of order 0 and 1 to any number of digits, by mpmath's numbers: for the exact slopes of the records.

mpmath's own functions of the second kind take up to seconds, because they are limits in the order. Here stand the power series
(DLMF 10.8 and 10.31), with the digits more that they lose, and the asymptotic series (10.17.3 and 10.40.2) where their smallest term is
below the last digit.
"""

from __future__ import annotations

from typing import Any


def first(mp: Any, n: int, x: Any) -> Any:
    """J_n for n = 0 or 1."""
    return mp.besselj(n, x)


def second(mp: Any, n: int, x: Any) -> Any:
    """Y_n for n = 0 or 1. ValueError below 0."""
    _positive(x)
    if _far(mp, x):
        even, odd = _asymptotic(mp, n, x)
        with mp.workprec(mp.mp.prec + max(int(mp.mag(x)), 0)):
            w = x - (2 * n + 1) * mp.pi / 4
            sine, cosine = mp.sin(w), mp.cos(w)
        return mp.sqrt(2 / (mp.pi * x)) * (even * sine + odd * cosine)
    with mp.workprec(mp.mp.prec + int(3 * x) + 40):
        return _by_series(mp, n, x, -1) * 2 / mp.pi


def scaled_modified(mp: Any, n: int, x: Any) -> Any:
    """exp(x) K_n for n = 0 or 1. ValueError below 0."""
    _positive(x)
    if _far(mp, x):
        even, odd = _asymptotic(mp, n, x, 1)
        return mp.sqrt(mp.pi / (2 * x)) * (even + odd)
    with mp.workprec(mp.mp.prec + int(6 * x) + 40):
        return _by_series(mp, n, x, 1) * (1 if n else -1) * mp.exp(x)


def modified(mp: Any, n: int, x: Any) -> Any:
    """K_n for n = 0 or 1. ValueError below 0."""
    return scaled_modified(mp, n, x) * mp.exp(-x)


def _positive(x: Any) -> None:
    if x <= 0:
        raise ValueError(f"a number above 0 is expected, got {x}")


def _far(mp: Any, x: Any) -> bool:
    """Whether the smallest term of the asymptotic series, about exp(-2 x), is below the last digit."""
    return bool(2.8 * x > mp.mp.prec + 40)


def _asymptotic(mp: Any, n: int, x: Any, sign: int = -1) -> tuple[Any, Any]:
    """The sums over even and over odd k of a_k/x^k (10.17.1); with ``sign`` -1 their signs alternate.

    x is above 50 here: terms fall from 1, and the first sum is about 1. So integers will do, in units below the last digit.
    """
    bits = mp.mp.prec + 30
    inverse = _units(mp, 1 / (8 * x), bits)
    sums, term, k = [0, 0], 1 << bits, 0
    while abs(term) > 1 << 10:
        sums[k % 2] += term if sign > 0 or k % 4 < 2 else -term
        k += 1
        term = (term * inverse >> bits) * (4 * n * n - (2 * k - 1) ** 2) // k
    return mp.ldexp(sums[0], -bits), mp.ldexp(sums[1], -bits)


def _by_series(mp: Any, n: int, x: Any, sign: int) -> Any:
    """(log(x/2) + gamma) f_n - ..., with f_n the power series whose signs alternate for ``sign`` -1: pi/2 Y_n, or -K_0, or K_1.

    The sum is of integers, in units of 2^-bits. Callers ask for the digits more that the largest term takes.
    """
    bits = mp.mp.prec
    square, log = sign * _units(mp, x * x / 4, bits), _units(mp, mp.log(x / 2) + mp.euler, bits)
    one = 1 << bits
    total, term, harmonic, k = 0, one, 0, 0
    while k < 2 or abs(term) > 1:
        inner = log - harmonic
        total += term * (inner if n == 0 else (inner - one // (2 * (k + 1))) // (k + 1)) >> bits
        k += 1
        harmonic += one // k
        term = (term * square >> bits) // (k * k)
    found = mp.ldexp(total, -bits)
    return found if n == 0 else found * x / 2 + sign / x


def _units(mp: Any, x: Any, bits: int) -> int:
    """x in units of 2^-bits, cut to an integer."""
    return int(mp.ldexp(x, bits))
