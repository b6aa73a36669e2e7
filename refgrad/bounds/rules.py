"""Rounding rules for classes of functions, and what rules of single ops are built from.

A rounding rule receives an Evaluation (evaluation.py) and returns the radius of its value: how far a run in the judged format may have come
from it, in any order of summation. None means exact. Standard model of floating point: Higham, Accuracy and Stability of Numerical
Algorithms, ch. 2 and 3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds import exactness, magnitudes
from refgrad.bounds.evaluation import Evaluation, Radius, Repeated, RoundingRule, zero
from refgrad.bounds.exact_rules import moved
from refgrad.bounds.figures import figure
from refgrad.bounds.formats import SMALLEST_NUMBER, Format
from refgrad.bounds.profiles import DOUBLE, SINGLE
from refgrad.bounds.small_arrays import constant, every, some
from refgrad.quiet import quiet


def reference_slack(fmt: Format) -> float:
    """The factor on every bound that accounts for the rounding of the reference: 1 + 4 u_ref/u.

    A rounding of the reference accounts for 1 of the 4, a product of matrices for 2 (splitting.py). Radii of long double are computed in
    float64 (magnitudes.py). Sums of 10^12 terms lose 2^-53 a term by that, which is far below the rest.
    """
    return 1.0 + 4.0 * float(np.finfo(fmt.wide).eps) / 2 / fmt.u


def endless(radius: Radius, *es: Radius) -> Radius:
    """The radius, infinite where a radius in ``es`` is: the operand may be infinity or NaN, so no cap of the function holds."""
    for e in es:
        if e is not None and not every(np.isfinite(e)):
            radius = np.where(np.isfinite(e), radius, np.inf)
    return radius


# --- arithmetic --------------------------------------------------------------------------------------------------


def added(run: Evaluation) -> Radius:
    """Rule of addition and subtraction: e1 + e2 + u(|y| + e); exact where an operand is exactly zero, or infinite.

    On a grid also where the sum of exact operands is a number of the format (exactness.py).
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x1, x2 = xs
    representable = exactness.sums(fmt, y, xs, es) if fmt.on_grid else None
    if representable is not None and every(representable):
        return None
    e = zero(es[0]) if es[1] is None else es[1] if es[0] is None else es[0] + es[1]
    top = _reach(y, e)
    rounding = constant(fmt.u, top.dtype) * top
    if representable is not None:
        rounding = np.where(representable, 0.0, rounding)
    if _inexact(x1, es[0]) and _inexact(x2, es[1]) and every(np.isfinite(y)):
        return e + rounding  # the usual case: no exact zero, no infinity
    exact = ((x1 == 0) & (zero(es[0]) == 0)) | ((x2 == 0) & (zero(es[1]) == 0)) | np.isinf(x1) | np.isinf(x2)
    return e + np.where(exact, 0.0, rounding)


def _everywhere(x: Radius) -> bool:
    """Whether no element is zero or false."""
    # A radius may be a number.
    return bool(np.count_nonzero(x) == (x.size if type(x) is np.ndarray else np.size(x)))


def _inexact(x: Array, e: Radius) -> bool:
    """Whether no element is exactly zero."""
    return (e is not None and _everywhere(e)) or _everywhere(x)


def _reach(y: Array, carried: Radius) -> Radius:
    """The largest magnitude of y within its carried radius, which is the number 0 where all operands are exact."""
    top = np.abs(y) if y.size < magnitudes.LARGE else magnitudes.size(y, y)
    return top if type(carried) is float and carried == 0 else top + carried


def power_of_two(x: Array) -> Array:
    """Whether each element is an exact power of two (scaling by it does not round)."""
    mantissa, _ = np.frexp(x)
    return np.abs(mantissa) == 0.5


def _scaling(size: Array, e: Radius) -> tuple[Array, Array] | None:
    """Where an operand is exactly a power of two, and where it is 0, 1 or -1; None (the usual case) where it nowhere is."""
    if e is not None and _everywhere(e):
        return None
    mantissa, exponent = np.frexp(size)  # of an ordinary number in [1/2, 1)
    if every(mantissa > constant(0.5, mantissa.dtype)):
        return None
    exact = True if e is None else e == 0
    power = (mantissa == 0.5) & exact
    return power, (mantissa == 0) & exact | power & (exponent == 1)


