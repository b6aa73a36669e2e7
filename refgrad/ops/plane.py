"""Angle and length of the points of a plane: arctan2 and hypot."""

from __future__ import annotations

import math

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import POSITIVE_LINE, REAL_LINE, SHAPES, Domain, Sample, Special
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import ELEMENTWISE, InGraphs
from refgrad.ops import exact_slopes
from refgrad.ops.undefined import at_cusp
from refgrad.quiet import unwarned

# --- the plane -------------------------------------------------------------------------------------------------------


def _arctan2_rounding(run: Evaluation) -> Array:
    """The angle of a box of radii: seen from 0 under at most its half diagonal over the distance; the cut is a jump of 2 pi."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    ulp = 2 * fmt.ulp("arctan2") * fmt.u * np.abs(y) + 4 * fmt.eta
    if not bounds.some(es):
        return ulp
    half, distance = np.hypot(bounds.zero(es[0]), bounds.zero(es[1])), np.hypot(*xs)
    sine = np.where(half < distance, half / np.where(distance > 0, distance, 1.0), 1.0)
    cut = (np.abs(xs[0]) <= bounds.zero(es[0])) & (xs[1] - bounds.zero(es[1]) <= 0)
    return np.where(cut, 2 * np.pi, np.where(sine < 1, np.arcsin(sine), np.pi)) + ulp


def _sample_arctan2(rng: np.random.Generator) -> Sample:
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    radius, angle = rng.uniform(0.5, 2, shape), rng.uniform(-3, 3, shape)  # away from the cut at angle pi
    return (radius * np.sin(angle), radius * np.cos(angle)), {}


# Angle of the point (x2, x1): r^2 would overflow or vanish, so the derivative (x2, -x1)/r^2 divides by r twice. It multiplies first, as
# kernels may: a tiny cotangent then underflows before a small r brings it back, and the bound knows.
arctan2 = register(
    "arctan2", np.arctan2,
    jvp={
        "x1": lambda x1_dot, x1, x2: x1_dot * x2 / np.hypot(x1, x2) / np.hypot(x1, x2),
        "x2": lambda x2_dot, x1, x2: -x2_dot * x1 / np.hypot(x1, x2) / np.hypot(x1, x2),
    },
    vjp={
        "x1": lambda y_bar, x1, x2: y_bar * x2 / np.hypot(x1, x2) / np.hypot(x1, x2),
        "x2": lambda y_bar, x1, x2: -(y_bar * x1 / np.hypot(x1, x2) / np.hypot(x1, x2)),
    },
    rounding=_arctan2_rounding,
    torch=lambda torch, x1, x2: torch.arctan2(x1, x2),
    numpy=(np.arctan2,),
    domain=Domain(sampler=_sample_arctan2),
    special=(
        Special((0.0, 0.0), 0.0, (None, None), "no angle at the origin"),
        Special((0.0, -1.0), math.pi, ((-1.0, -1.0), (0.0, 0.0)), "cut; the same derivative on both sides"),
        Special((1e200, 1e200), math.pi / 4, ((5e-201, 5e-201), (-5e-201, -5e-201)), "the square of the radius overflows"),
        Special((1e-200, 1e-200), math.pi / 4, ((5e199, 5e199), (-5e199, -5e199)), "the square of the radius underflows"),
    ),
    usual=(
        Formula(
            "y_bar/(x1^2 + x2^2): the squares overflow and underflow",
            jvp={
                "x1": lambda x1_dot, x1, x2: x1_dot / (x1 * x1 + x2 * x2) * x2,
                "x2": lambda x2_dot, x1, x2: -(x2_dot / (x1 * x1 + x2 * x2) * x1),
            },
            vjp={
                "x1": lambda y_bar, x1, x2: y_bar / (x1 * x1 + x2 * x2) * x2,
                "x2": lambda y_bar, x1, x2: -(y_bar / (x1 * x1 + x2 * x2) * x1),
            },
        ),
    ),
    broadcasts=True,
    elementwise=True, branch_free=True,
    in_graphs=InGraphs(ELEMENTWISE, 7),
    slopes=(lambda mp, x1, x2: x2 / exact_slopes.radius(mp, x1, x2), lambda mp, x1, x2: -x1 / exact_slopes.radius(mp, x1, x2)),
)  # fmt: skip


def _per(seed: Array, x: Array, y: Array) -> Array:
    """seed x/y, and 0 at the origin: a member of the unit disc."""
    return at_cusp(seed * x / np.where(y == 0, 1.0, y), x, y)


def _hypot_rounding(run: Evaluation) -> Array:
    """Lipschitz with constant one in the plane: at most the length of the box's half diagonal."""
    fmt, y, es = run.fmt, run.y, run.es
    carried = np.hypot(bounds.zero(es[0]), bounds.zero(es[1])) if bounds.some(es) else 0.0
    return carried + 2 * fmt.ulp("hypot") * fmt.u * (y + carried) + 2 * fmt.eta


