"""Products with a logarithm, in which a factor 0 wins over an infinite logarithm: xlogy, xlog1py, entr, kl_div; and logit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.domain import (
    POSITIVE,
    POSITIVE_LINE,
    REAL_LINE,
    SHAPES,
    Domain,
    Interval,
    Sample,
    Special,
    between,
    sampled,
)
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops.compensated import constant, in_float64
from refgrad.ops.products import ghost
from refgrad.quiet import unwarned

_PER_E = "0.36787944117144232159552377016146086744581113103176784"


def _product(log: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    @unwarned
    def forward(x1: Array, x2: Array) -> Array:
        """x1 log(x2); 0 where x1 is 0, whatever the logarithm, unless x2 is NaN."""
        gone = (x1 == 0) & ~np.isnan(x2)
        return np.where(gone, 0.0, x1 * log(np.where(gone, 1.0, x2)))

    return forward


def _product_rounding(name: str, pole: float) -> bounds.RoundingRule:
    """|log x2| e1 + (|x1| + e1) times how far the logarithm may move within e2, then the logarithm's error and one product."""

    def rule(run: Evaluation) -> Array:
        fmt, forward, y, xs, es = run.fmt, run.forward, run.y, run.xs, run.es
        (x1, x2), e1, e2 = xs, bounds.zero(es[0]), bounds.zero(es[1])
        carried: Array | float = 0.0
        if bounds.some(es):
            with np.errstate(all="ignore"):
                distance = np.abs(x2 - pole)
                drift = np.where(
                    e2 < distance, -np.log1p(-e2 / np.where(distance > 0, distance, 1.0)), np.inf
                )
                drift = np.where(np.asarray(e2) == 0, 0.0, drift)
                slope = np.abs(forward(np.ones_like(y), np.broadcast_to(x2, np.shape(y))))
                carried = np.where(np.asarray(e1) == 0, 0.0, slope * e1)
                size = np.abs(x1) + e1
                carried = bounds.endless(carried + np.where(size == 0, 0.0, size * drift), *es)
        steps = 2 * fmt.ulp(name) + 1
        vanishing = (x1 == 0) & (np.asarray(e1) == 0)
        stored = steps * fmt.u * (np.abs(y) + carried) + (1 + 2 * np.abs(x1)) * fmt.eta
        return carried + np.where(vanishing, 0.0, stored)

    return rule


def _once_more(run: Evaluation) -> Array:
    e = bounds.zero(run.es[0])
    return e + run.fmt.store(run.y, e)


# The number itself, rounded once more: the derivative of a kernel's formula takes the factors of a share in another order than
# that of the rule below.
reordered: Op = register(
    "reordered", lambda x: np.array(x),
    jvp=lambda x_dot: reordered(x_dot),
    vjp=lambda y_bar: reordered(y_bar),
    rounding=_once_more,
    elementwise=True, branch_free=True, unit_slopes=True, helper=True,
)  # fmt: skip


def _share(x_dot: Array, x1: Array, reach: Array) -> Array:
    """x_dot x1/reach; 0 for 0/0, where the function does not depend on its second operand."""
    both = (x1 == 0) & (reach == 0)
    share = reordered((x_dot * x1) / np.where(both, 1.0, reach)) * _defined(reach, 0.0)
    return np.where(both, 0.0, share)


def _defined(x: Array, low: float) -> Array:
    """1, and NaN where the logarithm is not defined although a factor 0 makes the value 0."""
    return np.where(x < low, np.nan, 1.0)


