"""Derivatives of a function of several arrays against the third judge: both modes, and all four nestings of second order.

No tolerance is typed in: the function runs over Balls, which bound the rounding of float64, and differences estimate their own error.
"""

from __future__ import annotations

import numpy as np

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.numeric import differences
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]
SLACK = reference_slack(FMT)


def fractions(rng, shape):
    """Short binary fractions, so that x + hv is exact."""
    return rng.integers(-32, 33, shape) / 32 + 1 / 64


def balls(xs):
    return tuple([exact(np.asarray(x), FMT) for x in xs])


def radius(y):
    return np.asarray(parts(y)[1], float)


def check_derivatives(f, *xs, seed=0, smooth=True, step=2.0**-6) -> int:
    """Returns how many elements of the value were compared; fails where none was."""
    xs = tuple([np.asarray(x, float) for x in xs])
    rng = np.random.default_rng(seed)
    v = tuple([fractions(rng, x.shape) for x in xs])
    y, y_dot = rg.jvp(f, xs, v)
    w = fractions(rng, np.shape(y))
    expected, error = differences(f, xs, v, step=step)
    error = error + FMT.u * np.abs(expected)
    bound = SLACK * radius(rg.jvp(f, balls(xs), balls(v))[1]) + error
    assert np.shape(y_dot) == np.shape(y)
    assert np.all(np.abs(y_dot - expected) <= bound), (y_dot, expected, bound)
    informative(bound, expected)

    x_bars = rg.vjp(f, *xs)[1](w)
    over_balls = rg.vjp(f, *balls(xs))[1](exact(w, FMT))
    assert [x_bar.shape for x_bar in x_bars] == [x.shape for x in xs]
    reverse = total(x_bars, v)
    room = sum(np.sum(radius(b) * np.abs(x_dot)) for b, x_dot in zip(over_balls, v, strict=True)) * SLACK
    room += np.sum(np.abs(w) * error) + rounding_of_sums(x_bars, v) + rounding_of_sums([expected], [w])
    assert abs(reverse - np.sum(w * expected)) <= room, (reverse, np.sum(w * expected), room)
    informative(room, reverse)
    if smooth:
        check_second_order(f, xs, v, w, tuple([fractions(rng, x.shape) for x in xs]), step)
    count = int(np.size(y))
    assert count
    return count


def check_second_order(f, xs, v, w, u, step) -> None:
    def scalar(*zs):
        return np.sum(f(*zs) * w)

    found = nestings(scalar, xs, u, v)
    bounds = {k: SLACK * float(radius(b)) for k, b in nestings(scalar, balls(xs), balls(u), balls(v)).items()}

    def slope(*zs):
        return total(rg.grad(scalar, tuple(range(len(zs))))(*zs), u)

    expected, error = differences(slope, xs, v, step=step)
    error = error + FMT.u * np.abs(expected)
    for nesting, value in found.items():
        assert abs(value - expected) <= bounds[nesting] + error, (
            nesting,
            value,
            expected,
            bounds[nesting],
            error,
        )


def nestings(s, xs, u, v):
    """u^T H v of the scalar function s, by the four nestings of the two modes."""
    every = tuple(range(len(xs)))
    slope = rg.grad(s, every)

    def along(g, zs, z_dots):
        return rg.jvp(g, zs, z_dots)[1]

    return {
        "forward over forward": along(lambda *zs: along(s, zs, v), xs, u),
        "forward over reverse": total(along(slope, xs, v), u),
        "reverse over forward": total(rg.grad(lambda *zs: along(s, zs, v), every)(*xs), u),
        "reverse over reverse": total(rg.grad(lambda *zs: total(slope(*zs), v), every)(*xs), u),
    }


def total(x_bars, u):
    return sum(np.sum(x_bar * x_dot) for x_bar, x_dot in zip(x_bars, u, strict=True))


def rounding_of_sums(x_bars, v):
    """What float64 may lose in ``total``."""
    return sum(
        (np.size(x_dot) + 1) * FMT.u * np.sum(np.abs(x_bar * x_dot))
        for x_bar, x_dot in zip(x_bars, v, strict=True)
    )


def informative(bound, expected) -> None:
    """A bound as large as the derivative itself proves nothing."""
    assert np.max(bound, initial=0.0) <= 1e-6 * max(np.max(np.abs(expected), initial=0.0), 1e-3), np.max(
        bound
    )