def product(run: Evaluation) -> Radius:
    """Rule of multiplication: |x1| e2 + |x2| e1 + e1 e2 + u(|y| + e) + eta; only eta for an exact power of two, nothing for 0 and 1.

    On a grid nothing is rounded either where the product of exact operands is a number of the format (exactness.py).
    """
    fmt, _, y, xs, es, _ = run
    e1, e2 = es
    representable = exactness.product(fmt, y, xs, es) if fmt.on_grid else None
    if representable is not None and every(representable):
        return None
    with quiet():
        size1, size2 = magnitudes.alike(y, xs, es)
        if e1 is None:
            carried = 0.0 if e2 is None else size1 * e2
        elif e2 is None:
            carried = size2 * e1
        else:
            carried = size2 * e1 + size1 * e2 + e1 * e2
        if y.size >= magnitudes.LARGE:
            carried = magnitudes.with_lost(carried, y, (size1, e2), (size2, e1))
        radius = _rounded(fmt, y, carried, [_scaling(size1, e1), _scaling(size2, e2)])
        return radius if representable is None else exactness.without(radius, representable)


def quotient(run: Evaluation) -> Radius:
    """Rule of division: (e1 + |q| e2)/(|x2| - e2), infinite where x2 may be zero, + u(|q| + e) + eta; nothing is rounded for 1.

    Where kernels multiply by the reciprocal of a number, or of a divisor that is broadcast, it is rounded as well: by u_reciprocal relative
    to it, and by half the smallest number of its format where it is subnormal.

    On a grid nothing is rounded either where exact operands have a divisor that is a power of two, and a quotient that is a number of the
    format (exactness.py). Kernels may multiply by the reciprocal, so other divisors do not count.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e1, e2 = es
    representable = exactness.quotient(fmt, y, xs, es) if fmt.on_grid else None
    if representable is not None and every(representable):
        return None
    carried: Radius = 0.0
    with quiet():
        size2, top = magnitudes.alike(y, (xs[1], y), es)
        if some(es):
            room = size2 if e2 is None else size2 - e2 - 2.0**-51 * size2  # |x2| is known to 2^-53
            sure = room > 0
            usual = _everywhere(sure)
            safe = room if usual else np.where(sure, room, 1.0)
            carried = zero(e1) / safe + (0.0 if e2 is None else top * (e2 / safe))
            carried = magnitudes.with_lost(carried, y, (e1, size2), (top, e2))
            carried = carried if usual else np.where(sure, carried, np.inf)
        spread = fmt.broadcasting and np.shape(xs[1]) != np.shape(y)
        if fmt.u_reciprocal and (spread or (es[1] is None and not np.ndim(xs[1]))):
            carried = carried + _by_reciprocal(fmt, y, carried, xs[1], zero(es[1]))
        # A quotient by 0 is infinite, and so is its radius.
        return exactness.without(_rounded(fmt, y, carried, [_scaling(size2, e2)]), representable)


# By format, the largest number whose reciprocal is normal, and half the smallest subnormal number.
RECIPROCALS = {SINGLE: (2.0**126, 2.0**-150), DOUBLE: (2.0**1022, SMALLEST_NUMBER)}


def _by_reciprocal(fmt: Format, y: Array, carried: Radius, divisor: Array, e: Radius) -> Radius:
    """What rounding the reciprocal of a divisor adds to a quotient: nothing for a power of two, exactly, within the range."""
    stored = fmt.u_reciprocal == fmt.u
    largest, eta = (1.0 / fmt.least_normal, fmt.eta) if stored else RECIPROCALS[fmt.accumulator]
    size = np.abs(divisor) + e
    subnormal = np.where(size > largest, (2 / largest if fmt.zeroed else eta) * size, 0.0)
    exact = power_of_two(divisor) & (np.asarray(e) == 0) & ((subnormal == 0) | (not fmt.zeroed))
    return np.where(exact, 0.0, fmt.u_reciprocal + subnormal) * _reach(y, carried)


def _rounded(fmt: Format, y: Array, carried: Radius, scalings: list[tuple[Array, Array] | None]) -> Radius:
    """The carried radius and one rounding: no relative part for an exact power of two, none at all for 0 and 1."""
    top, found = _reach(y, carried), [s for s in scalings if s is not None]
    rounding, eta = constant(fmt.u, top.dtype) * top, constant(fmt.eta, top.dtype)
    if not found:
        return (rounding if type(carried) is float and carried == 0 else carried + rounding) + eta
    free, vanishing = found[0] if len(found) == 1 else [a | b for a, b in zip(*found, strict=True)]
    if free.ndim == 0:  # a number, such as the 2 of 2 x: it is a power of two, or nothing was found
        rest = np.zeros_like(rounding) if free else rounding
        return carried + rest if vanishing else carried + rest + eta
    return carried + np.where(free, 0.0, rounding) + np.where(vanishing, 0.0, eta)


# --- elementary functions ----------------------------------------------------------------------------------------


def _widened(fmt: Format, y: Array, carried: Radius, ulp: float) -> Radius:
    """Carried radius plus a function error of ``ulp`` ULP of the result; below the normal range one ULP is 2 eta."""
    top = _reach(y, carried)
    rounding = constant(2.0 * ulp * fmt.u, top.dtype) * top
    return carried + rounding + constant(math.ceil(2.0 * ulp) * fmt.eta, top.dtype)


def monotone(name: str | float, spread: Callable[[Array, Array, Array], Array] | None = None) -> RoundingRule:
    """Rule of a monotone function of one operand: the images of both ends of the radius bound the carried error exactly.

    ``name`` finds the function's error in ULP in the table of the format; a number states it. Images cost much in long double: there
    ``spread(x, y, e)`` bounds their distance from y (variation.py).
    """
    figure(name)

    def rule(run: Evaluation) -> Radius:
        fmt, forward, y, xs, es, params = run
        ulp = fmt.ulp(name) if isinstance(name, str) else name
        e = es[0]
        carried: Radius = 0.0
        if e is not None:
            with quiet():
                images = functools.partial(_images, functools.partial(forward, **params))
                carried = endless(_number(reached(images, spread, xs[0], y, e), y), e)
        return _widened(fmt, y, carried, ulp)

    return rule


def _images(forward: Callable[[Array], Array], x: Array, y: Array, e: Array) -> Array:
    return np.maximum(np.abs(forward(x + e) - y), np.abs(y - forward(x - e)))


def reached(images: Any, spread: Any, x: Array, y: Array, e: Array) -> Array:
    """The distance of the images of the ends from y: by ``spread`` in float64 where that is faster and gives a number, else by ``images``.

    Both are called with (x, y, e).
    """
    if spread is None or not magnitudes.shorter(y):
        return images(x, y, e)
    carried: Radius = magnitudes.with_lost(spread(x, y, e), y, (1.0, e))
    odd = ~np.isfinite(carried)
    if np.count_nonzero(odd):
        carried[odd] = images(x[odd], y[odd], np.broadcast_to(e, x.shape)[odd])
    return carried


def _number(carried: Radius, y: Array) -> Radius:
    """The radius, infinite where it is NaN and y is a number."""
    unknown = np.isnan(carried)
    return np.where(unknown & ~np.isnan(y), np.inf, carried) if np.count_nonzero(unknown) else carried


def smooth(
    name: str | float, slope: Callable[[Array], Array], curvature: float, cap: float = np.inf
) -> RoundingRule:
    """Rule of a function with |f''| <= curvature everywhere and range at most ``cap`` wide: |f'(x)| e + curvature e^2/2."""
    figure(name)

    def rule(run: Evaluation) -> Radius:
        fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
        ulp = fmt.ulp(name) if isinstance(name, str) else name
        e = es[0]
        carried = (
            0.0
            if e is None
            else endless(np.minimum(np.abs(slope(xs[0])) * e + curvature * e * e / 2, cap), e)
        )
        return _widened(fmt, y, carried, ulp)

    return rule


