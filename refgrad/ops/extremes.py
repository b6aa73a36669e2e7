"""Extremes of several operands: maximum, minimum, fmax, fmin, clip.

Convention: tied operands get half of the derivative each. The shares come from ``above``, whose rounding rule knows that at an exact tie
a framework may pick either side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import BROADCASTING, Domain, Sample, Special
from refgrad.op import register
from refgrad.op.traits import ELEMENTWISE, InGraphs, Mistakes, Notation
from refgrad.ops import branches
from refgrad.ops.selection import above, masked


def _lattices(*shapes: tuple[tuple[int, ...], ...]) -> Callable[[np.random.Generator], Sample]:
    """Operands without near ties: each on a lattice of its own, of moderate size."""

    def sampler(rng: np.random.Generator) -> Sample:
        chosen = shapes[int(rng.integers(len(shapes)))]
        count = len(chosen)
        return tuple(
            [
                0.2 * (count * rng.integers(-4, 4, s) + k) + rng.uniform(0.0, 0.1, s)
                for k, s in enumerate(chosen)
            ]
        ), {}

    return sampler


_APART = Domain(sampler=_lattices(*BROADCASTING), smooth=False)


_TIE = (Special((2.0, 2.0), 2.0, ((0.0, 1.0), (0.0, 1.0)), "tie: shares t and 1 - t"),)
_ONE_NAN = Special((np.nan, 2.0), 2.0, ((0.0, 0.0), (1.0, 1.0)), "NaN is passed over")


@bounds.exact_rule
def _extreme(run: Evaluation) -> Array | None:
    """Exact and monotone in every operand: the ends of the box bound the result.

    Where kernels take subnormal operands as zero, they compare them as equal, and return any of them as it is.
    """
    y, xs, es, zeroed = run.y, run.xs, run.es, run.fmt.zeroed
    if not bounds.some(es):
        return None
    balls = [(x, bounds.zero(e)) for x, e in zip(xs, es, strict=True)]
    ends = [run.forward(*[x + side * e for x, e in balls]) for side in (-1, 1)]
    radius = np.maximum(*[np.where(y == end, 0.0, np.abs(y - end)) for end in ends])
    if zeroed and np.any(np.abs(y) < zeroed):
        for x, e in balls:
            equal = (np.abs(y) < zeroed) & (np.abs(x) - e < zeroed)
            radius = np.where(equal, np.maximum(radius, np.abs(x - y) + e), radius)
    return radius


maximum = register(
    "maximum", np.maximum,
    jvp={"x1": lambda x1_dot, x1, x2: masked(x1_dot, above(x1, x2)), "x2": lambda x2_dot, x1, x2: masked(x2_dot, above(x2, x1))},
    vjp={"x1": lambda y_bar, x1, x2: masked(y_bar, above(x1, x2)), "x2": lambda y_bar, x1, x2: masked(y_bar, above(x2, x1))},
    rounding=_extreme,
    torch=lambda torch, x1, x2: torch.maximum(x1, x2),
    numpy=(np.maximum,),
    domain=_APART,
    special=(*_TIE, Special((np.nan, 2.0), np.nan, (None, None), "NaN")),
    broadcasts=True,
    picks=True,
    elementwise=True, commutes=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.exchanged),
    notation=Notation("max", with_number=("max {}", "max {}")),
    in_graphs=InGraphs(ELEMENTWISE, 4),
    selects=True,
)  # fmt: skip

minimum = register(
    "minimum", np.minimum,
    jvp={"x1": lambda x1_dot, x1, x2: masked(x1_dot, above(x2, x1)), "x2": lambda x2_dot, x1, x2: masked(x2_dot, above(x1, x2))},
    vjp={"x1": lambda y_bar, x1, x2: masked(y_bar, above(x2, x1)), "x2": lambda y_bar, x1, x2: masked(y_bar, above(x1, x2))},
    rounding=_extreme,
    torch=lambda torch, x1, x2: torch.minimum(x1, x2),
    numpy=(np.minimum,),
    domain=_APART,
    special=(*_TIE, Special((np.nan, 2.0), np.nan, (None, None), "NaN")),
    broadcasts=True,
    picks=True,
    elementwise=True, commutes=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.exchanged),
    notation=Notation("min", with_number=("min {}", "min {}")),
    in_graphs=InGraphs(ELEMENTWISE, 5),
    selects=True,
)  # fmt: skip


def _larger(x1: Array, x2: Array) -> Array:
    """The share of x1 in fmax: NaN loses against a number."""
    return np.where(np.isnan(x2), 1.0, np.where(np.isnan(x1), 0.0, above(x1, x2)))


def _smaller(x1: Array, x2: Array) -> Array:
    """The share of x1 in fmin: NaN loses against a number."""
    return np.where(np.isnan(x2), 1.0, np.where(np.isnan(x1), 0.0, above(x2, x1)))


fmax = register(
    "fmax", np.fmax,
    jvp={"x1": lambda x1_dot, x1, x2: masked(x1_dot, _larger(x1, x2)), "x2": lambda x2_dot, x1, x2: masked(x2_dot, _larger(x2, x1))},
    vjp={"x1": lambda y_bar, x1, x2: masked(y_bar, _larger(x1, x2)), "x2": lambda y_bar, x1, x2: masked(y_bar, _larger(x2, x1))},
    rounding=_extreme,
    torch=lambda torch, x1, x2: torch.fmax(x1, x2),
    numpy=(np.fmax,),
    domain=_APART,
    special=(*_TIE, _ONE_NAN),
    broadcasts=True,
    picks=True,
    elementwise=True, commutes=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.exchanged),
    in_graphs=InGraphs(ELEMENTWISE, 44),
    selects=True,
)  # fmt: skip

fmin = register(
    "fmin", np.fmin,
    jvp={"x1": lambda x1_dot, x1, x2: masked(x1_dot, _smaller(x1, x2)), "x2": lambda x2_dot, x1, x2: masked(x2_dot, _smaller(x2, x1))},
    vjp={"x1": lambda y_bar, x1, x2: masked(y_bar, _smaller(x1, x2)), "x2": lambda y_bar, x1, x2: masked(y_bar, _smaller(x2, x1))},
    rounding=_extreme,
    torch=lambda torch, x1, x2: torch.fmin(x1, x2),
    numpy=(np.fmin,),
    domain=_APART,
    special=(*_TIE, _ONE_NAN),
    broadcasts=True,
    picks=True,
    elementwise=True, commutes=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.exchanged),
    in_graphs=InGraphs(ELEMENTWISE, 45),
    selects=True,
)  # fmt: skip


def _clip(x: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def _inside(x: Array, low: Array, high: Array) -> Array:
    """The share of x in clip; at a bound it is shared with the bound, as in maximum and minimum."""
    return above(x, low) * above(high, np.maximum(x, low))


_BETWEEN = _lattices(
    ((), (), ()), ((3,), (3,), (3,)), ((2, 3), (), (3,)), ((3,), (2, 1), ()), ((0,), (0,), ())
)


# min(max(x, low), high): high wins where the bounds cross.
clip = register(
    "clip", _clip,
    jvp={
        "x": lambda x_dot, x, low, high: masked(x_dot, _inside(x, low, high)),
        "low": lambda low_dot, x, low, high: masked(low_dot, above(low, x) * above(high, np.maximum(x, low))),
        "high": lambda high_dot, x, low, high: masked(high_dot, above(np.maximum(x, low), high)),
    },
    vjp={
        "x": lambda y_bar, x, low, high: masked(y_bar, _inside(x, low, high)),
        "low": lambda y_bar, x, low, high: masked(y_bar, above(low, x) * above(high, np.maximum(x, low))),
        "high": lambda y_bar, x, low, high: masked(y_bar, above(np.maximum(x, low), high)),
    },
    rounding=_extreme,
    torch=lambda torch, x, low, high: torch.clamp(x, min=low, max=high),
    domain=Domain(sampler=_BETWEEN, smooth=False),
    special=(
        Special((0.0, 0.0, 1.0), 0.0, ((0.0, 1.0), (0.0, 1.0), (0.0, 0.0)), "at the lower bound"),
        Special((1.0, 0.0, 1.0), 1.0, ((0.0, 1.0), (0.0, 0.0), (0.0, 1.0)), "at the upper bound"),
        Special((0.0, 2.0, 1.0), 1.0, ((0.0, 0.0), (0.0, 0.0), (1.0, 1.0)), "crossed bounds: the upper one wins"),
    ),
    broadcasts=True,
    picks=True,
    elementwise=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.clipped),
    in_graphs=InGraphs(ELEMENTWISE, 51),
    selects=True,
)  # fmt: skip
