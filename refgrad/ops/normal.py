"""The normal distribution function, its logarithm and its inverse."""

from __future__ import annotations

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, between
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import exact_slopes
from refgrad.ops import normal_distribution as normal
from refgrad.ops.compensated import in_float64
from refgrad.ops.error_functions import bell_rounding, erf
from refgrad.quiet import unwarned

_density = in_float64(normal.density)

# exp(-x^2/2)/sqrt(2 pi)
density = register(
    "normal_density", _density,
    jvp=lambda x_dot, x, y: -(x_dot * x) * y,
    vjp=lambda y_bar, x, y: -(y_bar * y) * x,
    rounding=bell_rounding(_density, 1.0),  # kernels may round x/sqrt(2), and square that
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


_ndtr = in_float64(normal.distribution)


def _ndtr_rounding(run: Evaluation) -> Array:
    """erfc(-z)/2 with z = x/sqrt(2), whose two roundings move the value by 2u |x| density(x); the density may be that of a smaller z."""
    fmt, y, x = run.fmt, run.y, run.xs[0]
    carried = bounds.monotone(0.0)(run) if run.es[0] is not None else 0.0
    reach = np.minimum(np.abs(x), 160.0)
    moved = 2 * fmt.u * reach * _density(reach * (1 - 2 * fmt.u))
    return carried + moved + (2 * fmt.ulp("erfc") + 1) * fmt.u * (y + carried) + 3 * fmt.eta


def _by_erf(x: Array) -> Array:
    """(1 + erf(x/sqrt(2)))/2."""
    return 0.5 * (1 + erf(x * float(normal.ROOT_HALF)))


ndtr: Op = register(
    "ndtr", _ndtr,
    jvp=lambda x_dot, x: x_dot * density(x),
    vjp=lambda y_bar, x: y_bar * density(x),
    rounding=_ndtr_rounding,
    torch=lambda torch, x: torch.special.ndtr(x),
    special=(
        Special((np.inf,), 1.0, ((0.0, 0.0),), "levels off"),
        Special((-np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
        Special((-40.0,), 0.0, ((0.0, 0.0),), "the value 4e-350 underflows"),
    ),
    usual=(Formula("(1 + erf(x/sqrt(2)))/2, which cancels for negative x", _by_erf, blind=True),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi),),
)  # fmt: skip


# --- the logarithm -----------------------------------------------------------------------------------------------------


@unwarned
def _ratio_third(x: Array) -> Array:
    """The second derivative of w = density/Phi, by w' = -w (x + w) and x + w = -w'/w."""
    w, slope = density_ratio(x), ratio_slope(x)
    return -slope * (x + w) - w * (1 + slope)


def _ratio_slope_rounding(run: Evaluation) -> Array:
    """w (x + w): the sum keeps the errors of its terms. The derivative of w' is between -0.1 and 0.3."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    carried: Array | float = 0.0
    if es[0] is not None:
        carried = bounds.endless(np.minimum(0.3 * es[0], 1.0), es[0])
    w = _ratio(xs[0])
    roundings = 2 * fmt.ulp("erfcx") + 8 + np.minimum(np.maximum(xs[0], 0.0) ** 2, 1 / fmt.u) * 2
    return carried + fmt.u * roundings * (np.abs(y) + carried) + np.minimum(w, 1.0) * fmt.eta + 4 * fmt.eta


_ratio, _ratio_slope = in_float64(normal.ratio), in_float64(normal.ratio_slope)

ratio_slope: Op = register(
    "normal_ratio_slope", _ratio_slope,
    jvp=lambda x_dot, x: x_dot * _ratio_third(x),
    vjp=lambda y_bar, x: y_bar * _ratio_third(x),
    rounding=_ratio_slope_rounding,
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


def _ratio_rounding(run: Evaluation) -> Array:
    """sqrt(2/pi)/erfcx(-x/sqrt(2)): the argument is rounded twice, and its error enters x^2 times where erfcx grows; it overflows there."""
    fmt, y, x = run.fmt, run.y, run.xs[0]
    carried = bounds.monotone(0.0)(run) if run.es[0] is not None else 0.0
    roundings = 2 * fmt.ulp("erfcx") + 6 + np.minimum(np.maximum(x, 0.0) ** 2, 1 / fmt.u) * 2
    gone = np.where(y < 8 / fmt.max, y, 0.0)
    return carried + fmt.u * roundings * (y + carried) + gone + 2 * fmt.eta


# density(x)/Phi(x)
density_ratio: Op = register(
    "normal_ratio", _ratio,
    jvp=lambda x_dot, x: x_dot * ratio_slope(x),
    vjp=lambda y_bar, x: y_bar * ratio_slope(x),
    rounding=_ratio_rounding,
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

_log_ndtr = in_float64(normal.log_distribution)


def _log_ndtr_rounding(run: Evaluation) -> Array:
    """log(erfcx(z)/2) - x^2/2 with a rounded z = -x/sqrt(2), or log1p(-erfc(-z)/2), whose erfc is off by x^2 roundings of z.

    The slope falls from -x to 0, so that it is largest at x - e.
    """
    fmt, y, x, e = run.fmt, run.y, run.xs[0], bounds.zero(run.es[0])
    carried: Array | float = 0.0
    if run.es[0] is not None:
        carried = bounds.endless(_ratio(x - e) * e, e)
    size = np.abs(y) + carried
    left = (2 * fmt.ulp("log") + 4) * size + 2 * fmt.ulp("erfcx") + 4
    right = (2 * fmt.ulp("log1p") + 2 * fmt.ulp("erfc") + 4 + 2 * np.minimum(x * x, 1 / fmt.u)) * size
    return carried + fmt.u * np.where(x - e < -0.9, left, right) + 4 * fmt.eta


def _usual_ratio(x: Array, y: Array) -> Array:
    """exp(-(y + x^2/2))/sqrt(2 pi): the exponent is a difference, whose roundings become relative errors."""
    return np.exp(-(y + x * x / 2)) * float(normal.DENSITY_AT_ZERO)


log_ndtr = register(
    "log_ndtr", _log_ndtr,
    jvp=lambda x_dot, x: x_dot * density_ratio(x),
    vjp=lambda y_bar, x: y_bar * density_ratio(x),
    rounding=_log_ndtr_rounding,
    torch=lambda torch, x: torch.special.log_ndtr(x),
    special=(
        Special((-30.0,), -454.32124395634318, ((30.033259667433676, 30.033259667433676),), "far left"),
        Special((-1e5,), -5000000012.43186, ((100000.00001, 100000.00001),), "far left"),
        Special((30.0,), -4.906713927148187e-198, ((1.4736461348785476e-196, 1.4736461348785476e-196),), "far right"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
    ),
    usual=(
        Formula(
            "exp(-(y + x^2/2))/sqrt(2 pi), whose exponent is a difference of large numbers far to the left",
            jvp=lambda x_dot, x, y: x_dot * _usual_ratio(x, y),
            vjp=lambda y_bar, x, y: y_bar * _usual_ratio(x, y),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(exact_slopes.log_ndtr,),
)  # fmt: skip


# --- the inverse -------------------------------------------------------------------------------------------------------


@in_float64
def _ndtri_slope(x: Array) -> Array:
    """1/density(y) with Phi(y) = x: 1 over x density(y)/Phi(y), on the right the same of 1 - x, so y is not squared."""
    inside = (x > 0) & (x < 1)
    y = -np.abs(normal.inverse_distribution(np.where(inside, x, 0.5)))
    share = np.where(x < 0.5, x, 1 - x)
    ends = np.where((x == 0) | (x == 1), np.inf, np.nan)
    return np.where(inside, 1 / normal.ratio(y) / np.where(inside, share, 1.0), ends)


def _ndtri_slope_rounding(run: Evaluation) -> Array:
    """sqrt(2 pi) exp(y^2/2): the error of y enters y^2 times, that of the square half as often. The slope is least at 1/2."""
    fmt, y, x, e = run.fmt, run.y, run.xs[0], run.es[0]
    carried: Array | float = 0.0
    if e is not None:
        carried = np.maximum(np.abs(run.forward(x - e) - y), np.abs(run.forward(x + e) - y))
        carried = bounds.endless(np.where(np.isnan(carried), np.inf, carried), e)
    inside = (x > 0) & (x < 1)
    square = normal.inverse_distribution(np.where(inside, x, 0.5)) ** 2
    roundings = square * (2 * fmt.ulp("ndtri") + 1) + 2 * fmt.ulp("exp") + 3
    return carried + roundings * fmt.u * (y + carried) + 2 * fmt.eta


ndtri_slope = register(
    "ndtri_slope", _ndtri_slope,
    jvp=lambda x_dot, x, y: (x_dot * ndtri(x)) * np.square(y),
    vjp=lambda y_bar, x, y: ndtri(x) * (y_bar * np.square(y)),
    rounding=_ndtri_slope_rounding,
    domain=between(0.0, 1.0),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip

ndtri: Op = register(
    "ndtri", in_float64(normal.inverse_distribution),
    jvp=lambda x_dot, x: x_dot * ndtri_slope(x),
    vjp=lambda y_bar, x: y_bar * ndtri_slope(x),
    rounding=bounds.monotone("ndtri"),
    torch=lambda torch, x: torch.special.ndtri(x),
    domain=between(0.0, 1.0),
    special=(
        Special((0.0,), -np.inf, ((np.inf, np.inf),), "pole"),
        Special((1.0,), np.inf, ((np.inf, np.inf),), "pole"),
        Special((0.5,), 0.0, ((2.5066282746310002, 2.5066282746310002),), "the middle"),
    ),
    elementwise=True, branch_free=True,
    slopes=(exact_slopes.ndtri,),
)  # fmt: skip
