"""The logarithm of the gamma function, the digamma function and its derivatives, the polygamma functions.

Each is the derivative of the one before. Abramowitz and Stegun, 6.3 and 6.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Sample, Special, sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.ops import gamma_series as series
from refgrad.ops import samplers
from refgrad.ops.compensated import in_float64

_LOG_GAMMA, _DIGAMMA = -1, 0  # as derivatives of the digamma function
EULER = 0.5772156649015329


@in_float64
def _derivative(x: Array, order: int) -> Array:
    """The derivative of that order of the digamma function; of order -1 the logarithm of the gamma function."""
    if order == _LOG_GAMMA:
        return series.log_gamma(x)
    return series.digamma(x) if order == _DIGAMMA else series.polygamma(x, order)


def between_poles(rng: samplers.Rng, orders: tuple[int, ...] = ()) -> Sample:
    """Numbers from -3 to 5 that are not near 0, -1, -2, ...; with ``orders`` one of them."""
    x = rng.uniform(-3, 5, samplers.shape(rng))
    x = np.where(x < 0, np.floor(x) + 0.15 + 0.7 * (x - np.floor(x)), x + 0.1)
    return (x,), {"order": orders[int(rng.integers(len(orders)))]} if orders else {}


def _carried(run: Evaluation, order: int) -> Array | float:
    """How far the function moves within the radius. Derivatives of even order are monotone between poles; of the others, the slopes are."""
    x, e = run.xs[0], run.es[0]
    if e is None:
        return 0.0
    low, high = x - e, x + e
    if order % 2:
        ends = [np.abs(_derivative(end, order=order + 1)) for end in (low, high)]
        moved = e * np.maximum(*ends)
    else:
        moved = np.maximum(*[np.abs(_derivative(end, order=order) - run.y) for end in (low, high)])
    pole = (low <= 0) & (np.ceil(low) <= np.minimum(high, 0))
    return bounds.endless(np.where(pole | np.isnan(moved), np.inf, moved), e)


def _rule(order: int, size: Callable[[Array, Array], Array], figure: str) -> bounds.RoundingRule:
    """The rule of a function whose kernels are off by ``figure`` ULP of ``size``, the sum of the terms that they add up."""

    def rule(run: Evaluation) -> Array:
        carried = _carried(run, order)
        return (
            carried
            + run.fmt.u * 2 * run.fmt.ulp(figure) * (size(run.xs[0], run.y) + carried)
            + 2 * run.fmt.eta
        )

    return rule


def _finite(x: Array) -> Array:
    return np.where(np.isfinite(x), x, 0.0)


# --- as kernels compute them -------------------------------------------------------------------------------------------

# The functions themselves, which formulas of kernels call.
_direct: Op = register(
    "polygamma_direct", lambda x, order=0: _derivative(x, order=order),
    jvp=lambda x_dot, x, order: x_dot * _direct(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * _direct(x, order=order + 1),
    rounding=lambda run: (digamma if run.params["order"] == _DIGAMMA else polygamma).rounding(run),
    domain=sampled(lambda rng: between_poles(rng, (0, 1, 2))),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


def _rounded_pi(x: Array) -> Array:
    """pi as a number that the format rounds."""
    return np.sqrt(np.full_like(x, np.pi * np.pi))


def _by_tangent(x: Array) -> Array:
    """psi(1 - x) - pi/tan(pi r) with r = x less its integer part, which may be near 1 in size."""
    pi = _rounded_pi(x)
    reflected = _direct(1 - x) - pi / np.tan(pi * (x - np.trunc(x)))
    return np.where(x < 0, reflected, _direct(x))


def _by_sine(x: Array, order: int = 1) -> Array:
    """psi' by the reflection pi^2/sin(pi x)^2 - psi'(1 - x), in which pi x is rounded; further derivatives as they are."""
    if order != 1:
        return _direct(x, order=order)
    pi = _rounded_pi(x)
    return np.where(x < 0.5, np.square(pi / np.sin(pi * x)) - _direct(1 - x, order=1), _direct(x, order=1))


# --- the logarithm of the gamma function -------------------------------------------------------------------------------


def _log_gamma_size(x: Array, y: Array) -> Array:
    """On the negative axis kernels subtract the value at -x from a logarithm."""
    return np.abs(y) + np.where(x < 0, 2 * np.abs(_derivative(np.abs(x), order=_LOG_GAMMA)), 0.0)


def _exact(mp: Any, order: int, x: Any) -> Any:
    """polygamma of order 0, 1 or 2; below 1/2 by reflection, because mpmath climbs to the right in steps of 1 (DLMF 5.15.6)."""
    if x >= 0.5:
        return mp.polygamma(order, x)
    sine, cosine = mp.sinpi(x), mp.cospi(x)
    cotangent = (mp.pi * cosine / sine, -((mp.pi / sine) ** 2), 2 * mp.pi**3 * cosine / sine**3)[order]
    return (-1) ** order * mp.polygamma(order, 1 - x) - cotangent


lgamma: Op = register(
    "lgamma", lambda x: _derivative(x, order=_LOG_GAMMA),
    jvp=lambda x_dot, x: x_dot * digamma(x),
    vjp=lambda y_bar, x: y_bar * digamma(x),
    rounding=_rule(_LOG_GAMMA, _log_gamma_size, "lgamma"),
    torch=lambda torch, x: torch.lgamma(x),
    domain=sampled(between_poles),
    special=(
        Special((1.0,), 0.0, ((-EULER, -EULER),), "a zero"),
        Special((2.0,), 0.0, ((1 - EULER, 1 - EULER),), "a zero"),
        Special((0.0,), np.inf, (None,), "pole"),
        Special((-1.0,), np.inf, (None,), "pole"),
        Special((np.inf,), np.inf, ((np.inf, np.inf),), "the end of the range"),
        Special((-np.inf,), np.inf, (None,), "poles up to here"),
    ),
    usual=(
        Formula(
            "the slope psi(1 - x) - pi/tan(pi r)",
            jvp=lambda x_dot, x: x_dot * _by_tangent(x),
            vjp=lambda y_bar, x: y_bar * _by_tangent(x),
        ),
        Formula(
            "the slope of the slope by a sine",
            jvp=lambda x_dot, x: x_dot * digamma(x),
            vjp=lambda y_bar, x: y_bar * digamma(x),
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: _exact(mp, 0, x),),
)  # fmt: skip


# --- the digamma function ----------------------------------------------------------------------------------------------


def _digamma_size(x: Array, y: Array) -> Array:
    """Up to 10 kernels subtract 1/x + 1/(x + 1) + ... from a logarithm of at most 2.4; on the negative axis they reflect."""
    positive = np.where(x < 0, 1 - x, x)
    value = np.where(x < 0, _derivative(positive, order=_DIGAMMA), y)
    size = np.abs(value) + np.where(positive < 10, 5.0, 0.0)
    return np.where(x < 0, size + np.abs(y - _finite(value)), size)


digamma: Op = register(
    "digamma", lambda x: _derivative(x, order=_DIGAMMA),
    jvp=lambda x_dot, x: x_dot * polygamma(x, order=1),
    vjp=lambda y_bar, x: y_bar * polygamma(x, order=1),
    rounding=_rule(_DIGAMMA, _digamma_size, "digamma"),
    torch=lambda torch, x: torch.digamma(x),
    domain=sampled(between_poles),
    special=(
        Special((1.0,), -EULER, ((np.pi**2 / 6, np.pi**2 / 6),), "Euler's constant"),
        Special((0.0,), -np.inf, (None,), "pole"),
        Special((-1.0,), np.nan, (None,), "pole"),
        Special((np.inf,), np.inf, ((0.0, 0.0),), "grows as a logarithm"),
        Special((-np.inf,), np.nan, (None,), "poles up to here"),
    ),
    usual=(
        Formula("psi(1 - x) - pi/tan(pi r), which loses digits where the part r of x after the point is near 1", _by_tangent),
        Formula(
            "the slope pi^2/sin(pi x)^2 - psi'(1 - x)",
            jvp=lambda x_dot, x: x_dot * _by_sine(x),
            vjp=lambda y_bar, x: y_bar * _by_sine(x),
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: _exact(mp, 1, x),),
)  # fmt: skip


# --- derivatives of the digamma function -------------------------------------------------------------------------------


@in_float64
def _terms(x: Array, order: int) -> Array:
    return series.size_of_terms(x, order)


def _polygamma_rounding(run: Evaluation) -> Array:
    """n! by the exponential of its logarithm, times a sum of powers that is rounded to the format.

    Kernels add 1 to x up to 9 times, and reflect. A power enlarges each of these roundings up to n + 1 times.
    """
    fmt, order = run.fmt, run.params["order"]
    carried = _carried(run, order)
    factorial = 2 * fmt.ulp("exp") + 2 * fmt.ulp("lgamma") * math.lgamma(order + 1) if order > 1 else 0.0
    roundings = 2 * fmt.ulp("polygamma") + 10 * (order + 1) + factorial
    lost = (2 + math.factorial(order)) * fmt.eta
    return carried + fmt.u * roundings * (_terms(run.xs[0], order=order) + carried) + lost


def _polygamma(x: Array, order: int = 1) -> Array:
    return _derivative(x, order=order)


polygamma: Op = register(
    "polygamma", _polygamma,
    jvp=lambda x_dot, x, order: x_dot * polygamma(x, order=order + 1),
    vjp=lambda y_bar, x, order: y_bar * polygamma(x, order=order + 1),
    rounding=_polygamma_rounding,
    torch=lambda torch, x, order: torch.special.polygamma(order, x),
    domain=sampled(lambda rng: between_poles(rng, (1, 2, 3, 4))),
    special=(
        Special((1.0,), np.pi**2 / 6, ((-2.404113806319189, -2.404113806319189),), "the sum of 1/k^2"),
        Special((0.0,), np.inf, (None,), "pole"),
        Special((-1.0,), np.inf, (None,), "pole"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off"),
        Special((np.inf,), 0.0, ((0.0, 0.0),), "levels off", params=(("order", 2),)),
        Special((0.0,), -np.inf, (None,), "pole", params=(("order", 2),)),
        Special((-1.0,), np.nan, (None,), "pole", params=(("order", 2),)),
    ),
    usual=(Formula("pi^2/sin(pi x)^2 - psi'(1 - x), where pi x is rounded", _by_sine),),
    elementwise=True, branch_free=True,
    slopes=(lambda mp, x: _exact(mp, 2, x),),
)  # fmt: skip
