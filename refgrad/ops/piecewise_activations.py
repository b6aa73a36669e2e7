"""Activations made of straight pieces: clipped, shrunk, and their products with the operand.

At a kink the shares of clip hold: half of either side by convention, and a framework may take any member of the set. Past the last
kink nothing is computed: a product that overflows, or infinity times zero, has no place there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import SHAPES, Domain, Interval, Sample, Special, sampled
from refgrad.op import register
from refgrad.ops import exact_slopes
from refgrad.ops.products import ghost
from refgrad.ops.selection import above, masked


def _away(*kinks: float) -> Any:
    """Operands between -5 and 9 that keep a distance from every kink."""

    def sampler(rng: np.random.Generator) -> Sample:
        x = rng.uniform(-5, 9, SHAPES[int(rng.integers(len(SHAPES)))])
        for kink in kinks:
            x = np.where(np.abs(x - kink) < 0.1, kink + 0.1 + np.abs(x - kink), x)
        return (x,), {}

    return sampler


def _inside(x: Array, low: float, high: float) -> Array:
    """1 between the kinks, 0 outside, a half on them."""
    return above(x, low) * above(high, x)


relu6 = register(
    "relu6", lambda x: np.minimum(np.maximum(x, 0), 6),
    jvp=lambda x_dot, x: masked(x_dot, _inside(x, 0.0, 6.0)),
    vjp=lambda y_bar, x: masked(y_bar, _inside(x, 0.0, 6.0)),
    rounding=bounds.steps,
    torch=lambda torch, x: torch.nn.functional.relu6(x),
    domain=Domain((Interval(hole=6.0),), _away(0.0, 6.0), smooth=False),
    special=(Special((0.0,), 0.0, ((0.0, 1.0),), "kink"), Special((6.0,), 6.0, ((0.0, 1.0),), "kink")),
    elementwise=True, unit_slopes=True,
)  # fmt: skip

hardtanh = register(
    "hardtanh", lambda x: np.minimum(np.maximum(x, -1), 1),
    jvp=lambda x_dot, x: masked(x_dot, _inside(x, -1.0, 1.0)),
    vjp=lambda y_bar, x: masked(y_bar, _inside(x, -1.0, 1.0)),
    rounding=bounds.steps,
    torch=lambda torch, x: torch.nn.functional.hardtanh(x),
    domain=Domain((Interval(hole=1.0),), _away(-1.0, 1.0), smooth=False),
    special=(Special((-1.0,), -1.0, ((0.0, 1.0),), "kink"), Special((1.0,), 1.0, ((0.0, 1.0),), "kink")),
    elementwise=True, unit_slopes=True,
)  # fmt: skip


def _hardsigmoid_rounding(run: Evaluation) -> Array:
    """The sum, a rounded sixth and the product round by u each; slope at most 1/6. Below -3 the value is exactly 0."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e = bounds.zero(es[0])
    carried = bounds.steps(run) if bounds.some(es) else 0.0
    return carried + np.where(xs[0] + e > -3, 3 * fmt.u * (np.abs(y) + carried) + fmt.eta, 0.0)


# The slope is a rounded sixth, multiplied.
hardsigmoid = register(
    "hardsigmoid", lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
    jvp=lambda x_dot, x: masked(x_dot, _inside(x, -3.0, 3.0) / 6),
    vjp=lambda y_bar, x: masked(y_bar, _inside(x, -3.0, 3.0) / 6),
    rounding=_hardsigmoid_rounding,
    torch=lambda torch, x: torch.nn.functional.hardsigmoid(x),
    domain=Domain((Interval(hole=3.0),), _away(-3.0, 3.0), smooth=False),
    special=(
        Special((-3.0,), 0.0, ((0.0, 1 / 6),), "kink"),
        Special((3.0,), 1.0, ((0.0, 1 / 6),), "kink"),
    ),
    elementwise=True,
    slopes=(lambda mp, x: exact_slopes.stepped(mp, x, -3, 3, mp.mpf(1) / 6),),
)  # fmt: skip


def _hardswish(x: Array) -> Array:
    inner = np.minimum(np.maximum(x, -3), 3)
    return np.where(x > 3, x, inner * ((inner + 3) / 6))


def _hardswish_slope(x: Array) -> Array:
    """0, then (2x + 3)/6, then 1: at each kink anything between the two slopes there. Kernels add 1/2 to a rounded x/3."""
    left, right = above(x, -3.0), above(x, 3.0)
    inner = np.where(np.abs(x) > 3, 0.0, x)
    return np.where(right == 1, 1.0, masked((2 * inner + 3) / 6 + ghost(inner), left) * (1 - right) + right)