xlogy: Op = register(
    "xlogy", _product(np.log),
    jvp={"x1": lambda x1_dot, x2: x1_dot * (np.log(x2) * _defined(x2, 0.0)), "x2": lambda x2_dot, x1, x2: _share(x2_dot, x1, x2)},
    vjp={"x1": lambda y_bar, x2: np.log(x2) * y_bar * _defined(x2, 0.0), "x2": lambda y_bar, x1, x2: _share(y_bar, x1, x2)},
    rounding=_product_rounding("log", 0.0),
    torch=lambda torch, x1, x2: torch.xlogy(x1, x2),
    domain=Domain((REAL_LINE, POSITIVE_LINE)),
    special=(
        Special((0.0, 0.0), 0.0, (None, (0.0, 0.0)), "a factor 0 wins; in x1 the function jumps to infinity"),
        Special((0.0, 2.0), 0.0, ((0.6931471805599453, 0.6931471805599453), (0.0, 0.0)), "a factor 0"),
        Special((1.0, 0.0), -np.inf, ((-np.inf, -np.inf), (np.inf, np.inf)), "pole"),
    ),
    usual=(
        Formula(
            "the gradient in x1 is xlogy of the cotangent: its tangent is a product before it is a quotient, which underflows earlier",
            jvp={"x1": lambda x1_dot, x2: xlogy(x1_dot, x2), "x2": lambda x2_dot, x1, x2: _share(x2_dot, x1, x2)},
            vjp={"x1": lambda y_bar, x2: xlogy(y_bar, x2), "x2": lambda y_bar, x1, x2: _share(y_bar, x1, x2)},
            blind=True,
        ),
    ),
    broadcasts=True,
    elementwise=True, branch_free=True,
    slopes=(lambda mp, _, x2: mp.log(x2), lambda mp, x1, x2: x1 / x2),
)  # fmt: skip

xlog1py: Op = register(
    "xlog1py", _product(np.log1p),
    jvp={"x1": lambda x1_dot, x2: x1_dot * (np.log1p(x2) * _defined(x2, -1.0)), "x2": lambda x2_dot, x1, x2: _share(x2_dot, x1, 1 + x2)},
    vjp={"x1": lambda y_bar, x2: np.log1p(x2) * y_bar * _defined(x2, -1.0), "x2": lambda y_bar, x1, x2: _share(y_bar, x1, 1 + x2)},
    rounding=_product_rounding("log1p", -1.0),
    torch=lambda torch, x1, x2: torch.special.xlog1py(x1, x2),
    domain=Domain((REAL_LINE, Interval(low=-1.0))),
    special=(
        Special((0.0, -1.0), 0.0, (None, (0.0, 0.0)), "a factor 0 wins; in x1 the function jumps to infinity"),
        Special((1.0, -1.0), -np.inf, ((-np.inf, -np.inf), (np.inf, np.inf)), "pole"),
        Special((1.0, 1e-300), 1e-300, ((1e-300, 1e-300), (1.0, 1.0)), "tiny"),
    ),
    usual=(
        Formula(
            "the gradient in x1 is xlog1py of the cotangent: its tangent is a product before it is a quotient, which underflows earlier",
            jvp={"x1": lambda x1_dot, x2: xlog1py(x1_dot, x2), "x2": lambda x2_dot, x1, x2: _share(x2_dot, x1, 1 + x2)},
            vjp={"x1": lambda y_bar, x2: xlog1py(y_bar, x2), "x2": lambda y_bar, x1, x2: _share(y_bar, x1, 1 + x2)},
            blind=True,
        ),
    ),
    broadcasts=True,
    elementwise=True, branch_free=True,
    slopes=(lambda mp, _, x2: mp.log1p(x2), lambda mp, x1, x2: x1 / (1 + x2)),
)  # fmt: skip


@unwarned
def _entr(x: Array) -> Array:
    inner = np.where(x > 0, x, 1.0)
    return np.where(x > 0, -inner * np.log(inner), np.where(x < 0, -np.inf, x * 0.0))


