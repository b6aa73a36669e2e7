"""The error of refgrad's derivatives of an op in ULP, in each mode, and where it is largest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

import refgrad as rg
from benchmarks.slopes import exact, points
from refgrad.op import Op

Array = Any
DTYPES = ("float64", "float32")
FIRST = ("forward", "reverse")
SECOND = ("forward over reverse", "reverse over reverse")


@dataclass
class Worst:
    """The largest error of one slope in one mode, in ULP: where, what came and what is right."""

    op: str
    operand: str
    dtype: str
    mode: str
    error: float = 0.0
    at: tuple[float, ...] = ()
    got: float = math.nan
    right: float = math.nan
    met: int = 0

    def __str__(self) -> str:
        where = ", ".join(map(repr, self.at))
        place = f"{self.op:20}{self.operand:8}{self.dtype:9}{self.mode:22}"
        return f"{place}{self.met:6}{self.error:11.3g}  at {where}: {self.got!r}, right {self.right!r}"


def ulps(got: float, right: Any, dtype: str, size: Any = 0) -> float:
    """|got - right| in units of the last place of ``right``, which is an mpmath number, or of ``size`` where that is larger.

    Below the normal range the unit is the smallest subnormal number. Beyond the range infinity is right.
    """
    limits = np.finfo(dtype)
    least, most = mpmath.ldexp(1, int(limits.minexp) - int(limits.nmant)), mpmath.mpf(float(limits.max))
    if math.isnan(got):
        return math.inf
    if math.isinf(got) or abs(right) > most:
        beyond = abs(right) > most * (1 - 4 * mpmath.mpf(float(limits.eps)))
        far = math.isinf(got) or abs(got) > most * (1 - 4 * mpmath.mpf(float(limits.eps)))
        return 0.0 if beyond and far and (got > 0) == (right > 0) else math.inf
    top = max(abs(right), size)
    unit = least if top == 0 else max(mpmath.ldexp(1, mpmath.frexp(top)[1] - 1 - int(limits.nmant)), least)
    return float(abs(mpmath.mpf(got) - right) / unit)


def first(op: Op, xs: tuple[Array, ...], position: int, mode: str) -> Array:
    """The slope in one operand, as the mode gives it for tangents and cotangents of ones."""
    ones = np.ones_like(xs[0])
    with np.errstate(all="ignore"):
        if mode == "reverse":
            return rg.vjp(op, *xs)[1](ones)[position]
        x_dots = tuple(ones if k == position else np.zeros_like(ones) for k in range(len(xs)))
        alone = [*xs]

        def f(x: Array) -> Array:
            return op(*[x if k == position else z for k, z in enumerate(alone)])

        return rg.jvp(f, (xs[position],), (x_dots[position],))[1]


def second(op: Op, xs: tuple[Array, ...], position: int, again: int, mode: str) -> Array:
    """The derivative, in the operand ``again``, of the slope in another one."""
    ones = np.ones_like(xs[0])

    def slope(x: Array) -> Array:
        full = tuple(x if k == again else z for k, z in enumerate(xs))
        return rg.vjp(op, *full)[1](ones)[position]

    with np.errstate(all="ignore"):
        if mode == "reverse over reverse":
            return rg.vjp(slope, xs[again])[1](ones)[0]
        return rg.jvp(slope, (xs[again],), (ones,))[1]


def _compared(
    worsts: list[Worst], got: list[Array], f: exact.Slope, xs: tuple[Array, ...], widened: Any, order: int
) -> None:
    _, beyond = BEYOND.get((worsts[0].op, order), (None, None))
    most = float(np.finfo(worsts[0].dtype).max)
    for n, at in enumerate(zip(*[x.tolist() for x in xs], strict=True)):
        right = None if beyond is not None and beyond(*at, most) else exact.value(f, at)
        if right is None:
            continue
        size = None
        for worst, slopes in zip(worsts, got, strict=True):
            came = float(slopes[n])
            error = ulps(came, right, worst.dtype)
            if error > 1 and widened is not None:
                size = widened(at) if size is None else size
                error = ulps(came, right, worst.dtype, size)
            worst.met += 1
            if error > worst.error:
                worst.error, worst.at, worst.got, worst.right = error, at, came, float(right)


def measure(op: Op, dtype: str, count: int, seed: int = 0, order: int = 1) -> Iterator[Worst]:
    """The worst error of each slope of an op (of order 2: of each second derivative), in each mode, at about ``count`` points."""
    xs, names = points.operands(op, dtype, count, seed), op.signature.operands
    for position in range(len(xs)):
        for again in range(len(xs)) if order == 2 else (None,):
            modes = FIRST if order == 1 else SECOND
            operand = names[position] if again is None else f"{names[position]} {names[again]}"
            worsts = [Worst(op.name, operand, dtype, mode) for mode in modes]
            if again is None:
                got, f = [first(op, xs, position, mode) for mode in modes], exact.slope(op.name, position)
            else:
                got = [second(op, xs, position, again, mode) for mode in modes]
                f = exact.second(op.name, position, again)
            for slopes in got:
                assert slopes.dtype == dtype, (op.name, slopes.dtype)
            _compared(worsts, got, f, xs, beside_zero(op.name, position, again), order)
            yield from worsts


# Where the slope has a zero that is no number of the format, its formula has to cancel. By op and order, with the reason: there an error
# is counted at the size of what cancels, which is what one rounding of an operand moves the slope by.
ZEROS: dict[tuple[str, int], str] = {
    **{
        (f"bessel_{kind}{n}", order): "beside the zeros of Bessel functions"
        for kind in "jy"
        for n in (0, 1)
        for order in (1, 2)
    },
    ("arctan2", 2): "beside its zeros at x1 = x2 and x1 = -x2, the mixed derivative (x1^2 - x2^2)/r^4",
    ("gelu", 1): "beside its zero at -0.75",
    ("gelu", 2): "beside its zeros at -1.41 and 1.41",
    ("gelu_tanh", 1): "beside its zero at -0.75",
    ("gelu_tanh", 2): "beside its zeros at -1.42 and 1.42",
    ("i1e", 1): "beside its zero at 1.55",
    ("i1e", 2): "beside its zero at 2.74",
    ("kl_div", 1): "beside its zeros, where x = log(t) + 1",
    ("mish", 1): "beside its zero at -1.19",
    ("mish", 2): "beside its zeros at -2.26 and 1.49",
    ("polygamma", 1): "beside the zeros of the polygamma function of order 2 between its poles",
    ("power", 2): "beside the zeros of the mixed derivative x1^(x2 - 1) (1 + x2 log(x1))",
    ("sigmoid_slope", 2): "beside its zeros at -1.32 and 1.32",
    ("silu", 1): "beside its zero at -1.28",
    ("silu", 2): "beside its zeros at -2.40 and 2.40",
    ("spherical_bessel_j0", 1): "beside its zeros, the extremes of sin(x)/x",
    ("spherical_bessel_j0", 2): "beside its zeros, the points of inflection of sin(x)/x",
    ("sinc", 1): "beside its zeros, the extremes of sinc",
    ("sinc", 2): "beside its zeros, the points of inflection of sinc",
}


def beside_zero(name: str, position: int, again: int | None) -> Any:
    """The size of what cancels beside a zero of the slope; None for ops that have no such zero."""
    if (name, 1 if again is None else 2) not in ZEROS:
        return None
    if again is None:
        moving = [exact.second(name, position, k) for k in range(len(exact.SLOPES[name]))]
        return lambda at: sum(
            abs((exact.value(f, at) or 0) * mpmath.mpf(x)) for f, x in zip(moving, at, strict=True)
        )
    if len(exact.SLOPES[name]) == 1:
        bending = exact.moving(exact.second(name, 0, 0), 0)
        return lambda at: abs((exact.value(bending, at) or 0) * mpmath.mpf(at[0]))
    return lambda at: abs((exact.value(exact.slope(name, position), at) or 0) / mpmath.mpf(at[again]))


def _beyond(x1: float, x2: float, most: float) -> bool:
    """Whether the length of (x1, x2) is nearly beyond the range."""
    return math.hypot(x1 / 4, x2 / 4) > most / 4


def _lost_share(x1: float, x2: float, most: float) -> bool:
    """Whether the smaller of x1 and x2 is a subnormal share of the length."""
    share = min(abs(x1), abs(x2)) / max(abs(x1), abs(x2), 1e-320)
    return share < 4 / most


# Points that are left out, by op and order, with the reason.
BEYOND: dict[tuple[str, int], tuple[str, Callable[..., bool]]] = {
    ("arctan2", 1): (
        "the radius is beyond the range, or the share x2/r below it, which 1/r then enlarges",
        lambda x1, x2, most: _beyond(x1, x2, most) or _lost_share(x1, x2, most),
    ),
    ("arctan2", 2): (
        "the radius is beyond the range, or 1 over its square, or a share x2/r below it",
        lambda x1, x2, most: (
            _beyond(x1, x2, most) or math.hypot(x1, x2) < most**-0.5 or _lost_share(x1, x2, most)
        ),
    ),
    ("hypot", 1): ("the length is beyond the range", _beyond),
    ("hypot", 2): (
        "the length is beyond the range, or a share x1/h below it, which 1/h then enlarges",
        lambda x1, x2, most: _beyond(x1, x2, most) or _lost_share(x1, x2, most),
    ),
    **dict.fromkeys(
        [("divide", 1), ("divide", 2)],
        (
            "the quotient is below the normal range, and 1/x2 enlarges its rounding",
            lambda x1, x2, most: abs(x1) < abs(x2) * 4 / most,
        ),
    ),
    ("kl_div", 2): ("1/t is beyond the range", lambda _, t, most: t * most < 1),
    ("xlogy", 2): ("x1/x2 is below the normal range", lambda x1, x2, most: abs(x1) * most < 4 * abs(x2)),
    ("xlog1py", 2): (
        "x1/(1 + x2) is below the normal range",
        lambda x1, x2, most: abs(x1) * most < 4 * (1 + x2),
    ),
}
