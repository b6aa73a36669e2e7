"""The logarithm of the gamma function and its derivatives, the polygamma functions, as plain functions of arrays in float64 or wider.

From 20 on they are asymptotic series (Abramowitz and Stegun, 6.1.41 and 6.4.11). Below, recurrences lead there (6.4.6), or to Chebyshev
series about the zeros: log(Gamma(x))/(x - 1) from 1/2 to 3/2, log(Gamma(x))/(x - 2) from 3/2 to 3, and psi(x)/(x - x_0) from 1 to 3.
On the negative axis stand the reflections 6.1.17 and 6.4.7, into which the distance from the nearest integer enters, which is exact.
The tables hold 24 places.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.chebyshev import Series
from refgrad.ops.compensated import PI, constant

ZERO_OF_PSI = "1.4616321449683623412626595423257213284681962040064"
HALF_LOG_TWO_PI = "0.91893853320467274178032973640561763986139747363778"

NEAR_1 = Series(
    """
    -0.6330114262750310114876974 0.4405675574678962903196629 -0.05785740944991244345278539 0.01051397369026781124013119
    -2.163989092091715099887366e-3 4.744402338724657789454648e-4 -1.079964452809942807033273e-4 2.520115529953027582186223e-5
    -5.986014498026819695900666e-6 1.44106161802930535443275e-6 -3.506069057576117865839067e-7 8.603823016763753282071829e-8
    -2.126510912478687800216779e-8 5.287778091463613924182736e-9 -1.32171357521661568086212e-9 3.318669855445049309023071e-10
    -8.365902567746218683586291e-11 2.116338666160694109429578e-11 -5.370507653794380621328191e-12 1.366668810054585750744524e-12
    -3.486660039885161104826363e-13 8.915622432767707923379658e-14 -2.284549593509080145224825e-14 5.865146715222119809819177e-15
    -1.508407118396860166329413e-15 3.885614648428305859014627e-16 -1.002418818664036084609317e-16 2.589641856538415078124729e-17
    -6.698674740958570434575021e-18 1.734837340713105660304222e-18 -4.497954546916509076905246e-19 1.167419144082572579506132e-19
    -3.032954474343342003471018e-20 7.886906892254363107103256e-21 -2.052702064200654628087855e-21 5.346900805968604038988183e-22
    -1.393848977055320697054853e-22 3.63620747171894019444753e-23 -9.492580637226846731038426e-24 2.479746426095090418177544e-24
    -6.481915448242655967253148e-25
    """
)
NEAR_2 = Series(
    """
    0.4836276365984251591343334 0.2240835133769690920236854 -0.01606161136472561884920261 1.679635100550453761063876e-3
    -2.062070825768480039834595e-4 2.761948258769890361170462e-5 -3.902432064395171666480689e-6 5.712600238782987853807271e-7
    -8.572324415853470565556381e-8 1.30987061783703611965172e-8 -2.029117431919159478539567e-9 3.177019404112652293760622e-10
    -5.016890225526704120567539e-11 7.977607508944760127164709e-12 -1.275932070746686682038948e-12 2.050750600178682202149374e-13
    -3.309998326505828496076935e-14 5.362087191185866618235913e-15 -8.714427500704615567122407e-16 1.420317041741945287641412e-16
    -2.320825278640517413995692e-17 3.801021892031956572653499e-18 -6.238290254064288383116132e-19 1.025788313086437598502138e-19
    -1.68969085722744955430047e-20 2.78774639407682438182767e-21 -4.606194101519224528529562e-22 7.62125964369717203606287e-23
    -1.262596567641931450673527e-23 2.094199140977867210463299e-24
    """
)
PSI = Series(
    """
    0.8508141002274593689940708 -0.3069179531659570447874975 0.06960086856205177085685937 -0.01712297234345181940817475
    4.374961886424303281155786e-3 -1.140179637791510538293688e-3 3.004612739223679207905496e-4 -7.969172661686522258244044e-5
    2.121885392572232624830431e-5 -5.663159693536592256228449e-6 1.513671750534173732991213e-6 -4.049502623335513242245449e-7
    1.083979923064391911503457e-7 -2.902675071136904187855464e-8 7.774554697983642578854857e-9 -2.082649195692376976410278e-9
    5.579524084715321435029243e-10 -1.494871886397958727522647e-10 4.005228073341035163837003e-11 -1.073151517872539508092066e-11
    2.87542178435176329866096e-12 -7.704533926086571652527015e-13 2.064400402623600287762569e-13 -5.53150434659318010019122e-14
    1.482155285389004001836154e-14 -3.971411389284322249503566e-15 1.064134462572271706321364e-15 -2.851336247171813106921927e-16
    7.640126526131413714657108e-17 -2.04716471681187585112267e-17 5.485359583436558501711036e-18 -1.469797371534997889056123e-18
    3.938309674340645029525111e-19 -1.055266808757414800900279e-19 2.827578741032684934786957e-20 -7.576474142833205486264178e-21
    2.030110083590141626077377e-21 -5.43966349816631396232452e-22 1.457553428343833777013587e-22 -3.905502618045964066831294e-23
    1.046476268690651489014758e-23 -2.804024704330283432449858e-24
    """
)

SERIES_FROM = 20.0  # the asymptotic series; that of the derivative of order n from SERIES_FROM + n on
TERMS = 16


def _bernoulli(count: int) -> list[Fraction]:
    """B_2, B_4, ... by their recurrence."""
    b = [Fraction(1)]
    for m in range(1, 2 * count + 1):
        b.append(-sum((math.comb(m + 1, k) * b[k] for k in range(m)), Fraction(0)) / (m + 1))
    return b[2::2]


BERNOULLI = _bernoulli(TERMS)


class _Squares:
    """The function sum of c_k/x^(2k) from k = 0 on. Its coefficients are rounded once for each dtype."""

    def __init__(self, coefficients: Iterable[Fraction]) -> None:
        self._exact = tuple(coefficients)
        self._rounded: dict[Any, list[Any]] = {}

    def __call__(self, x: Array) -> Array:
        real = x.dtype.type
        if real not in self._rounded:
            self._rounded[real] = [real(c.numerator) / real(c.denominator) for c in reversed(self._exact)]
        square, total = 1 / (x * x), np.zeros_like(x)
        for c in self._rounded[real]:
            total = total * square + c
        return total


OF_LOG_GAMMA = _Squares(b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(BERNOULLI))
OF_PSI = _Squares(b / (2 * k + 2) for k, b in enumerate(BERNOULLI))


@functools.cache
def _of_powers(s: int) -> _Squares:
    """Of the sum of (x + k)^-s: B_2k s (s + 1) ... (s + 2k - 2)/(2k)!."""
    return _Squares(
        b * math.prod(range(s, s + 2 * k + 1)) / math.factorial(2 * k + 2) for k, b in enumerate(BERNOULLI)
    )


def _gap(x: Array) -> Array:
    """The distance from the nearest integer, with its sign."""
    return np.where(np.isfinite(x), x - np.rint(x), 0.0)


# --- the logarithm of the gamma function -------------------------------------------------------------------------------


def log_gamma(x: Array) -> Array:
    """log |Gamma(x)|: infinite at 0, -1, -2, ... and at both ends."""
    size = np.abs(x)
    near_0, near_1, near_2 = np.minimum(size, 0.5), np.clip(size, 0.5, 1.5), np.clip(size, 1.5, 3.0)
    y = np.where(
        size < 0.5, near_0 * NEAR_1(2 * near_0) - np.log(near_0), (near_1 - 1) * NEAR_1(2 * near_1 - 2)
    )
    y = np.where(size > 1.5, _near_2(near_2), y)
    y = np.where(size > 3, _by_product(np.clip(size, 3.0, SERIES_FROM)), y)
    y = np.where(size > SERIES_FROM, _by_series(np.maximum(size, SERIES_FROM)), y)
    return np.where(x < 0, _reflected(x, y), y)


def _near_2(x: Array) -> Array:
    return (x - 2) * NEAR_2((x - 2.25) / 0.75)


def _by_product(x: Array) -> Array:
    """The logarithm of (x - 1)(x - 2)..., and of the gamma function between 2 and 3."""
    product = np.ones_like(x)
    for _ in range(int(SERIES_FROM) - 3):
        above = x > 3
        x = np.where(above, x - 1, x)
        product = product * np.where(above, x, 1.0)
    return np.log(product) + _near_2(x)


def _by_series(x: Array) -> Array:
    rest = (x.dtype.type(HALF_LOG_TWO_PI) - 0.5) + OF_LOG_GAMMA(x) / x
    return (x - 0.5) * (np.log(x) - 1) + rest


def _reflected(x: Array, y: Array) -> Array:
    """At x < 0, where ``y`` is the value at -x."""
    size, gap, pi = np.abs(x), np.abs(_gap(x)), x.dtype.type(PI)
    sine = np.where(gap > 0.25, np.cos(pi * (0.5 - gap)), np.sin(pi * gap)) / pi
    near = np.minimum(size, 0.5)
    beside_0 = -near * NEAR_1(-2 * near) - np.log(near)
    return np.where(gap == 0, np.inf, np.where(size < 0.5, beside_0, -np.log(sine * size) - y))


# --- the digamma function ----------------------------------------------------------------------------------------------


def digamma(x: Array) -> Array:
    """psi(x): infinite at 0, and NaN at -1, -2, ..., where it has no sign."""
    y = _psi(np.where(x < 0, 1 - x, x))
    gap, pi = _gap(x), x.dtype.type(PI)
    cotangent = np.where(
        np.abs(gap) > 0.25, np.copysign(np.tan(pi * (0.5 - np.abs(gap))), gap), 1 / np.tan(pi * gap)
    )
    return np.where(x < 0, np.where(gap == 0, np.nan, y - pi * cotangent), y)


def _psi(x: Array) -> Array:
    """psi at x >= 0."""
    (zero, rest), near = constant(ZERO_OF_PSI, x.dtype), np.clip(x, 1.0, 3.0)
    y = ((near - zero) - rest) * PSI(near - 2)
    below = np.minimum(x, 1.0)
    y = np.where(x < 1, ((below - (zero - 1)) - rest) * PSI(below - 1) - 1 / x, y)
    y = np.where(x > 3, _by_quotients(np.clip(x, 3.0, SERIES_FROM)), y)
    far = np.maximum(x, SERIES_FROM)
    return np.where(x > SERIES_FROM, np.log(far) - (0.5 + OF_PSI(far) / far) / far, y)


def _by_quotients(x: Array) -> Array:
    """psi between 2 and 3, and 1/(x - 1) + 1/(x - 2) + ..."""
    total = np.zeros_like(x)
    for _ in range(int(SERIES_FROM) - 3):
        above = x > 3
        x = np.where(above, x - 1, x)
        total = total + np.where(above, 1 / x, 0.0)
    (zero, rest) = constant(ZERO_OF_PSI, x.dtype)
    return total + ((x - zero) - rest) * PSI(x - 2)


# --- derivatives of the digamma function -------------------------------------------------------------------------------


def _unit(size: Array) -> Array:
    """An exponent of 2 near that of each number, 2 to which is in range."""
    return np.minimum(np.frexp(np.where(np.isfinite(size), size, 1.0))[1], np.finfo(size.dtype).maxexp - 1)


def polygamma(x: Array, order: int) -> Array:
    """The derivative of that order, 1 or more, of psi: at poles infinite where both sides agree, else NaN, and at 0 by the sign of 0."""
    gap = _gap(x)
    unit = _unit(np.where((x < 0) & (gap != 0), np.abs(gap), np.abs(x)))
    from_above = np.where(gap < 0, 1 + gap, gap)
    from_below = np.where(gap < 0, -gap, 1 - gap)
    odd = order % 2 == 1
    y = powers_from(np.where(x < 0, from_above, x), order + 1, unit)
    if np.any(x < 0):
        others = powers_from(from_below, order + 1, unit) - powers_from(
            np.where(x < 0, 1 - x, 1.0), order + 1, unit
        )
        inside = y + others if odd else y - others
        at_pole = np.where(np.isfinite(x) & odd, np.inf, np.nan)
        y = np.where(x < 0, np.where(gap == 0, at_pole, inside), y)
    y = by_factorial(y, order, unit)
    return y if odd else -y


def size_of_terms(x: Array, order: int) -> Array:
    """n! times the sum of 1/|x + k|^(n + 1) over k = 0, 1, ...: what the terms of the derivative come to without their signs."""
    gap = np.abs(_gap(x))
    unit = _unit(np.where((x < 0) & (gap != 0), gap, np.abs(x)))
    y = powers_from(np.where(x < 0, gap, np.abs(x)), order + 1, unit)
    if np.any(x < 0):
        y = np.where(x < 0, y + powers_from(1 - gap, order + 1, unit), y)
    return by_factorial(y, order, unit)


def by_factorial(y: Array, order: int, unit: Array) -> Array:
    """order! y/2^(unit (order + 1)), whose factors may be out of range."""
    factorial = math.factorial(order)
    shift = max(factorial.bit_length() - 120, 0)
    return np.ldexp(y * y.dtype.type(factorial >> shift), shift - unit * (order + 1))


def powers_from(x: Array, s: int, unit: Array) -> Array:
    """The sum of (2^unit/(x + k))^s over k = 0, 1, ..., for x >= 0 and s >= 2: up to where the series of Euler and Maclaurin serves."""
    begin = SERIES_FROM + s
    nearest = float(np.min(np.where(x < begin, x, begin), initial=begin))
    steps = np.arange(math.ceil(begin - nearest) + 1, dtype=x.dtype).reshape(-1, *[1] * x.ndim)
    places = x + steps
    places[0] = x  # -0 is another number than -0 + 0
    below = places < begin
    terms = np.zeros(places.shape, x.dtype)
    terms[below] = (np.ldexp(places, -unit)[below]) ** -s
    end = x + np.sum(below, axis=0)
    last = np.where(np.isfinite(end), end, 1.0)
    total = np.ldexp(last, -unit) ** -s * (last / (s - 1) + 0.5 + _of_powers(s)(last) / last)
    total = np.where(np.isfinite(end), total, np.where(np.isnan(end), np.nan, 0.0))
    return np.add.reduce(np.concatenate([total[np.newaxis], terms[::-1]]), axis=0)  # the small terms first