def _entr_rounding(run: Evaluation) -> Radius:
    """|log x + 1| e + e^2/(2 (x - e)), the curvature being 1/x; the logarithm's error and one product.

    Below zero, where the radius reaches it, the value is any number or -inf: the centre moves to 0.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x, e = xs[0], bounds.zero(es[0])
    carried: Array | float = 0.0
    if es[0] is not None:
        with np.errstate(all="ignore"):
            far = np.abs(np.log(x) + 1) * e + e * e / (2 * (x - e))
            carried = np.where(x > e, far, np.where(np.asarray(e) == 0, 0.0, np.inf))
    stored = (2 * fmt.ulp("log") + 1) * fmt.u * (np.abs(y) + carried) + (1 + 2 * np.abs(x)) * fmt.eta
    radius = carried + np.where((x == 0) & (np.asarray(e) == 0), 0.0, stored)
    either = (x < 0) & (x + e >= 0)  # the run may be on the other side of the jump to -inf
    return (np.where(either, 0.0, y), np.where(either, np.inf, radius)) if np.any(either) else radius


@in_float64
def _entr_slope(x: Array) -> Array:
    """-log(x) - 1; near its zero 1/e as -log1p(e (x - 1/e)), where x - 1/e is exact but for the last digits of 1/e."""
    high, low = constant(_PER_E, x.dtype)
    near = np.where(np.abs(x - high) < high / 4, (x - high) - low, 0.0)
    return np.where(near == 0, -1 - np.log(x), -np.log1p(near / high))


def _entr_slope_rounding(run: Evaluation) -> Array:
    """The logarithm, which is no larger than the value and 1, and a difference. Carried: the logarithm of x/(x - e)."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x, e = xs[0], bounds.zero(es[0])
    carried: Array | float = 0.0
    if es[0] is not None:
        room = x - e
        carried = np.where(
            room > 0, np.log1p(e / np.where(room > 0, room, 1.0)), np.where(np.asarray(e) == 0, 0.0, np.inf)
        )
    size = np.abs(y) + carried
    return carried + fmt.u * (2 * fmt.ulp("log") * (size + 1) + size) + 2 * fmt.eta


entr_slope = register(
    "entr_slope", _entr_slope,
    jvp=lambda x_dot, x: -x_dot / x,
    vjp=lambda y_bar, x: -(y_bar / x),
    rounding=_entr_slope_rounding,
    domain=POSITIVE,
    elementwise=True, branch_free=True, helper=True,
    slopes=(lambda mp, x: -1 / x,),
)  # fmt: skip

# -x log(x), -inf below 0.
entr = register(
    "entr", _entr,
    jvp=lambda x_dot, x: x_dot * entr_slope(x),
    vjp=lambda y_bar, x: y_bar * entr_slope(x),
    rounding=_entr_rounding,
    torch=lambda torch, x: torch.special.entr(x),
    domain=POSITIVE,
    special=(Special((0.0,), 0.0, ((np.inf, np.inf),), "vertical tangent"),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: -mp.log(x) - 1,),
)  # fmt: skip


def _logit_rounding(run: Evaluation) -> Array:
    """log(x/(1 - x)): the difference and the quotient round by u each, which the logarithm makes 2 u in absolute terms."""
    return bounds.monotone("log")(run) + np.where(np.isinf(run.y), 0.0, 2 * run.fmt.u)


