"""Values of special functions against mpmath, in float64 and long double, over the whole domain: within the goal in ULP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath")

from refgrad.op import REGISTRY  # noqa: E402
from refgrad.ops import exact_bessel, exact_slopes  # noqa: E402

Array = Any
GOAL = 4.0  # ULP, as of derivatives
FORMATS = (np.float64, np.longdouble)
RNG = np.random.default_rng(16)


def exactly(x: Any) -> Any:
    """A number of NumPy, which may be below the range of float64, as one of mpmath."""
    part, exponent = np.frexp(np.longdouble(x))
    if not np.isfinite(part):
        return mpmath.mpf(float(part))
    high = float(part)
    return mpmath.ldexp(mpmath.mpf(high) + mpmath.mpf(float(part - np.longdouble(high))), int(exponent))


def ulps(got: Any, right: Any, dtype: type) -> float:
    """The distance in units of the last place of ``right``; beyond the range infinity is right."""
    limits = np.finfo(dtype)
    if abs(right) > exactly(limits.max):
        return 0.0 if abs(got) > limits.max / 2 and (got > 0) == (right > 0) else np.inf
    if not np.isfinite(got):
        return np.inf
    least = int(limits.minexp) - int(limits.nmant)
    exponent = least if right == 0 else max(mpmath.frexp(right)[1] - 1 - int(limits.nmant), least)
    with mpmath.workdps(40):
        return float(abs(exactly(got) - right) / mpmath.ldexp(1, exponent))


@dataclass(frozen=True)
class Function:
    """A function of mpmath, the points, and parameters. ``beside`` is the size that errors near zeros are counted at."""

    exactly: Callable[..., Any]
    points: Array
    goal: float = GOAL
    beside: Callable[..., Any] | None = None
    params: tuple[tuple[str, Any], ...] = ()


def spread(low: float, high: float, count: int = 60) -> Array:
    return RNG.uniform(low, high, count)


def magnitudes(low: float, high: float, count: int = 40) -> Array:
    return 10.0 ** RNG.uniform(low, high, count)


BOTH = np.concatenate([spread(-6, 6), magnitudes(-300, 1), -magnitudes(-300, 1), [0.0, 0.5, -0.5, 1.0]])
NORMAL = np.concatenate([BOTH, spread(-37, 37)])
FAR = -magnitudes(1, 100)
UNIT = np.concatenate([spread(0, 1), magnitudes(-300, 0), 1 - magnitudes(-15, 0)])


def _phi(x: Any) -> Any:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def _log_phi(x: Any) -> Any:
    if x < -(10**4):  # six terms of the asymptotic series
        terms = 1 - 1 / x**2 + 3 / x**4 - 15 / x**6 + 105 / x**8 - 945 / x**10
        return -x * x / 2 - mpmath.log(-x * mpmath.sqrt(2 * mpmath.pi)) + mpmath.log(terms)
    return mpmath.log1p(-_phi(-x)) if x > 5 else mpmath.log(_phi(x))


def _erfcx(x: Any) -> Any:
    if x > 10**8:
        return (1 - 1 / (2 * x * x) + 3 / (4 * x**4)) / (x * mpmath.sqrt(mpmath.pi))
    return mpmath.exp(x * x) * mpmath.erfc(x)


def _quantile(p: Any) -> Any:
    return exact_slopes.quantile(mpmath, p) if p <= 0.5 else -exact_slopes.quantile(mpmath, 1 - p)


# Away from the poles, and at their sides. Near a zero left of 0 errors count beside the terms that cancel there.
SCALED = np.concatenate([BOTH, spread(-70, 70), magnitudes(0, 6), -magnitudes(0, 6), [60.0, 8.0]])
POLES = -np.arange(1.0, 9.0)
GAMMA = np.concatenate(
    [
        spread(-20, 30),
        spread(0, 4),
        magnitudes(-300, 14),
        POLES + 2.0**-20,
        POLES - 2.0**-20,
        [1.4616321449683623, 1 + 1e-10, 2 - 1e-9, 3.0, 20.0],
    ]
)


def _beside(order: int) -> Callable[[Any], Any]:
    """The size of the terms of the polygamma function of that order at x < 0; order -1 is the logarithm of the gamma function."""

    def size(x: Any) -> Any:
        if x > 0:
            return mpmath.mpf(0)
        if order > 0:
            part = x - mpmath.floor(x)
            return abs(mpmath.polygamma(order, part)) + abs(mpmath.polygamma(order, 1 - part))
        right = mpmath.re(mpmath.loggamma(x)) if order else mpmath.digamma(x)
        other = -mpmath.loggamma(-x) if order else mpmath.digamma(1 - x)
        return abs(other) + abs(right - other)

    return size


def _polygamma(order: int) -> Function:
    return Function(
        lambda x: mpmath.polygamma(order, x), GAMMA, beside=_beside(order), params=(("order", order),)
    )


def _moment(order: int) -> Function:
    """By Kummer's function (DLMF 13.4.1)."""
    half = mpmath.mpf(1) / 2

    def moment(x: Any) -> Any:
        front = 2**order * mpmath.rf(half, order) / mpmath.factorial(order)
        return front * mpmath.hyp1f1(order + half, order + 1, -2 * abs(x))

    return Function(moment, SCALED, goal=5.0, params=(("order", order),))