def _share(t: Array, x1: Array, x2: Array) -> Array:
    h = np.hypot(x1, x2)
    safe, p = np.where(h == 0, 1.0, h), t * x1
    overflowed = np.isinf(p) & np.isfinite(t)  # the quotient may be finite all the same
    return np.where(overflowed, t * (x1 / safe), p / safe)


def _share_rounding(run: Evaluation) -> Array | None:
    """The product, the length and their quotient. Nothing is known where the length may be 0 or the product may overflow.

    Kernels may divide first. Then t magnifies what a quotient below the normal range lost.
    """
    t, x1, x2 = run.xs
    p, h = t * x1, np.hypot(x1, x2)
    e_p = bounds.zero(bounds.product(run._replace(forward=None, y=p, xs=(t, x1), es=run.es[:2])))
    e_p = np.where(np.abs(p) + e_p > run.fmt.max, np.inf, e_p)
    e_h = _hypot_rounding(run._replace(forward=None, y=h, xs=(x1, x2), es=run.es[1:]))
    divided = bounds.quotient(run._replace(forward=None, xs=(p, h), es=(e_p, e_h)))
    e_x = bounds.zero(run.es[1])
    below = (np.abs(x1) - e_x < run.fmt.least_normal * (h + e_h)) & (np.abs(x1) + e_x > 0)
    lost = np.where(below, (np.abs(t) + bounds.zero(run.es[0])) * run.fmt.eta, 0.0)
    return bounds.zero(divided) + lost if np.any(lost) else divided


def _turned(t: Array, x1: Array, x2: Array) -> Array:
    """t times the derivative of x1/hypot(x1, x2) in x1, which is x2^2/hypot^3; NaN at the origin, which has none."""
    u = hypot_share(1.0, x2, x1)
    return t / np.hypot(x1, x2) * u * u


def _crossed(t: Array, x1: Array, x2: Array) -> Array:
    """t times its derivative in x2, which is -x1 x2/hypot^3."""
    return -t / np.hypot(x1, x2) * hypot_share(1.0, x1, x2) * hypot_share(1.0, x2, x1)


# t x1/hypot(x1, x2), the derivative of hypot times a tangent or cotangent: 1/h - x1^2/h^3, the derivative of the quotient, would cancel.
# Kernels multiply before they divide: a product that underflows is then magnified by 1/h, which the order of the steps covers.
hypot_share: Op = register(
    "hypot_share", unwarned(_share),
    jvp={
        "t": lambda t_dot, x1, x2: hypot_share(t_dot, x1, x2),
        "x1": lambda x1_dot, t, x1, x2: _turned(x1_dot * t, x1, x2),
        "x2": lambda x2_dot, t, x1, x2: _crossed(x2_dot * t, x1, x2),
    },
    vjp={
        "t": lambda y_bar, x1, x2: hypot_share(y_bar, x1, x2),
        "x1": lambda y_bar, t, x1, x2: _turned(y_bar * t, x1, x2),
        "x2": lambda y_bar, t, x1, x2: _crossed(y_bar * t, x1, x2),
    },
    rounding=_share_rounding,
    broadcasts=True,
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

hypot = register(
    "hypot", np.hypot,
    jvp={"x1": lambda x1_dot, x1, x2: hypot_share(x1_dot, x1, x2), "x2": lambda x2_dot, x1, x2: hypot_share(x2_dot, x2, x1)},
    vjp={"x1": lambda y_bar, x1, x2: hypot_share(y_bar, x1, x2), "x2": lambda y_bar, x1, x2: hypot_share(y_bar, x2, x1)},
    rounding=_hypot_rounding,
    torch=lambda torch, x1, x2: torch.hypot(x1, x2),
    numpy=(np.hypot,),
    domain=Domain((POSITIVE_LINE, REAL_LINE)),
    special=(
        Special((0.0, 0.0), 0.0, ((-1.0, 1.0), (-1.0, 1.0)), "tip of a cone: the unit disc"),
        Special((1e200, 1e200), math.sqrt(2) * 1e200, ((math.sqrt(0.5),) * 2, (math.sqrt(0.5),) * 2), "the square overflows"),
    ),
    usual=(
        Formula(
            "x1/y: the second derivative 1/y - x1^2/y^3 is a difference that cancels",
            jvp={"x1": lambda x1_dot, x1, y: _per(x1_dot, x1, y), "x2": lambda x2_dot, x2, y: _per(x2_dot, x2, y)},
            vjp={"x1": lambda y_bar, x1, y: _per(y_bar, x1, y), "x2": lambda y_bar, x2, y: _per(y_bar, x2, y)},
            blind=True,
        ),
    ),
    broadcasts=True,
    elementwise=True, commutes=True,
    in_graphs=InGraphs(ELEMENTWISE, 8),
    slopes=(
        lambda mp, x1, x2: x1 / mp.sqrt(exact_slopes.radius(mp, x1, x2)),
        lambda mp, x1, x2: x2 / mp.sqrt(exact_slopes.radius(mp, x1, x2)),
    ),
)  # fmt: skip
