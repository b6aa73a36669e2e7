"""What every composition of ops is held to: NumPy's value, the third judge's derivative in both modes, one second derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad import grad, jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within, balls_of, lost_in, slopes

Array = Any


def values_and_derivatives(f: Callable[..., Any], given: Sequence[Array]) -> None:
    """Value, tangent and cotangents lie within the bounds that Balls derive, and those hold the third judge's derivative."""
    xs = tuple(given)
    dtype = np.result_type(*xs).name
    rng = np.random.default_rng(sum(x.size for x in xs))
    xs_dot = tuple([rng.standard_normal(x.shape).astype(x.dtype) for x in xs])
    balls, balls_dot = balls_of(xs, dtype), balls_of(xs_dot, dtype)
    plain = f(*xs)
    y_ball, y_dot_ball = jvp(f, balls, balls_dot)
    y, y_dot = jvp(f, xs, xs_dot)
    value, pullback = vjp(f, *xs)
    y_bar = rng.standard_normal(y.shape).astype(dtype).astype(y.dtype)  # a number of the arguments' dtype
    x_bars = pullback(y_bar)
    x_bar_balls = vjp(f, *balls)[1](*balls_of([y_bar], dtype))
    for what, got, ball in (
        ("plain", plain, y_ball), ("value", y, y_ball), ("value in reverse", value, y_ball), ("tangent", y_dot, y_dot_ball),
        *[(f"cotangent {k}", got, ball) for k, (got, ball) in enumerate(zip(x_bars, x_bar_balls, strict=True))],
    ):  # fmt: skip
        assert got.dtype == (plain.dtype if not what.startswith("cotangent") else xs[0].dtype)
        assert assert_within(got, ball, what) == np.size(got)
    noise = lost_in(f, xs, y_ball)
    expected, error = slopes(f, xs, xs_dot, noise)
    assert_within(expected, y_dot_ball, "differences", error)
    tangents = [ball_dot.value for ball_dot in balls_dot]
    for k, (ball, direction) in enumerate(zip(x_bar_balls, tangents, strict=True)):
        alone = [d if j == k else np.zeros_like(d) for j, d in enumerate(tangents)]
        expected, error = slopes(f, xs, alone, noise)
        along = np.sum(ball * exact(direction, FORMATS[dtype]))
        told = np.sum(expected * y_bar.astype(np.longdouble))
        assert_within(told, along, f"differences {k}", np.sum(np.abs(y_bar) * error))


def in_any_nesting(f: Callable[..., Any], given: Sequence[Array]) -> None:
    """Forward over reverse and reverse over forward give one second derivative: each lies within the other's bound and its own."""
    xs = tuple([x.astype(float) for x in given])
    ones = tuple([np.ones(x.shape) for x in xs])

    def reverse_over_forward(xs: Any, ones: Any) -> Any:
        return grad(lambda *a: np.sum(jvp(f, a, ones)[1]), tuple(range(len(xs))))(*xs)

    def forward_over_reverse(xs: Any, ones: Any, y_bar: Any) -> Any:
        return jvp(lambda *a: vjp(f, *a)[1](y_bar), xs, ones)[1]

    balls, balls_dot, y_bar = balls_of(xs, "float64"), balls_of(ones, "float64"), np.ones(np.shape(f(*xs)))
    inner, outer = reverse_over_forward(xs, ones), forward_over_reverse(xs, ones, y_bar)
    inner_balls = reverse_over_forward(balls, balls_dot)
    outer_balls = forward_over_reverse(balls, balls_dot, *balls_of([y_bar], "float64"))
    for g, h, g_ball, h_ball in zip(inner, outer, inner_balls, outer_balls, strict=True):
        assert assert_within(g, g_ball, "reverse over forward") == g.size
        assert assert_within(h, h_ball, "forward over reverse") == h.size
        assert_within(parts(h_ball)[0], g_ball, "both", parts(h_ball)[1])