def _hardswish_rounding(run: Evaluation) -> Array:
    """x (x + 3) / 6: the sum, the product, a rounded sixth and its product, u each; |slope| <= 3/2.

    The identity above 3 is one of those products to a kernel, but stays exact to within its roundings. Below -3 the value is 0.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e = bounds.zero(es[0])
    carried = 1.5 * e
    return carried + np.where(
        xs[0] + e > -3, 4 * fmt.u * (np.abs(y) + carried) + (1 + np.minimum(np.abs(xs[0]), 3)) * fmt.eta, 0.0
    )


hardswish = register(
    "hardswish", _hardswish,
    jvp=lambda x_dot, x: x_dot * _hardswish_slope(x),
    vjp=lambda y_bar, x: y_bar * _hardswish_slope(x),
    rounding=_hardswish_rounding,
    torch=lambda torch, x: torch.nn.functional.hardswish(x),
    domain=Domain((Interval(hole=3.0),), _away(-3.0, 3.0), smooth=False),
    special=(
        Special((-3.0,), 0.0, ((-0.5, 0.0),), "kink"),
        Special((3.0,), 3.0, ((1.0, 1.5),), "kink"),
        Special((-np.inf,), 0.0, ((0.0, 0.0),), "constant below -3"),
    ),
    elementwise=True,
    slopes=(exact_slopes.hardswish,),
)  # fmt: skip


# --- shrinking ---------------------------------------------------------------------------------------------------------


def _sample_shrunk(rng: np.random.Generator) -> Sample:
    threshold = (0.5, 1.25, 0.0)[int(rng.integers(3))]
    x = rng.uniform(0.1, 3.0, SHAPES[int(rng.integers(len(SHAPES)))])
    far = np.where(np.abs(x - threshold) < 0.1, threshold + 0.1 + np.abs(x - threshold), x)
    return (far * rng.choice([-1.0, 1.0], np.shape(far)),), {"threshold": threshold}


def _beyond(x: Array, threshold: float) -> Array:
    """1 farther from 0 than the threshold, 0 nearer, a half at it."""
    return above(np.abs(x), threshold)


def _hardshrink_slope(x_dot: Array, x: Array, threshold: float) -> Array:
    """With the threshold 0 the function is the identity, at 0 too."""
    return x_dot if threshold == 0 else masked(x_dot, _beyond(x, threshold))


# x, and 0 within the threshold: the slope of the piece on which the value lies, either one at the jump.
hardshrink = register(
    "hardshrink", lambda x, threshold=0.5: np.where(np.abs(x) <= threshold, 0.0, x),
    jvp=lambda x_dot, x, threshold: _hardshrink_slope(x_dot, x, threshold),
    vjp=lambda y_bar, x, threshold: _hardshrink_slope(y_bar, x, threshold),
    rounding=bounds.steps,
    torch=lambda torch, x, threshold: torch.nn.functional.hardshrink(x, threshold),
    domain=sampled(_sample_shrunk, Interval(hole=0.5), smooth=False),
    special=(
        Special((0.5,), 0.0, ((0.0, 1.0),), "jump: the slope of either piece", (("threshold", 0.5),)),
        Special((0.0,), 0.0, ((1.0, 1.0),), "threshold 0: the identity", (("threshold", 0.0),)),
    ),
    elementwise=True, unit_slopes=True,
)  # fmt: skip


def _softshrink(x: Array, threshold: float = 0.5) -> Array:
    return x - np.minimum(np.maximum(x, -threshold), threshold)


def _softshrink_rounding(run: Evaluation) -> Array:
    """One difference, of slope at most one; nothing is rounded where x is kept or dropped."""
    fmt, y, es, params = run.fmt, run.y, run.es, run.params
    carried = bounds.zero(es[0])
    return carried + (fmt.u * (np.abs(y) + carried) if params["threshold"] else 0.0)


def _softshrink_slope(x_dot: Array, x: Array, threshold: float) -> Array:
    return x_dot if threshold == 0 else masked(x_dot, _beyond(x, threshold))


softshrink = register(
    "softshrink", lambda x, threshold=0.5: np.where(np.isinf(x), x, _softshrink(x, threshold)),
    jvp=lambda x_dot, x, threshold: _softshrink_slope(x_dot, x, threshold),
    vjp=lambda y_bar, x, threshold: _softshrink_slope(y_bar, x, threshold),
    rounding=_softshrink_rounding,
    torch=lambda torch, x, threshold: torch.nn.functional.softshrink(x, threshold),
    domain=sampled(_sample_shrunk, Interval(hole=0.5), smooth=False),
    special=(
        Special((0.5,), 0.0, ((0.0, 1.0),), "kink", (("threshold", 0.5),)),
        Special((-0.5,), 0.0, ((0.0, 1.0),), "kink", (("threshold", 0.5),)),
        Special((0.0,), 0.0, ((1.0, 1.0),), "threshold 0: the identity", (("threshold", 0.0),)),
    ),
    elementwise=True, unit_slopes=True,
)  # fmt: skip
