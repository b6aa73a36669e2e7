"""gelu with the normal distribution function itself: x Phi(x).

Hendrycks, Gimpel, "Gaussian error linear units" (2016). The slope Phi(x) + x density(x) is an op of its own: for negative x it is
density(x) times the difference of sqrt(pi/2) erfcx(|x|/sqrt(2)) and |x|, neither of which is a difference from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.ops import exact_slopes
from refgrad.ops import normal_distribution as normal
from refgrad.ops.compensated import in_float64, two_product
from refgrad.ops.error_functions import erf
from refgrad.ops.gated_activations import slope_rounding
from refgrad.ops.normal import density
from refgrad.ops.scaled_error_function import bell, moment
from refgrad.quiet import unwarned

_ROOT_HALF = float(normal.ROOT_HALF)
_FAR = 40.0  # from here on density and slope are 0 or 1 in float64, and products with x are not formed


def _square(x: Array) -> tuple[Array, Array]:
    near = np.minimum(np.abs(x), 160.0)
    return two_product(near, near)


@in_float64
def _curve(x: Array) -> Array:
    """density(x) (2 - x^2), the difference exact but for its last rounding."""
    square, rest = _square(x)
    return bell(x, x.dtype.type(normal.DENSITY_AT_ZERO) * ((2 - square) - rest), halved=True)


def _curve_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """Two products with the density, whose rounded squares enter x^2 times."""
    plain = normal.density(x) * (2 + np.minimum(x * x, 1e5))
    return (2 * np.minimum(x * x, 1 / fmt.u) + 2 * fmt.ulp("exp") + 8) * plain, plain


def _third(x: Array) -> Array:
    """The derivative of density(x) (2 - x^2): density(x) (x^3 - 4x)."""
    near = np.clip(x, -_FAR, _FAR)
    return density(x) * (near * (near * near - 4))


gelu_curve = register(
    "gelu_curve", _curve,
    jvp=lambda x_dot, x: x_dot * _third(x),
    vjp=lambda y_bar, x: y_bar * _third(x),
    rounding=slope_rounding(_curve_sizes, lambda x: unwarned(_third)(x), 1.6, 1.0),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


@in_float64
def _slope(x: Array) -> Array:
    size = np.minimum(np.abs(x), 160.0)
    z = size * x.dtype.type(normal.ROOT_HALF)
    half = moment(np.maximum(z, 0.35), 0) / 2
    far = bell(x, half - size * x.dtype.type(normal.DENSITY_AT_ZERO), halved=True)
    near = np.clip(x, -0.5, 0.5)
    inside = normal.distribution(near) + near * normal.density(near)
    right = normal.distribution(size) + size * normal.density(x)
    return np.where(x < -0.5, far, np.where(x > 0.5, right, inside))


def _slope_sizes(fmt: Any, x: Array) -> tuple[Array, Array]:
    """Phi(x) and |x| density(x): x/sqrt(2) and the square of x round, which moves Phi by |x| density(x) times as much."""
    first, second = normal.distribution(x), np.minimum(np.abs(x), 160.0) * normal.density(x)
    of_square = np.minimum(x * x, 1 / fmt.u)
    weighted = (2 * fmt.ulp("erfc") + 4) * first + (of_square + 2 * fmt.ulp("exp") + 8) * second
    return weighted, first + second


gelu_slope = register(
    "gelu_slope", _slope,
    jvp=lambda x_dot, x: x_dot * gelu_curve(x),
    vjp=lambda y_bar, x: y_bar * gelu_curve(x),
    rounding=slope_rounding(_slope_sizes, _curve, 0.8, 1.26),
    elementwise=True, branch_free=True, helper=True,
)  # fmt: skip


@in_float64
def _gelu(x: Array) -> Array:
    """x Phi(x): for negative x the exponential, which alone may underflow, comes last. At -inf it is NaN, infinity times 0."""
    size = np.minimum(np.abs(x), 160.0)
    z = np.maximum(size * x.dtype.type(normal.ROOT_HALF), 0.35)
    left = -bell(x, size * moment(z, 0) / 2, halved=True)
    return np.where((x < -0.5) & np.isfinite(x), left, x * normal.distribution(x))


def _gelu_rounding(run: Evaluation) -> Array:
    """x/2 (1 + erf(x/sqrt(2))): the sum keeps the error of erf, and two roundings of its operand, in absolute terms.

    |slope| <= 1.13, |curvature| <= 0.8.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    x = np.where(np.isfinite(xs[0]), xs[0], 0.0)
    carried: Array | float = 0.0
    if es[0] is not None:
        carried = bounds.endless(1.13 * es[0], es[0])
    gate = np.abs(erf.forward(x * _ROOT_HALF))
    near = np.minimum(np.abs(x), 160.0)
    weight = (
        2 * fmt.ulp("erf") * fmt.u * gate + 4 * fmt.u * near * normal.density(near * (1 - 2 * fmt.u)) + fmt.u
    )
    return carried + np.abs(x) / 2 * weight + 4 * fmt.u * (np.abs(y) + carried) + (2 + np.abs(x)) * fmt.eta


def _usual_slope(x: Array) -> Array:
    """(1 + erf(x/sqrt(2)))/2 + x density(x), as kernels form it."""
    near = np.clip(x, -_FAR, _FAR)
    root = np.sqrt(np.full_like(x, 0.5))
    return 0.5 * (1 + erf(near * root)) + near * density(near)


gelu = register(
    "gelu", _gelu,
    jvp=lambda x_dot, x: x_dot * gelu_slope(x),
    vjp=lambda y_bar, x: y_bar * gelu_slope(x),
    rounding=_gelu_rounding,
    torch=lambda torch, x: torch.nn.functional.gelu(x),
    special=(
        Special((0.0,), 0.0, ((0.5, 0.5),), "smooth"),
        Special((40.0,), 40.0, ((1.0, 1.0),), "saturated"),
        Special((-10.0,), -7.61985302416053e-23, ((-7.6184001e-22, -7.6184001e-22),), "far left"),
        Special((-40.0,), 0.0, ((0.0, 0.0),), "saturated"),
        Special((np.inf,), np.inf, (None,), "kernels multiply infinity by 0"),
        Special((-np.inf,), np.nan, (None,), "infinity times 0"),
    ),
    usual=(
        Formula(
            "(1 + erf(x/sqrt(2)))/2 + x density(x): the bracket cancels for negative x",
            jvp=lambda x_dot, x: x_dot * _usual_slope(x),
            vjp=lambda y_bar, x: y_bar * _usual_slope(x),
            blind=True,
        ),
    ),
    elementwise=True, branch_free=True,
    slopes=(exact_slopes.gelu,),
)  # fmt: skip
