"""Hyperbolic functions and their inverses."""

from __future__ import annotations

import math

import numpy as np

from refgrad import bounds, spread
from refgrad.domain import Domain, Interval, Special, between
from refgrad.op import register

sinh = register(
    "sinh", np.sinh,
    jvp=lambda x_dot, x: x_dot * np.cosh(x),
    vjp=lambda y_bar, x: y_bar * np.cosh(x),
    rounding=bounds.monotone("sinh"),
    torch=lambda torch, x: torch.sinh(x),
    numpy=(np.sinh,),
)  # fmt: skip

# Even and convex: where the ball holds 0, the minimum there is nearer to y than the farther end, so the ends still bound it.
cosh = register(
    "cosh", np.cosh,
    jvp=lambda x_dot, x: x_dot * np.sinh(x),
    vjp=lambda y_bar, x: y_bar * np.sinh(x),
    rounding=bounds.monotone("cosh"),
    torch=lambda torch, x: torch.cosh(x),
    numpy=(np.cosh,),
)  # fmt: skip

tanh = register(
    "tanh", np.tanh,
    jvp=lambda x_dot, y: x_dot * (1 - y * y),
    vjp=lambda y_bar, y: y_bar * (1 - y * y),
    rounding=bounds.monotone("tanh", spread.tanh),
    torch=lambda torch, x: torch.tanh(x),
    numpy=(np.tanh,),
    special=(
        Special((19.1,), 1.0, ((1.0266e-16, 1.0266e-16),), "saturated"),
        Special((400.0,), 1.0, ((0.0, 0.0),), "saturated"),
    ),
)  # fmt: skip

# hypot(x, 1) does not overflow where x^2 + 1 does. Its reciprocal is multiplied, as kernels do: they round x^2, the sum (together one
# u in the root), the reciprocal root and the product.
arcsinh = register(
    "arcsinh", np.arcsinh,
    jvp=lambda x_dot, x: x_dot * (1 / np.hypot(x, 1.0)),
    vjp=lambda y_bar, x: y_bar * (1 / np.hypot(x, 1.0)),
    rounding=bounds.monotone("arcsinh"),
    torch=lambda torch, x: torch.arcsinh(x),
    numpy=(np.arcsinh,),
    special=(Special((1e200,), 461.2101657793691, ((1e-200, 1e-200),), "the square overflows"),),
)  # fmt: skip

# 1/sqrt(x^2 - 1) = w/sqrt(1 - w^2) with w = 1/x, which does not overflow.
arccosh = register(
    "arccosh", np.arccosh,
    jvp=lambda x_dot, x: x_dot * (1 / x) / np.sqrt(1 - np.square(1 / x)),
    vjp=lambda y_bar, x: y_bar * (1 / x) / np.sqrt(1 - np.square(1 / x)),
    rounding=bounds.monotone("arccosh"),
    torch=lambda torch, x: torch.arccosh(x),
    numpy=(np.arccosh,),
    domain=Domain((Interval(low=1.0),)),
    special=(
        Special((1.0,), 0.0, ((np.inf, np.inf),), "vertical tangent"),
        Special((1e200,), 461.2101657793691, ((1e-200, 1e-200),), "the square overflows"),
    ),
)  # fmt: skip

arctanh = register(
    "arctanh", np.arctanh,
    jvp=lambda x_dot, x: x_dot / (1 - x * x),
    vjp=lambda y_bar, x: y_bar / (1 - x * x),
    rounding=bounds.monotone("arctanh"),
    torch=lambda torch, x: torch.arctanh(x),
    numpy=(np.arctanh,),
    domain=between(-1.0, 1.0),
    special=(Special((1.0,), math.inf, ((np.inf, np.inf),), "pole"),),
)  # fmt: skip