# Errors of J and Y count beside sqrt(J^2 + Y^2), and of J below 1 beside itself.
WAVES = np.concatenate(
    [spread(0, 9, 80), spread(0, 70), magnitudes(-300, 300), [2.0, 2.404825557695773, 0.8935769662791675]]
)
FALLING = np.concatenate([spread(0, 4, 80), spread(0, 60), magnitudes(-300, 2), [0.125, 40.0]])


def _modulus(n: int, *, first: bool) -> Callable[[Any], Any]:
    def size(x: Any) -> Any:
        return mpmath.mpf(0) if first and abs(x) < 1 else abs(mpmath.hankel1(n, abs(x)))

    return size


def _bessel(kind: str, n: int) -> Function:
    if kind == "j":
        points = np.concatenate([WAVES, -WAVES[:40]])
        return Function(lambda x: mpmath.besselj(n, x), points, beside=_modulus(n, first=True))
    return Function(lambda x: exact_bessel.second(mpmath, n, x), WAVES, beside=_modulus(n, first=False))


FUNCTIONS: dict[str, Function] = {
    **{f"bessel_{kind}{n}": _bessel(kind, n) for kind in "jy" for n in (0, 1)},
    **{
        f"modified_bessel_k{n}": Function(
            lambda x, n=n: exact_bessel.modified(mpmath, n, x), FALLING, goal=5.0
        )
        for n in (0, 1)
    },
    **{
        f"scaled_modified_bessel_k{n}": Function(
            lambda x, n=n: exact_bessel.scaled_modified(mpmath, n, x),
            np.concatenate([FALLING, magnitudes(2, 300)]),
        )
        for n in (0, 1)
    },
    "spherical_bessel_j0": Function(
        lambda x: mpmath.sin(x) / x if x else mpmath.mpf(1), np.concatenate([BOTH, WAVES])
    ),
    "erf": Function(mpmath.erf, BOTH),
    "erfc": Function(mpmath.erfc, np.concatenate([BOTH, spread(6, 26)])),
    "erfcx": Function(_erfcx, np.concatenate([BOTH, magnitudes(0, 300), spread(-26, 0)])),
    "erfinv": Function(mpmath.erfinv, np.concatenate([UNIT, -UNIT])),
    "ndtr": Function(_phi, NORMAL),
    "log_ndtr": Function(_log_phi, np.concatenate([NORMAL, FAR])),
    "ndtri": Function(_quantile, UNIT),
    "i0": Function(lambda x: mpmath.besseli(0, x), np.concatenate([BOTH, spread(-700, 700)])),
    "i1": Function(lambda x: mpmath.besseli(1, x), np.concatenate([BOTH, spread(-700, 700)]), goal=5.0),
    "i0e": Function(lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), SCALED),
    "i1e": Function(lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), SCALED, goal=5.0),
    **{f"i0e_moment of order {n}": _moment(n) for n in (1, 2, 3)},
    "lgamma": Function(
        lambda x: mpmath.re(mpmath.loggamma(x)),
        np.concatenate([GAMMA, magnitudes(14, 300)]),
        beside=_beside(-1),
    ),
    "digamma": Function(mpmath.digamma, GAMMA, beside=_beside(0)),
    **{f"polygamma of order {n}": _polygamma(n) for n in (1, 2, 5, 30)},
    "gelu": Function(lambda x: x * _phi(x), NORMAL),
}


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_keep_their_digits(name: str, dtype: type) -> None:
    function = FUNCTIONS[name]
    x = function.points.astype(dtype)
    with np.errstate(all="ignore"):
        got = REGISTRY[name.partition(" ")[0]](x, **dict(function.params))
    assert got.dtype == dtype
    off: list[tuple[float, Any, Any]] = []
    with mpmath.workdps(80):
        for at, y in zip(x, got, strict=True):
            right = function.exactly(exactly(at))
            error = ulps(y, right, dtype)
            if error > 1 and function.beside is not None:
                error *= float(abs(right) / max(abs(right), function.beside(exactly(at))))
            off.append((error, at, y))
    assert len(off) > 100
    worst = max(off, key=lambda found: found[0])
    assert worst[0] <= function.goal, worst


def test_the_judge_of_digits_sees_what_is_off() -> None:
    with mpmath.workdps(40):
        third = mpmath.mpf(1) / 3
    assert ulps(1 / 3, third, np.float64) < 0.5
    assert ulps(np.nextafter(1 / 3, 1), third, np.float64) > 0.5
    assert ulps(np.longdouble(1 / 3), third, np.longdouble) > 500
    assert ulps(np.nan, third, np.float64) == np.inf
    assert ulps(np.inf, third, np.float64) == np.inf
    with mpmath.workdps(40):
        assert ulps(np.ldexp(np.longdouble(1) / 3, -3000), mpmath.ldexp(third, -3000), np.longdouble) < 1