def corners(name: str | float) -> RoundingRule:
    """Rule of a function that is monotone in each operand on the box of their radii: its extremes lie at the corners."""
    figure(name)

    def rule(run: Evaluation) -> Radius:
        fmt, forward, y, xs, es, params = run
        ulp = fmt.ulp(name) if isinstance(name, str) else name
        carried: Radius = 0.0
        if some(es):
            ends = [(x,) if e is None else (x - e, x + e) for x, e in zip(xs, es, strict=True)]
            grid: list[tuple[Array, ...]] = [()]
            for choices in ends:
                grid = [(*g, c) for g in grid for c in choices]
            with quiet():
                for corner in grid:
                    carried = np.maximum(carried, np.abs(forward(*corner, **params) - y))
            carried = endless(_number(carried, y), *es)
        return _widened(fmt, y, carried, ulp)

    return rule


# --- sums --------------------------------------------------------------------------------------------------------


def fan_in(run: Evaluation) -> Radius:
    """Rule of a sum of n stored terms in any order: sum of e + (n-1) u sum(|x| + e); 0 where no order rounds (exactness.py)."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e: Radius = 0.0
    size: Radius = 0.0
    for x, ex in zip(xs, es, strict=True):
        e = e + zero(ex)
        size = size + magnitudes.size(x, y) + zero(ex)
    if fmt.zeroed:
        e = e + functools.reduce(
            np.maximum, [_lost_sums(fmt, x, zero(ex)) for x, ex in zip(xs, es, strict=True)]
        ) * (len(xs) - 1)
    return exactness.without(e + (len(xs) - 1) * fmt.u * size, exactness.terms(fmt, size, xs, es))


def _lost_sums(fmt: Format, x: Array, e: Radius) -> Radius:
    """What a kernel that flushes may lose of a partial sum with the term x: the smallest normal number, if the sum may be subnormal.

    A sum of terms above 2^-bits times the smallest normal number is a multiple of a normal number.
    """
    return np.where(((x != 0) | (e > 0)) & (np.abs(x) - e < fmt.zeroed / fmt.u), fmt.zeroed, 0.0)


def summed(run: Evaluation) -> Radius:
    """Rule of a sum of m non-zero terms, accumulated in u_acc in any order, then stored once: (m-1) u_acc sum |x|.

    The constant needs no second-order term in any order: Rump, BIT 52 (2012). ``initial`` is one more term. The radius is infinite
    where a partial sum overflows in some order although the whole sum does not. It is zero where no order rounds (exactness.py).
    The gradient of an operand that was broadcast is accumulated in u_repeated.
    """
    fmt, forward, y, xs, es, params = run
    if fmt.u_repeated is not None and type(params.get("axis")) is Repeated:
        fmt = replace(fmt, u_acc=fmt.u_repeated)
    x, e = xs[0], zero(es[0])
    initial = params.get("initial") or 0.0
    bare = {**params, "initial": None} if initial else params
    size = magnitudes.terms(x) + e
    radius: Radius = 0.0 if es[0] is None else forward(np.broadcast_to(e, np.shape(x)), **bare)
    terms, total = forward((size != 0).astype(size.dtype), **bare), forward(size, **bare)
    if initial:
        terms, total, radius = terms + 1, total + abs(initial), radius + fmt.u * abs(initial)
    exact = exactness.total(fmt, total, exactness.unit(_with(x, initial)), es[0]) if fmt.on_grid else None
    if exact is not None and every(exact):
        return None
    if fmt.zeroed and np.any(_lost_sums(fmt, x, e)):
        radius = radius + terms * fmt.zeroed
    radius = radius + fmt.roundings(terms) * fmt.u_acc * np.where(terms > 1, total, 0.0)
    if fmt.u != fmt.u_acc:  # a single exact term is stored already
        radius = radius + np.where((terms > 1) | (radius > 0), fmt.store(y, radius), 0.0)
    beyond = total > fmt.max
    if np.count_nonzero(beyond):
        radius = np.where(beyond & (np.abs(y) - radius < fmt.max), np.inf, radius)
    return exactness.without(radius, exact)


def _with(x: Array, initial: float) -> Array:
    """The terms of a sum in one dimension: the elements of x, and ``initial`` where it is not zero."""
    return np.append(x, np.asarray(initial, x.dtype)) if initial else x


def running(run: Evaluation) -> Radius:
    """Rule of running sums: that of sums, with each partial sum rounded to the format in which kernels keep it."""
    u_scan = run.fmt.u_scan
    return summed(run if u_scan is None else run._replace(fmt=replace(run.fmt, u_acc=u_scan)))


def scattered(run: Evaluation) -> Radius:
    """Rule of ops that move elements and add up those that meet at one place (put_add, overlap_add): (m-1) u sum |x|, in any order.

    In u, and not in u_acc: kernels add straight into the result. The radius is zero where no order rounds (exactness.py).
    """
    fmt, forward, xs, es, params = run.fmt, run.forward, run.xs, run.es, run.params
    size = np.abs(xs[0]) + zero(es[0])
    terms, total = forward((size != 0).astype(fmt.wide), **params), forward(size, **params)
    rounding = np.where(terms > 1, (terms - 1) * fmt.u * np.where(terms > 1, total, 0.0), 0.0)
    exact = exactness.total(fmt, total, exactness.unit(xs[0]), es[0]) if fmt.on_grid else None
    return exactness.without(zero(moved(run)) + rounding, exact)
