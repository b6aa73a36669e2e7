"""Selection: absolute value, comparisons, where, rounding to integers.

Convention at the kink: abs'(0) = 0. Masks in rules come from sign, heaviside and above, whose rounding rules know that at an exact tie a
framework may pick either side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import KINKED, NONZERO_LINE, REAL_LINE, SHAPES, Domain, Sample, Special
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.op.traits import ELEMENTWISE, HOLOMORPHIC, REAL_LINEAR, InGraphs, Mistakes, Notation
from refgrad.ops import branches, by_parts, complex_numbers

# --- comparisons ---------------------------------------------------------------------------------------------------

less = register(
    "less", np.less, jvp=None, vjp=None, rounding=bounds.compared,
    torch=lambda torch, x1, x2: torch.lt(x1, x2), numpy=(np.less,), broadcasts=True,
    elementwise=True,
)  # fmt: skip

less_equal = register(
    "less_equal", np.less_equal, jvp=None, vjp=None, rounding=bounds.compared,
    torch=lambda torch, x1, x2: torch.le(x1, x2), numpy=(np.less_equal,), broadcasts=True,
    elementwise=True,
)  # fmt: skip

greater = register(
    "greater", np.greater, jvp=None, vjp=None, rounding=bounds.compared,
    torch=lambda torch, x1, x2: torch.gt(x1, x2), numpy=(np.greater,), broadcasts=True,
    elementwise=True,
)  # fmt: skip

greater_equal = register(
    "greater_equal", np.greater_equal, jvp=None, vjp=None, rounding=bounds.compared,
    torch=lambda torch, x1, x2: torch.ge(x1, x2), numpy=(np.greater_equal,), broadcasts=True,
    elementwise=True,
)  # fmt: skip

equal = register(
    "equal", np.equal, jvp=None, vjp=None, rounding=bounds.compared,
    torch=lambda torch, x1, x2: torch.eq(x1, x2), numpy=(np.equal,), broadcasts=True,
    elementwise=True, commutes=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.both_equal,
)  # fmt: skip

not_equal = register(
    "not_equal", np.not_equal, jvp=None, vjp=None, rounding=bounds.compared,
    torch=lambda torch, x1, x2: torch.ne(x1, x2), numpy=(np.not_equal,), broadcasts=True,
    elementwise=True, commutes=True,
    complex_rules=REAL_LINEAR, by_parts=by_parts.one_differs,
)  # fmt: skip


# --- steps -----------------------------------------------------------------------------------------------------------


def _jump(fmt: Any, distance: Array, e: Array) -> Array:
    """Where a jump at distance 0 may be read from either side: within the radius, or met exactly by a derivative rule."""
    reach = bounds.zero(e)
    return (np.abs(distance) <= reach) & ((reach > 0) | fmt.kinks)


def _sign_rounding(run: Evaluation) -> Any:
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    jump = _jump(fmt, xs[0], es[0])
    return (np.where(jump, 0.0, y), jump.astype(y.dtype)) if jump.any() else None


# As a mask: -1 and 1 on the two sides of a kink.
sign = register(
    "sign", np.sign, jvp=None, vjp=None, rounding=_sign_rounding,
    torch=lambda torch, x: torch.sign(x), numpy=(np.sign,), domain=KINKED, complex_rules=complex_numbers.sign,
    special=(Special((0.0,), 0.0, ((0.0, 0.0),), "jump; the derivative is 0 elsewhere"),),
    elementwise=True,
    in_graphs=InGraphs(ELEMENTWISE, 43),
)  # fmt: skip


def _heaviside_rounding(run: Evaluation) -> Any:
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    jump = _jump(fmt, xs[0], es[0])
    at = np.where(jump & (xs[0] == 0), bounds.zero(es[1]), 0.0)
    if not jump.any():
        return None
    # The hull of 0, 1 and x2 (its value at the jump).
    low, high = np.minimum(0.0, xs[1] - at), np.maximum(1.0, xs[1] + at)
    return np.where(jump, (low + high) / 2, y), np.where(jump, (high - low) / 2, 0.0)


# As a mask: 0 and 1 on the two sides of a kink, x2 on it. Only x2 has a derivative, at x1 = 0.
heaviside = register(
    "heaviside", np.heaviside,
    jvp={"x2": lambda x2_dot, x1: np.where(x1 == 0, x2_dot, 0.0)},
    vjp={"x2": lambda y_bar, x1: np.where(x1 == 0, y_bar, 0.0)},
    rounding=_heaviside_rounding,
    torch=lambda torch, x1, x2: torch.heaviside(x1, x2),
    numpy=(np.heaviside,),
    domain=Domain((NONZERO_LINE, REAL_LINE), smooth=False),
    special=(Special((0.0, 0.5), 0.5, (None, (1.0, 1.0)), "jump in x1, the identity in x2"),),
    broadcasts=True,
    elementwise=True, unit_slopes=True,
)  # fmt: skip


def _above(x1: Any, x2: Any) -> Array:
    """1 where x1 > x2, 0 where x1 < x2, 1/2 at a tie (of infinities too), NaN where either is NaN."""
    dtype = np.result_type(x1, x2)
    half = np.asarray(np.greater(x1, x2).astype(dtype) + np.greater_equal(x1, x2).astype(dtype)) / dtype.type(
        2
    )
    x1, x2 = [float(x) if type(x) is int else x for x in (x1, x2)]  # np.isnan takes no large integers
    return np.where(np.isnan(x1) | np.isnan(x2), dtype.type(np.nan), half)


def _above_rounding(run: Evaluation) -> Any:
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    reach = bounds.zero(es[0]) + bounds.zero(es[1])
    jump = _jump(fmt, np.where(xs[0] == xs[1], 0.0, xs[0] - xs[1]), reach)
    return (np.where(jump, 0.5, y), np.where(jump, 0.5, 0.0)) if jump.any() else None


# The share of x1 in maximum(x1, x2); the difference is not formed, so that equal infinities are a tie.
above = register(
    "above",
    _above,
    jvp=None,
    vjp=None,
    rounding=_above_rounding,
    domain=Domain(smooth=False),
    broadcasts=True,
    elementwise=True,
    helper=True,
)


def masked(x: Array, mask: Array) -> Array:
    """x times mask, and 0 where the mask is 0 even if x is infinite: an unselected branch contributes nothing."""
    return np.where(mask == 0, 0.0, x * mask)


floor = register(
    "floor", np.floor, jvp=None, vjp=None, rounding=bounds.steps,
    torch=lambda torch, x: torch.floor(x), numpy=(np.floor,), domain=Domain(smooth=False),
    special=(Special((1.0,), 1.0, ((0.0, 0.0),), "jump; the derivative is 0 elsewhere"),),
    elementwise=True,
)  # fmt: skip

ceil = register(
    "ceil", np.ceil, jvp=None, vjp=None, rounding=bounds.steps,
    torch=lambda torch, x: torch.ceil(x), numpy=(np.ceil,), domain=Domain(smooth=False),
    special=(Special((1.0,), 1.0, ((0.0, 0.0),), "jump; the derivative is 0 elsewhere"),),
    elementwise=True,
)  # fmt: skip

trunc = register(
    "trunc", np.trunc, jvp=None, vjp=None, rounding=bounds.steps,
    torch=lambda torch, x: torch.trunc(x), numpy=(np.trunc, np.fix), domain=Domain(smooth=False),
    special=(Special((1.0,), 1.0, ((0.0, 0.0),), "jump; the derivative is 0 elsewhere"),),
    elementwise=True,
)  # fmt: skip

rint = register(
    "rint", np.rint, jvp=None, vjp=None, rounding=bounds.steps,
    torch=lambda torch, x: torch.round(x), numpy=(np.rint,), domain=Domain(smooth=False),
    special=(Special((0.5,), 0.0, ((0.0, 0.0),), "jump; the derivative is 0 elsewhere"),),
    elementwise=True,
    complex_rules=REAL_LINEAR,
)  # fmt: skip


# --- absolute value, where ---------------------------------------------------------------------------------------------

abs = register(
    "abs", np.absolute,
    jvp=lambda x_dot, x: x_dot * np.sign(x),
    vjp=lambda y_bar, x: y_bar * np.sign(x),
    rounding=bounds.same,
    torch=lambda torch, x: torch.abs(x),
    numpy=(np.absolute, np.fabs),
    domain=KINKED,
    special=(Special((0.0,), 0.0, ((-1.0, 1.0),), "kink"),),
    elementwise=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.negated),
    notation=Notation("|x|"),
    in_graphs=InGraphs(ELEMENTWISE, 15),
    complex_rules=complex_numbers.modulus,
)  # fmt: skip


@bounds.exact_rule
def _copysign_rounding(run: Evaluation) -> Any:
    y, xs, es = run.y, run.xs, run.es
    jump = (np.abs(xs[1]) <= bounds.zero(es[1])) & (bounds.zero(es[1]) > 0)
    if not jump.any():
        return es[0]
    return np.where(jump, 0.0, y), bounds.zero(es[0]) + np.where(jump, np.abs(xs[0]), 0.0)


# |x1| with the sign of x2, which reads the sign bit: of zeros too.
copysign = register(
    "copysign", np.copysign,
    jvp={"x1": lambda x1_dot, x1, x2: x1_dot * (np.sign(x1) * np.copysign(1.0, x2))},
    vjp={"x1": lambda y_bar, x1, x2: (y_bar * np.copysign(1.0, x2)) * np.sign(x1)},
    rounding=_copysign_rounding,
    torch=lambda torch, x1, x2: torch.copysign(x1, x2),
    numpy=(np.copysign,),
    domain=Domain((NONZERO_LINE, NONZERO_LINE), smooth=False),
    special=(Special((0.0, 1.0), 0.0, ((-1.0, 1.0), (0.0, 0.0)), "kink"),),
    broadcasts=True,
    usual=(
        Formula(
            "the slope as the quotient y/x1, whose own derivative is a difference of equal numbers",
            jvp={"x1": lambda x1_dot, x1, y: x1_dot * (y / x1)},
            vjp={"x1": lambda y_bar, x1, y: y_bar * (y / x1)},
        ),
    ),
    elementwise=True, unit_slopes=True,
    in_graphs=InGraphs(ELEMENTWISE, 49),
)  # fmt: skip


def _where(condition: Array, x1: Array, x2: Array) -> Array:
    return np.where(condition, x1, x2)


@bounds.exact_rule
def _where_rounding(run: Evaluation) -> Any:
    """Exact; where the condition is uncertain, the hull of both branches."""
    y, xs, es = run.y, run.xs, run.es
    condition, x1, x2 = xs
    e1, e2 = bounds.zero(es[1]), bounds.zero(es[2])
    radius = np.where(condition, e1, e2) if bounds.some(es[1:]) else None
    unsure = either(condition, es[0])
    if unsure is None or not np.count_nonzero(unsure):
        return radius
    low, high = np.minimum(x1 - e1, x2 - e2), np.maximum(x1 + e1, x2 + e2)
    middle, half = low + (high - low) / 2, (high - low) / 2
    finite = np.isfinite(half)
    return np.where(unsure & finite, middle, y), np.where(
        unsure, np.where(finite, half, np.inf), bounds.zero(radius)
    )


def either(x: Array, e: Array) -> Array:
    """Elements whose truth value is uncertain: marked ones of a boolean array, numbers whose ball holds 0."""
    if e is None or x.dtype.kind == "b":
        return e
    return (np.abs(x) <= e) & (e > 0)


def _sample_where(rng: np.random.Generator) -> Sample:
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    narrow = shape if rng.random() < 0.5 else ()
    return (rng.random(shape) < 0.5, rng.uniform(-3, 3, narrow), rng.uniform(-3, 3, shape)), {}


where = register(
    "where", _where,
    jvp={
        "x1": lambda x1_dot, condition: np.where(condition, x1_dot, 0.0),
        "x2": lambda x2_dot, condition: np.where(condition, 0.0, x2_dot),
    },
    vjp={
        "x1": lambda y_bar, condition: np.where(condition, y_bar, 0.0),
        "x2": lambda y_bar, condition: np.where(condition, 0.0, y_bar),
    },
    rounding=_where_rounding,
    torch=lambda torch, condition, x1, x2: torch.where(condition, x1, x2),
    numpy=(np.where,),
    domain=Domain(sampler=_sample_where),
    broadcasts=True,
    elementwise=True, unit_slopes=True,
    mistakes=Mistakes(other_branch=branches.flipped),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip
