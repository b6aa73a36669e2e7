"""D1: the derivative of one polynomial symbolically, numerically and automatically."""

from __future__ import annotations

import numpy as np

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.numeric import differences
from refgrad.tracing.ball import Ball, exact

from .outcome import OTHER, Outcome
from .record import Array, Item, Problem

AT = 1.7
STEPS = tuple(range(0, 53, 4))  # h = 2^-k


def polynomial(x: Array) -> Array:
    """4 x^3 + x^2 + 3."""
    return 4 * x**3 + x**2 + 3


def derivative(x: Array) -> Array:
    """12 x^2 + 2 x."""
    return 12 * x**2 + 2 * x


def three_ways(outcome: Outcome) -> None:
    """Symbolically by sympy; numerically with shrinking steps, whose error falls and then rises; automatically."""
    import sympy  # torch requires it, so it is there

    x = sympy.Symbol("x")
    found = sympy.diff(polynomial(x), x)
    outcome.state(
        sympy.expand(found - derivative(x)) == 0, f"sympy's derivative is {found}, not 12 x^2 + 2 x"
    )
    point = exact(np.float64(AT), FORMATS["float64"])
    automatic = rg.grad(polynomial)(point)
    outcome.same(
        OTHER,
        "sympy's derivative as a NumPy function",
        sympy.lambdify(x, found, "numpy")(np.float64(AT)),
        automatic,
    )
    slope, error = differences(polynomial, (AT,), (1.0,))
    near = Ball(automatic.value, automatic.radius + error, FORMATS["float64"])
    outcome.same(OTHER, "differences extrapolated to h = 0, within their own estimate of error", slope, near)
    shrink(outcome)


def shrink(outcome: Outcome) -> None:
    """(f(x + h) - f(x)) / h for h = 2^-k against its two errors, truncation and rounding.

    Truncation is known: f''/2 h + f'''/6 h^2 is all there is of a polynomial of degree three. Rounding is at most what a Ball says.
    As long as truncation at h exceeds rounding at h and the whole error at the next h, the error must fall; it must end above its
    least, for at the smallest h rounding is all there is.
    """
    fmt, x = FORMATS["float64"], np.float64(AT)
    rows, errors, limits = [], [], []
    for k in STEPS:
        h = np.float64(2.0**-k)
        slope = (polynomial(x + h) - polynomial(x)) / h
        ball = (polynomial(exact(x + h, fmt)) - polynomial(exact(x, fmt))) / exact(h, fmt)
        truncation, rounding = float((12 * x + 1) * h + 4 * h * h), float(np.max(ball.radius))
        outcome.same(OTHER, f"difference quotient at h = 2^-{k}", slope, ball)
        errors.append(abs(float(slope) - float(derivative(x))))
        limits.append((truncation, rounding))
        rows.append(
            (f"2^-{k}", f"{float(slope):.15g}", f"{errors[-1]:.2e}", f"{truncation:.2e}", f"{rounding:.2e}")
        )
    outcome.table(
        f"(f(x + h) - f(x)) / h at x = {AT}, where f' = {float(derivative(x)):.15g}",
        ("h", "quotient", "error", "truncation", "rounding at most"),
        rows,
    )
    falls = 0
    for k in range(len(STEPS) - 1):
        (t, r), (t_next, r_next) = limits[k], limits[k + 1]
        if t - r > t_next + r_next:  # then nothing but a fall is possible
            falls += 1
            outcome.state(
                errors[k + 1] < errors[k],
                f"the error did not fall from h = 2^-{STEPS[k]} to 2^-{STEPS[k + 1]}",
            )
    least = int(np.argmin(errors))
    outcome.state(falls > 0 and least > 0, "the error never fell")
    outcome.state(least < len(errors) - 1 and errors[-1] > errors[least], "the error did not rise again")


ITEMS = (
    Item(
        "D1-polynomial", "A polynomial differentiated symbolically, numerically, automatically", "d(4 x³ + x² + 3)/dx = 12 x² + 2 x",
        (Problem(polynomial, (AT,), derivative, polynomial),), three_ways,
    ),
)  # fmt: skip