def _times_complement_rounding(run: Evaluation) -> Array:
    """The difference and the product. Carried: |1 - 2x| e + e^2."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    e = bounds.zero(es[0])
    carried = np.abs(1 - 2 * xs[0]) * e + e * e
    return carried + 2 * fmt.u * (np.abs(y) + carried) + fmt.eta


def _leaning(x: Array) -> Array:
    """1 - 2x, exact near its zero. Kernels subtract two terms, multiplied by x and by a rounded 1 - x."""
    return (1 - 2 * x) + ghost(np.abs(x) + np.abs(1 - x), roundings=2)


# x (1 - x) for x between 0 and 1. |x|, for at -0 too the slope of logit is that of the right side.
times_complement: Op = register(
    "times_complement", unwarned(lambda x: np.abs(x) * (1 - x)),
    jvp=lambda x_dot, x: x_dot * _leaning(x),
    vjp=lambda y_bar, x: y_bar * _leaning(x),
    rounding=_times_complement_rounding,
    domain=between(0.0, 1.0),
    elementwise=True, branch_free=True, helper=True,
    slopes=(lambda mp, x: 1 - 2 * x,),
)  # fmt: skip

logit = register(
    "logit", unwarned(lambda x: np.log(x / (1 - x))),
    jvp=lambda x_dot, x: x_dot / times_complement(x),
    vjp=lambda y_bar, x: y_bar / times_complement(x),
    rounding=_logit_rounding,
    torch=lambda torch, x: torch.logit(x),
    domain=between(0.0, 1.0),
    special=(
        Special((0.0,), -np.inf, ((np.inf, np.inf),), "pole"),
        Special((1.0,), np.inf, ((np.inf, np.inf),), "pole"),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: 1 / (x * (1 - x)),),
)  # fmt: skip


@unwarned
def _kl_div(x: Array, t: Array) -> Array:
    """t (log(t) - x) as the difference of its two products; 0 log(0) is 0."""
    return np.where(t == 0, 0.0, t * np.log(np.where(t == 0, 1.0, t))) - t * x


def _kl_div_rounding(run: Evaluation) -> Array:
    """The logarithm, two products and their difference. Carried: |t| e of x, and of t the slope |log t| + 1 + |x| next to it."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    (x, t), ex, et = xs, bounds.zero(es[0]), bounds.zero(es[1])
    reach = np.abs(t) + et
    carried: Array = np.where(reach == 0, 0.0, reach * ex)
    if es[1] is not None:
        with np.errstate(all="ignore"):
            nearest = np.where(t > et, np.abs(np.log(t - et)), np.inf)
            slope = np.maximum(nearest, np.abs(np.log(reach))) + 1 + np.abs(x)
            carried = carried + np.where(np.asarray(et) == 0, 0.0, slope * et)
    with np.errstate(all="ignore"):
        first, second = np.abs(np.where(t == 0, 0.0, t * np.log(np.where(t == 0, 1.0, t)))), np.abs(t * x)
    inner = (2 * fmt.ulp("log") + 1) * fmt.u * first + fmt.u * second + (2 + 2 * np.abs(t)) * fmt.eta
    radius = carried + np.where(reach == 0, 0.0, inner + fmt.u * (np.abs(y) + carried + inner))
    if np.all(first + second <= fmt.max):
        return radius
    # Where the products overflow, their difference may be anything.
    promised = np.where(np.abs(y) - radius < fmt.max, np.inf, np.nan)
    return np.where(first + second > fmt.max, promised, radius)


def _sample_kl_div(rng: np.random.Generator) -> Sample:
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    return (REAL_LINE.draw(rng, shape), POSITIVE_LINE.draw(rng, shape)), {}


def _kl_div_slope(factor: Array, x: Array, t: Array) -> Array:
    """factor (log t + 1 - x), the terms in any order; kernels write the 1 as t/t."""
    terms = factor * np.log(t), _share(factor, t, t), factor * x
    size = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(terms[2])
    return terms[0] + terms[1] - terms[2] + ghost(size, roundings=2)


# In forward mode x_dot t joins the three terms of the other operand, in any order: up to two sums more round it.
# The terms of the Kullback-Leibler divergence of a target t from exp(x): Kullback, Leibler, "On information and sufficiency" (1951).
kl_div = register(
    "kl_div", _kl_div,
    jvp={"x": lambda x_dot, t: ghost(x_dot * t, roundings=2) - x_dot * t, "t": lambda t_dot, x, t: _kl_div_slope(t_dot, x, t)},
    vjp={"x": lambda y_bar, t: -(y_bar * t), "t": lambda y_bar, x, t: _kl_div_slope(y_bar, x, t)},
    rounding=_kl_div_rounding,
    torch=lambda torch, x, t: torch.nn.functional.kl_div(x, t, reduction="none"),
    domain=sampled(_sample_kl_div, REAL_LINE, POSITIVE_LINE),
    special=(
        Special((-1.0, 0.0), 0.0, ((0.0, 0.0), (-np.inf, -np.inf)), "no target: 0 log(0) is 0"),
        Special((0.0, 1.0), 0.0, ((-1.0, -1.0), (1.0, 1.0)), "certain"),
    ),
    broadcasts=True,
    elementwise=True, branch_free=True,
    slopes=(lambda mp, _, t: -t, lambda mp, x, t: mp.log(t) + 1 - x),
)  # fmt: skip
