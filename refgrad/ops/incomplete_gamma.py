"""The regularised incomplete gamma functions P(a, x) and Q(a, x), and their slope in x (DLMF 8.8.13 and 8.8.14).

The slope is x^(a - 1) exp(-x)/Gamma(a), and of Q its opposite.
They are differentiated in x alone. The derivative in a is no elementary function of the two, and no framework that is judged here has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation, RoundingRule
from refgrad.bounds.formats import FORMATS
from refgrad.domain import POSITIVE_LINE, Domain, Interval
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import incomplete_gamma_series as series
from refgrad.ops.compensated import in_float64
from refgrad.ops.gamma_series import log_gamma
from refgrad.ops.products import ghost


@in_float64
def _lower(a: Array, x: Array) -> Array:
    return series.lower_and_upper(a, x)[0]


@in_float64
def _upper(a: Array, x: Array) -> Array:
    return series.lower_and_upper(a, x)[1]


@in_float64
def _density(a: Array, x: Array) -> Array:
    return series.density(a, x)


@in_float64
def _log_gamma_size(a: Array) -> Array:
    return np.abs(log_gamma(a))


def _terms(a: Array, x: Array) -> Array:
    """The sizes of a log(x), x and log Gamma(a), which kernels add up in an exponential."""
    with np.errstate(all="ignore"):
        terms = (a + 1) * np.abs(np.log(x)) + x + _log_gamma_size(a)
    return np.where(np.isfinite(terms), terms, 0.0)


def _exact_a(rule: RoundingRule) -> RoundingRule:
    """The rule, infinite where a is not exact."""

    def whole(run: Evaluation) -> Any:
        if run.es[0] is None:
            return rule(run)
        return np.where(np.asarray(run.es[0]) > 0, np.inf, rule(run._replace(es=(None, run.es[1]))))

    return whole


def _largest_density(a: Array, x: Array, e: Array) -> Array:
    """The largest slope within the radius: the density rises up to a - 1 and falls beyond."""
    return _density(a, np.maximum(np.clip(a - 1, x - e, x + e), 0))


def _value_rule(upper: bool) -> RoundingRule:
    """Kernels multiply a series or a continued fraction by exp(a log(x) - x - log Gamma(a)), whose roundings are those of its terms.

    A series has about sqrt(a) terms of the size of the first where a is large, and forty else, each by two roundings; the uniform
    expansion has polynomials of degree 25. P comes from Q beyond 1 and a, and Q from P below; an error of the other is then one of it.
    """

    def rule(run: Evaluation) -> Array:
        fmt, y, (a, x), e = run.fmt, run.y, run.xs, run.es[1]
        carried: Array | float = 0.0
        if e is not None:
            moved = np.where(e == 0, 0.0, e * _largest_density(a, x, e))
            carried = bounds.endless(np.minimum(np.where(np.isnan(moved), 1.0, moved), 1.0), e)
        other = 1 - y
        beyond = x > np.maximum(a, 1)
        by_other = ~beyond if upper else beyond
        size = np.where(by_other, np.abs(other), np.abs(y))
        with np.errstate(all="ignore"):
            steps = 80 + 4 * np.sqrt(np.maximum(np.where(np.isfinite(a), a, 1.0), 1.0))
        roundings = (4 * _terms(a, x) + steps) * size + 60 * np.abs(y)
        radius = carried + fmt.u_acc * roundings + fmt.u * np.abs(y) + 4 * fmt.eta
        # Where the exponential is no normal number of the format that kernels compute in, they return 0.
        radius = radius + min(fmt.least_normal, FORMATS[fmt.accumulator].least_normal)
        return np.where(np.isfinite(y), radius, 0.0)

    return rule


def _density_rounding(run: Evaluation) -> Array:
    """Kernels take the exponential of (a - 1) log(x) - x - log Gamma(a), of which each term and each difference is rounded.

    Carried: the slope is the density times (a - 1)/x - 1.
    """
    fmt, y, (a, x), e = run.fmt, run.y, run.xs, run.es[1]
    carried: Array | float = 0.0
    if e is not None:
        near = x - e
        steep = np.abs(a - 1) / np.where(near > 0, near, np.inf) + 1
        moved = np.where(near > 0, _largest_density(a, x, e) * steep * e, np.inf)
        carried = bounds.endless(np.where(e == 0, 0.0, moved), e)
    figures = 2 + 2 * fmt.ulp("log") + 2 * fmt.ulp("lgamma")
    roundings = figures * _terms(a, x) + 2 * fmt.ulp("exp") + 4
    return carried + fmt.u * roundings * (np.abs(y) + carried) + 4 * fmt.eta


def _relative(a: Array, x: Array) -> Array:
    """(a - 1)/x - 1, the slope of the logarithm of the density; -1 at a = 1, for any x. At -0, too, x comes from above.

    Kernels subtract the density from its product with a - 1, divided by x: the product, which cancels near x = a - 1, is one rounding more.
    """
    share = np.where(a == 1, 0.0, (a - 1) / np.abs(x))
    return share + ghost(share) - 1


def _of_the_power(y_dot: Array, a: Array, x: Array) -> Array:
    """The part of the power x^(a - 1) in a tangent or cotangent, of which y_dot is the product with the density."""
    return np.where(a == 1, 0.0, y_dot * (a - 1) / np.abs(x))


_PLACE = Domain((Interval(low=0.0, high=30.0), POSITIVE_LINE))

density: Op = register(
    "gamma_density", lambda a, x: _density(a, x),
    jvp={"x": lambda x_dot, a, x, y: x_dot * y * _relative(a, x)},
    vjp={"x": lambda y_bar, a, x, y: y_bar * (_relative(a, x) * y)},
    rounding=_exact_a(_density_rounding),
    usual=(
        Formula(
            "the slopes of the power and of the exponential one by one, as derived from the exponential of a sum: the product with a - 1 "
            "is rounded, and underflows, before the quotient by x makes it larger",
            jvp={"x": lambda x_dot, a, x, y: _of_the_power(x_dot * y, a, x) - x_dot * y},
            vjp={"x": lambda y_bar, a, x, y: _of_the_power(y_bar * y, a, x) - y_bar * y},
        ),
    ),
    domain=_PLACE,
    broadcasts=True,
    elementwise=True,
    helper=True,
)  # fmt: skip

gammainc: Op = register(
    "gammainc", lambda a, x: _lower(a, x),
    jvp={"x": lambda x_dot, a, x: x_dot * density(a, x)},
    vjp={"x": lambda y_bar, a, x: y_bar * density(a, x)},
    rounding=_exact_a(_value_rule(upper=False)),
    domain=_PLACE,
    broadcasts=True,
    elementwise=True,
    helper=True,
)  # fmt: skip

gammaincc: Op = register(
    "gammaincc", lambda a, x: _upper(a, x),
    jvp={"x": lambda x_dot, a, x: -x_dot * density(a, x)},
    vjp={"x": lambda y_bar, a, x: -(y_bar * density(a, x))},
    rounding=_exact_a(_value_rule(upper=True)),
    domain=_PLACE,
    broadcasts=True,
    elementwise=True,
    helper=True,
)  # fmt: skip
